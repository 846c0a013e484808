"""Audio features against librosa, and the way back from them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from mmgen_jax.networks.features import audio

# sample rate in Hz, samples, n_fft, hop_length, n_mels, fmin, fmax; odd lengths, hops that do not divide n_fft
SETTINGS = [
    (8000, 4000, 256, 64, 32, 0.0, None),
    (8000, 4001, 400, 150, 40, 50.0, 3800.0),
    (16000, 12345, 512, 160, 64, 20.0, 7600.0),
]


def tone_in_noise(samples: int, sample_rate: int, batch: int = 2) -> np.ndarray:
    time = np.arange(samples) / sample_rate
    glide = np.sin(2 * np.pi * (300 * time + 400 * time**2)) * np.exp(-3 * time)
    noise = np.random.default_rng(0).normal(0, 0.05, (batch, samples))
    return (0.5 * glide + noise).astype(np.float32)


def close(ours, reference, relative=1e-4):
    np.testing.assert_allclose(ours, reference, rtol=relative, atol=relative * np.abs(reference).max())


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s[0]}Hz-{s[1]}")
def test_features_equal_librosa(setting):
    sample_rate, samples, n_fft, hop, n_mels, fmin, fmax = setting
    waveform = tone_in_noise(samples, sample_rate)
    options = dict(n_fft=n_fft, hop_length=hop, n_mels=n_mels, fmin=fmin, fmax=fmax)
    mel = jax.jit(lambda w: audio.log_mel(w, sample_rate, **options))(waveform)
    cepstra = jax.jit(lambda w: audio.mfcc(w, sample_rate, 13, **options))(waveform)
    assert mel.dtype == jnp.float32 and mel.shape == (2, 1 + samples // hop, n_mels)
    for i, one in enumerate(waveform.astype(np.float64)):
        power = librosa.feature.melspectrogram(y=one, sr=sample_rate, **options)
        close(audio.mel_spectrogram(waveform, sample_rate, **options)[i], power.T)
        np.testing.assert_allclose(mel[i], librosa.power_to_db(power).T, rtol=1e-4, atol=1e-3)  # 0.001 dB
        expected = librosa.feature.mfcc(y=one, sr=sample_rate, n_mfcc=13, **options)
        close(cepstra[i], expected.T)
        close(audio.deltas(cepstra)[i], librosa.feature.delta(expected).T)
        close(audio.deltas(cepstra, order=2)[i], librosa.feature.delta(expected, order=2).T)


@pytest.mark.parametrize(
    "rate, sizes", [(8000, (512, 128, 40)), (16000, (1024, 256, 80)), (22050, (1024, 256, 80)), (4000, (256, 64, 20))]
)
def test_sizes_go_by_the_rate(rate, sizes):
    assert audio.frame_sizes(rate) == sizes
    assert (
        audio.frame_sizes(rate, n_fft=128, n_mels=30) == (128, 32, 30) and audio.frame_sizes(rate, hop_length=7)[1] == 7
    )
    waveform = tone_in_noise(4000, rate, 1)
    given = dict(zip(("n_fft", "hop_length", "n_mels"), sizes))
    np.testing.assert_array_equal(audio.log_mel(waveform, rate), audio.log_mel(waveform, rate, **given))


def test_a_spectrogram_from_mel_bands_has_these_bands():
    mel = audio.mel_spectrogram(tone_in_noise(4001, 8000), 8000, 512, 128, 80)
    power = jax.jit(lambda m: audio.mel_to_spectrogram(m, 8000, 512))(mel)
    assert power.shape == (2, 32, 257) and power.min() >= 0
    again = jnp.matmul(power, audio.mel_filters(8000, 512, 80).T)
    error = jnp.abs(audio.decibels(again, None) - audio.decibels(mel, None))
    pinv = np.maximum(np.asarray(mel) @ np.linalg.pinv(audio.mel_filters(8000, 512, 80)).T, 0)
    reference = jnp.abs(audio.decibels(pinv @ audio.mel_filters(8000, 512, 80).T, None) - audio.decibels(mel, None))
    assert error.mean() < 0.5 and error.mean() < 0.5 * reference.mean()  # dB
    assert np.isfinite(audio.mel_to_spectrogram(0 * mel, 8000, 512)).all()


def test_filters_equal_librosa():
    for rate, n_fft, n_mels in ((8000, 256, 32), (16000, 512, 64), (22050, 2048, 128)):
        close(audio.mel_filters(rate, n_fft, n_mels), librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels), 1e-5)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_stft_equals_librosa(pad_mode):
    waveform = tone_in_noise(3001, 8000)
    expected = librosa.stft(waveform.astype(np.float64), n_fft=256, hop_length=96, pad_mode=pad_mode)
    close(audio.stft(waveform, 256, 96, pad_mode), expected.swapaxes(-1, -2))


@pytest.mark.parametrize("hop", [64, 96])
def test_istft_inverts_stft(hop):
    waveform = tone_in_noise(3001, 8000)
    np.testing.assert_allclose(audio.istft(audio.stft(waveform, 256, hop), hop, 3001), waveform, atol=1e-5)


def test_silence_is_the_floor_and_gradients_are_finite():
    silence = jnp.zeros((2, 2000))
    np.testing.assert_allclose(audio.log_mel(silence, 8000, n_fft=256), -100.0, atol=1e-4)
    waveform = silence.at[0].set(tone_in_noise(2000, 8000)[0])
    gradient = jax.jit(jax.grad(lambda w: audio.mfcc(w, 8000, n_fft=256, n_mels=32).sum()))(waveform)
    assert np.isfinite(gradient).all() and np.abs(gradient[0]).max() > 0


def test_an_example_does_not_change_its_neighbours_features():
    waveform = jnp.asarray(tone_in_noise(2000, 8000))
    quiet = audio.log_mel(waveform[:1] * 0.01, 8000, n_fft=256, n_mels=32)
    beside_loud = audio.log_mel(jnp.concatenate([waveform[:1] * 0.01, waveform[1:]]), 8000, n_fft=256, n_mels=32)
    np.testing.assert_allclose(beside_loud[:1], quiet, atol=1e-4)


def test_griffin_lim_comes_near_the_magnitude_and_as_near_as_librosas():
    magnitude = jnp.sqrt(audio.spectrogram(jnp.asarray(tone_in_noise(4001, 8000)), 256, 64))

    def miss(waveform):
        rebuilt = jnp.sqrt(audio.spectrogram(jnp.asarray(waveform), 256, 64))
        return float(jnp.linalg.norm(rebuilt - magnitude) / jnp.linalg.norm(magnitude))

    ours = jax.jit(lambda m, k: audio.griffin_lim(m, k, 64, 4001))(magnitude, jax.random.key(0))
    theirs = librosa.griffinlim(
        np.asarray(magnitude).swapaxes(-1, -2), hop_length=64, length=4001, random_state=0, pad_mode="constant"
    )
    assert ours.shape == (2, 4001)
    assert miss(ours) < 0.2 and miss(ours) < 1.1 * miss(theirs)


def test_a_waveform_from_log_mel_has_about_that_log_mel():
    options = dict(n_fft=256, hop_length=64)
    mel = audio.log_mel(tone_in_noise(4001, 8000), 8000, n_mels=40, **options)
    waveform = jax.jit(lambda m, k: audio.invert_log_mel(m, k, 8000, 4001, **options))(mel, jax.random.key(0))
    assert np.abs(waveform).max() <= 1.0
    again = audio.log_mel(waveform, 8000, n_mels=40, **options)
    assert np.abs(again - mel).mean() < 2.0  # dB


@pytest.mark.parametrize(
    "wrong, part",
    [
        (lambda w: audio.log_mel(w, 8000, fmax=5000.0), "fmax 5000"),
        (lambda w: audio.log_mel(w, 8000, n_fft=128, n_mels=80), "hold no frequency"),
        (lambda w: audio.mfcc(w, 8000, n_mfcc=50), "n_mels = 40"),
        (lambda w: audio.deltas(w[None], width=8), "odd width"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(wrong, part):
    with pytest.raises(ValueError, match=part) as error:
        wrong(jnp.zeros((1, 1000)))
    assert "\n" not in str(error.value)
