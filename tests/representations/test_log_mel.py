"""The log-mel representation against librosa, and a sound through it and back."""

from __future__ import annotations

import functools
import io
import tarfile

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import soundfile

from mmgen_jax import lookup
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.representations.log_mel import MULTIPLE, Representation

SPEECH = Modality("audio", (6000,), sample_rate=8000)
COUNT = 24


def encode(representation, waveforms):
    return np.asarray(jax.jit(lambda x: representation.encode({}, {}, x))(waveforms))


def decode(representation, codes):
    return np.asarray(jax.jit(lambda x: representation.decode({}, {}, x))(codes))


def made(modality, batch: int = 3) -> np.ndarray:
    """A glide with overtones in noise, louder in each example."""
    time = np.arange(*modality.shape) / modality.sample_rate
    glide = sum(np.sin(2 * np.pi * k * (200 * time + 100 * time**2)) / k for k in (1, 2, 3))
    noise = np.random.default_rng(0).normal(0, 0.01, (batch, *modality.shape))
    return (np.linspace(0.05, 0.4, batch)[:, None] * (glide + noise)).astype(np.float32)


@pytest.fixture(scope="module")
def speech(mmgen_data) -> np.ndarray:
    """`[24, 6000]` real recordings at 8 kHz, raw level."""
    archive = mmgen_data / "tfds" / "spoken_digit" / "free-spoken-digit-dataset-1.0.9.tar.gz"
    rows = []
    with tarfile.open(archive) as files:
        members = sorted((m for m in files.getmembers() if m.name.endswith(".wav")), key=lambda member: member.name)
        for member in members[:: len(members) // COUNT][:COUNT]:
            samples, rate = soundfile.read(io.BytesIO(files.extractfile(member).read()), dtype="float32")
            assert rate == 8000
            rows.append(np.pad(samples[:6000], (0, max(0, 6000 - len(samples)))))
    return np.array(rows)


@pytest.mark.parametrize("rate, samples, sizes", [(8000, 6000, (512, 128)), (16000, 8001, (1024, 256))])
def test_values_are_librosas_decibels_scaled(rate, samples, sizes):
    modality = Modality("audio", (samples,), sample_rate=rate)
    representation = Representation(modality=modality)
    waveforms = made(modality)
    code = encode(representation, waveforms)
    frames = representation.space.shape[0]
    assert code.dtype == np.float32 and code.shape == (3, *representation.space.shape) and code.shape[2] == 80
    assert frames % MULTIPLE == 0 and 0 <= frames - (1 + samples // sizes[1]) < MULTIPLE
    for one, waveform in zip(code, waveforms.astype(np.float64)):
        padded = np.pad(waveform, (0, max(0, (frames - 1) * sizes[1] - samples)))
        options = dict(sr=rate, n_fft=sizes[0], hop_length=sizes[1], n_mels=80)
        power = librosa.feature.melspectrogram(y=padded, pad_mode="constant", **options)
        db = librosa.power_to_db(power, amin=1e-10, top_db=None).T
        np.testing.assert_allclose(one, np.clip((db + 80) / 55 - 1, -1, 1), atol=2e-4)  # of 55 dB: 0.01 dB


def test_silence_is_the_floor_and_stays_silence():
    representation = Representation(modality=SPEECH)
    code = encode(representation, np.zeros((2, 6000), np.float32))
    np.testing.assert_array_equal(code, -1)
    assert np.abs(decode(representation, code)).max() < 3e-4  # -80 dB in each band


def test_what_is_too_loud_or_too_soft_is_cut_off():
    representation = Representation(modality=SPEECH, floor=-20.0, ceiling=0.0)
    code = encode(representation, made(SPEECH))
    assert code.min() == -1 and code.max() == 1
    np.testing.assert_array_equal(decode(representation, 3 * code), decode(representation, np.clip(3 * code, -1, 1)))


def test_a_code_has_one_sound_in_any_batch():
    representation = Representation(modality=SPEECH, num_iterations=4)
    code = encode(representation, made(SPEECH))[[0, 0, 2]]
    sounds = decode(representation, code)
    assert sounds.shape == (3, 6000) and np.abs(sounds).max() <= 1
    np.testing.assert_array_equal(sounds[0], sounds[1])
    np.testing.assert_allclose(decode(representation, code[2:]), sounds[2:], atol=1e-4)


def log_spectral_distance(a: np.ndarray, b: np.ndarray, half_range: float = 55.0) -> float:
    """dB: of each frame the root mean square over bands, a mean over frames."""
    return float(np.sqrt(np.mean((half_range * (a - b)) ** 2, axis=-1)).mean())


@pytest.mark.slow
def test_real_speech_through_it_and_back(speech):
    """Measured: 1.0 dB over all bands and frames, silence included; without momentum 1.2 dB."""
    distances = {}
    for momentum in (0.99, 0.0):
        representation = Representation(modality=SPEECH, momentum=momentum)
        code = encode(representation, speech)
        again = encode(representation, decode(representation, code))
        distances[momentum] = log_spectral_distance(code, again)
        assert np.corrcoef(code.ravel(), again.ravel())[0, 1] > 0.99
    assert distances[0.99] < 1.3 and distances[0.99] < distances[0.0]


def test_phases_converge_as_far_as_librosas(speech):
    """Spectral convergence: the distance of the magnitudes, of the magnitude that was asked for."""
    from mmgen_jax.networks.features import audio

    magnitude = jnp.sqrt(audio.spectrogram(jnp.asarray(speech[:4]), 512, 128))
    find = jax.jit(functools.partial(audio.griffin_lim, hop_length=128, length=6000, n_iter=32))
    ours = find(magnitude, jax.random.key(0))
    missed = []
    for i, one in enumerate(np.asarray(magnitude)):
        theirs = librosa.griffinlim(one.T, n_iter=32, hop_length=128, length=6000, random_state=0, pad_mode="constant")
        both = (np.abs(audio.stft(jnp.asarray(x), 512, 128)) for x in (ours[i], theirs))
        missed.append([np.linalg.norm(one - x) / np.linalg.norm(one) for x in both])
    mean, reference = np.mean(missed, axis=0)
    assert mean < 0.2 and mean < 1.25 * reference  # the first phases are random in both: 1.05 to 1.12 were seen


def test_gradients_are_finite_at_silence_too():
    representation = Representation(modality=SPEECH)
    waveforms = made(SPEECH)
    waveforms[0], waveforms[1, 3000:] = 0, 0
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(representation.encode({}, {}, x) ** 2)))(jnp.asarray(waveforms))
    assert np.isfinite(gradient).all() and np.abs(gradient[2]).max() > 0


@pytest.mark.parametrize(
    "fields, part",
    [
        ({"n_fft": 128}, "hold no frequency"),
        ({"floor": 40.0}, "floor < ceiling"),
        ({"num_iterations": 0}, "num_iterations of at least 1"),
        ({"momentum": 1.0}, "momentum"),
        ({"modality": Modality("image", (8, 8, 1))}, "needs a sound"),
    ],
)
def test_wrong_fields_are_refused(fields, part):
    with pytest.raises(ValueError, match=part):
        Representation(**{"modality": SPEECH} | fields)


def test_it_is_found_by_its_name_and_has_nothing_to_train():
    representation = lookup.build("representations", {"name": "log_mel", "n_mels": 40}, modality=SPEECH, shape=(1,))
    assert representation.space.shape == (48, 40) and representation.space.bounded and representation.players == ()
    assert representation.init(jax.random.key(0), None) == {}
    with pytest.raises(ValueError, match="nothing to train"):
        representation.loss("x", {}, {}, None, None, None)
