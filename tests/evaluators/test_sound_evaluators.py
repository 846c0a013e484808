"""Evaluators of sounds: a copy of the data is best, and controls and baselines stand beside it."""

import json

import numpy as np
import pytest

from mmgen_jax import evaluate, lookup
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import frechet_audio, sound_fidelity

RATE, NUM, SAMPLES = 8000, 12, 4096
RNG = np.random.default_rng(0)


def voices(rng):
    """Vowels `[N, S]`: harmonics of a moving F0, under a hump, with a formant."""
    time = np.arange(SAMPLES) / RATE
    f0 = rng.uniform(90, 220, (NUM, 1)) * (1 + 0.2 * np.sin(2 * np.pi * (time + rng.uniform(size=(NUM, 1)))))
    phase = 2 * np.pi * np.cumsum(f0, -1) / RATE
    formant, begin = rng.uniform(400, 1500, (NUM, 1)), rng.uniform(0, 0.2, (NUM, 1))
    parts = [np.exp(-(((k * f0 - formant) / 400) ** 2)) * np.sin(k * phase) for k in range(1, 12)]
    return (0.1 * np.sin(np.pi * np.clip((time - begin) / 0.3, 0, 1)) * sum(parts)).astype(np.float32)


REAL, OTHERS = voices(RNG), voices(RNG)


def measured(name, drawn, real=REAL, **fields):
    evaluator = lookup.build("evaluators", {"name": name, **fields}, target="sound", sample_rate=RATE)
    entries = evaluator(lambda batch: {"sound": drawn}, [{"sound": real}])
    json.dumps(entries, allow_nan=False)
    assert evaluate.table(entries)
    return entries


@pytest.fixture(scope="module")
def copied():
    return measured("sound_fidelity", REAL)


def test_a_copy_has_no_distance_and_full_agreement(copied):
    for metric, entry in copied.items():
        best = 0 if entry["better"] == "lower" else 1
        assert entry["value"] == pytest.approx(best, abs=1e-5), metric
        assert entry["n"] == NUM or (metric == "f0_correlation" and entry["n"] > NUM / 2)


def test_griffin_lim_is_between_a_copy_and_another_sound(copied):
    for metric, entry in copied.items():
        inverted, other = (entry["baselines"][name]["value"] for name in ("griffin_lim", "shuffled"))
        if entry["better"] == "lower":
            assert 0 < inverted < other, metric
        else:
            assert 1 > inverted > other, metric


def test_sounds_that_are_not_finite_are_refused():
    spoilt = REAL.copy()
    spoilt[2, 5] = np.nan
    with pytest.raises(InputError, match=f"expected finite sounds, got 1 of {NUM} that are not"):
        measured("sound_fidelity", spoilt)


def test_other_sounds_are_as_far_as_shuffled_ones():
    entries = measured("sound_fidelity", OTHERS, n_mels=0)
    assert list(entries["f0_correlation"]["baselines"]) == ["shuffled"]
    for metric in ("mel_cepstral_distortion", "log_spectral_distance"):
        entry = entries[metric]
        assert entry["value"] == pytest.approx(entry["baselines"]["shuffled"]["value"], rel=0.25)


def test_without_a_voice_there_is_no_pitch_to_compare():
    noise = 0.1 * RNG.normal(size=(4, SAMPLES)).astype(np.float32)
    entry = measured("sound_fidelity", noise, noise, n_mels=0)["f0_correlation"]
    assert entry["value"] is None and "voiced" in entry["why"]


def test_reconstructions_are_measured_where_asked():
    class Model:
        def reconstruct(self, batch):
            return {"sound": REAL}

    evaluator = sound_fidelity.Evaluator("sound", RATE, from_target=True, n_mels=0)
    assert evaluator.ability == "reconstruct"
    assert evaluator(Model(), [{"sound": REAL}])["log_spectral_distance"]["value"] == 0


def test_frechet_distance_of_copies_and_its_controls():
    copy = measured("frechet_audio", REAL)["frechet_audio_distance"]
    assert copy["value"] == pytest.approx(0, abs=1e-9)
    other = measured("frechet_audio", OTHERS)["frechet_audio_distance"]
    assert other["controls"] == copy["controls"]
    assert copy["value"] < other["value"] < other["controls"]["noise"] < other["controls"]["silence"]
    assert 0 < other["controls"]["reversed"] < other["controls"]["noise"]
    assert other["value"] < 2 * other["reference"]  # halves of the real sounds
    noise = measured("frechet_audio", frechet_audio.controls(REAL)["noise"])["frechet_audio_distance"]
    assert noise["value"] == pytest.approx(noise["controls"]["noise"])


def test_windows_of_features():
    assert frechet_audio.features(REAL, RATE, 0.75).shape == (NUM, 1, 56)  # 33 frames of 16 ms
    assert frechet_audio.features(REAL, RATE, 0.16).shape == (NUM, 5, 56)
    assert frechet_audio.features(REAL, RATE, 3.0).shape == (NUM, 1, 56)
    louder = frechet_audio.features(2 * REAL, RATE, 0.75) - frechet_audio.features(REAL, RATE, 0.75)
    np.testing.assert_allclose(louder[..., 0], np.log(2), atol=1e-9)  # c_0, natural logarithm of the amplitude
    np.testing.assert_allclose(louder[..., 1:], 0, atol=1e-9)


@pytest.mark.parametrize("name, num", [("sound_fidelity", 1), ("frechet_audio", 3)])
def test_too_few_examples(name, num):
    with pytest.raises(InputError, match=f"{name}: expected at least .* got {num}"):
        measured(name, REAL[:num], REAL[:num])
