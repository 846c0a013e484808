"""A log-mel spectrogram by the vocoder of another run: that run's own sound, and refusals before a network is built."""

import shutil

import numpy as np
import pytest
import tiny

from mmgen_jax import api, lookup
from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.runs.workdir import restore


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory):
    """A run of one step that draws the scenes' sounds from their spectrograms, by their error."""
    config = tiny.shrink(loading.load(f"{tiny.ROOT}/configs/vocoder_gan.py:digits")).copy_and_resolve_references()
    with config.unlocked():
        config.data = {"name": "scenes", "names": ("audio",), "num_train": 8, "num_test": 8}
        config.objective = {"name": "regression", "target": "audio", "output": "linear"}
        config.optimizers = {"generator": {"lr": 1e-3}}
        del config.discriminator
    folder = tmp_path_factory.mktemp("vocoder") / "run"
    api.train(config, folder)
    return folder


def made(vocoder, modality, **fields):
    return lookup.build("representations", {"name": "log_mel", "vocoder": str(vocoder), **fields}, modality=modality)


@pytest.mark.slow
def test_a_spectrogram_becomes_the_vocoders_sound_at_any_length(vocoder):
    _, system, sampler, _ = restore(vocoder)
    modality = system.modalities["audio"]
    representation = made(vocoder, modality)
    frames, bands = representation.space.shape
    mels = np.random.default_rng(0).uniform(-1, 1, (3, frames, bands)).astype(np.float32)
    drawn = np.asarray(representation.decode({}, {}, mels))
    np.testing.assert_allclose(drawn, sampler({"mel": mels})["audio"], atol=1e-5)
    assert drawn.std() > 1e-3

    half = Modality("audio", (modality.shape[0] // 2,), sample_rate=modality.sample_rate)
    shorter = made(vocoder, half)
    sound = np.asarray(shorter.decode({}, {}, mels[:, : shorter.space.shape[0]]))
    assert sound.shape == (3, *half.shape)
    inside = half.shape[0] // 4  # far from the end, which the shorter spectrogram does not see beyond
    np.testing.assert_allclose(sound[:, :inside], drawn[:, :inside], atol=1e-5)


def test_what_is_no_vocoder_of_the_spectrograms_is_refused(vocoder, tmp_path):
    modality = restore(vocoder)[1].modalities["audio"]
    for fields, theirs, ours in (
        ({"n_mels": 40}, "n_mels 80", "n_mels 40"),
        ({"hop_length": 64, "floor": -100.0}, "hop_length 128, floor -80", "hop_length 64, floor -100"),
    ):
        with pytest.raises(ConfigError, match=f"reads spectrograms of {theirs}, expected {ours}; train a vocoder"):
            made(vocoder, modality, **fields)
    with pytest.raises(ConfigError, match=r"log_mel': vocoder: .*nowhere: no such folder"):
        made(tmp_path / "nowhere", modality)
    other = tmp_path / "other"
    shutil.copytree(vocoder, other)
    config = loading.from_json((other / "config.json").read_text())
    with config.unlocked():
        config.derived.mel.name = "copy"
    (other / "config.json").write_text(loading.to_json(config))
    with pytest.raises(ConfigError, match=r"draws a sound from its log_mel alone .* got 'audio' from mel"):
        made(other, modality)
