"""Distances between sounds: closed forms, librosa and SciPy."""

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.stats

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import sound, warping

RATE = 8000
RNG = np.random.default_rng(0)
TIME = np.arange(4000) / RATE


def voice(f0, seconds=0.5):
    """Ten harmonics of a changing F0 `[T]`, under a hump."""
    num = round(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.interp(np.arange(num), np.linspace(0, num, len(f0)), f0)) / RATE
    return 0.1 * np.sin(np.pi * np.arange(num) / num) * sum(np.sin(k * phase) / k for k in range(1, 11))


SOUNDS = np.stack([voice([100, 150, 120]), voice([200, 160]), 0.1 * RNG.normal(size=4000)])
OTHERS = SOUNDS[[1, 2, 0]]
ZERO = {
    "mel_cepstral_distortion": sound.mel_cepstral_distortion,
    "warped": lambda *arguments: sound.mel_cepstral_distortion(*arguments, warp=True),
    "log_spectral_distance": sound.log_spectral_distance,
    "warped_mel_distance": sound.warped_mel_distance,
}


@pytest.mark.parametrize("name", ZERO)
def test_a_sound_has_no_distance_from_itself_and_some_from_others(name):
    np.testing.assert_allclose(ZERO[name](SOUNDS, SOUNDS, RATE), np.zeros(3), atol=1e-5)
    assert (ZERO[name](OTHERS, SOUNDS, RATE) > 1).all()
    silent = ZERO[name](np.zeros_like(SOUNDS), SOUNDS, RATE)
    assert np.isfinite(silent).all() and (silent > 1).all()
    np.testing.assert_array_equal(ZERO[name](np.zeros_like(SOUNDS), np.zeros_like(SOUNDS), RATE), np.zeros(3))


@pytest.mark.parametrize("warp", [False, True])
def test_a_gain_of_6_db_changes_no_cepstral_distortion(warp):
    plain = sound.mel_cepstral_distortion(OTHERS, SOUNDS, RATE, warp)
    np.testing.assert_allclose(sound.mel_cepstral_distortion(2 * OTHERS, SOUNDS, RATE, warp), plain, rtol=1e-9)
    np.testing.assert_allclose(sound.mel_cepstral_distortion(OTHERS, 2 * SOUNDS, RATE, warp), plain, rtol=1e-9)


def test_a_gain_of_6_db_is_6_db_of_spectral_distance():
    noise = SOUNDS[2:]
    np.testing.assert_allclose(sound.log_spectral_distance(2 * noise, noise, RATE), 20 * np.log10(2), rtol=1e-3)
    np.testing.assert_allclose(sound.warped_mel_distance(2 * noise, noise, RATE), 20 * np.log10(2), rtol=0.15)


def test_cepstra_are_librosas_up_to_their_scale():
    power = librosa.feature.melspectrogram(
        y=SOUNDS[2].astype(np.float32), sr=RATE, n_fft=512, hop_length=128, n_mels=40, pad_mode="constant"
    )
    theirs = scipy.fft.dct(0.5 * np.log(power), axis=0, norm=None)[:14] / 40  # twice the sum, without a weight
    theirs[0] /= 2
    np.testing.assert_allclose(sound.cepstra(SOUNDS[2:], RATE)[0], theirs.T, atol=2e-4)


def test_distortion_is_the_root_mean_square_of_smooth_spectra_in_db():
    """A difference of one cepstrum by δ: `20 / ln 10 · δ cos` has the root mean square `K δ`."""
    bands = np.pi * (np.arange(4000) + 0.5) / 4000
    for order, delta in ((1, 0.3), (5, -0.7)):
        decibels = 20 / np.log(10) * delta * np.cos(order * bands)
        assert np.sqrt((decibels**2).mean()) == pytest.approx(sound.DISTORTION * abs(delta))
    assert pytest.approx(6.1418, abs=1e-4) == sound.DISTORTION


def test_distortion_is_per_frame():
    """Twice the sound one after the other: the mean, not the sum."""
    twice = [np.concatenate([x, x], axis=1) for x in (OTHERS, SOUNDS)]
    np.testing.assert_allclose(
        sound.mel_cepstral_distortion(*twice, RATE), sound.mel_cepstral_distortion(OTHERS, SOUNDS, RATE), rtol=0.1
    )


def test_warping_is_librosas():
    for shape in ((7, 11), (12, 5), (1, 6), (9, 1), (1, 1)):
        distances = RNG.uniform(size=shape)
        theirs, path = librosa.sequence.dtw(C=distances, backtrack=True)
        np.testing.assert_allclose(warping.accumulated(distances), theirs, rtol=1e-12)
        assert warping.warped_mean(distances) == pytest.approx(theirs[-1, -1] / len(path))


def test_warping_undoes_a_shift():
    late = np.pad(SOUNDS, ((0, 0), (640, 0)))[:, :4000]
    for name in ("warped", "warped_mel_distance"):
        plain = ZERO["mel_cepstral_distortion"](late, SOUNDS, RATE)
        assert (ZERO[name](late, SOUNDS, RATE)[:2] < ZERO[name](OTHERS, SOUNDS, RATE)[:2]).all()
    assert (ZERO["warped"](late, SOUNDS, RATE) < 0.7 * plain).all()


@pytest.mark.parametrize("f0", [70.0, 123.4, 250.0, 390.0])
def test_pitch_of_a_constant_tone(f0):
    found = sound.pitch(voice([f0, f0]), RATE)
    inner = slice(4, -4)
    assert found.voiced[inner].all()
    np.testing.assert_allclose(found.f0[inner], f0, rtol=0.01)


def test_pitch_of_a_glide_is_as_near_as_librosas():
    glide = voice([100, 180, 140], 1.0)
    ours = sound.pitch(glide, RATE, 128)
    true = np.interp(np.arange(len(ours.f0)) * 128, [0, RATE / 2, RATE], [100, 180, 140])
    theirs = librosa.yin(glide, fmin=60, fmax=400, sr=RATE, frame_length=512, hop_length=128, trough_threshold=0.15)
    kept = ours.voiced.copy()
    kept[:4] = kept[-4:] = False  # the ends of the window are silent
    assert kept.mean() > 0.7
    np.testing.assert_allclose(ours.f0[kept], true[kept], rtol=0.04)
    error, other = (np.abs(f0[kept] - true[kept]).mean() for f0 in (ours.f0, theirs[: len(true)]))
    assert error < 1.5 * other


def test_noise_and_silence_have_no_pitch():
    assert sound.pitch(SOUNDS[2], RATE).voiced.mean() < 0.1
    assert not sound.pitch(np.zeros(4000), RATE).voiced.any()


def test_pitch_agreement():
    correlation, voicing = sound.pitch_agreement(SOUNDS, SOUNDS, RATE)
    np.testing.assert_allclose(correlation[:2], 1)
    np.testing.assert_array_equal(voicing, np.ones(3))
    assert np.isnan(correlation[2])  # noise has no frame with a pitch
    upside_down = np.stack([voice([150, 100, 130])])
    assert sound.pitch_agreement(upside_down, SOUNDS[:1], RATE)[0][0] < -0.9


def test_correlation_is_scipys_and_of_a_constant_0():
    a, b = RNG.normal(size=(2, 30))
    assert sound.correlation(a, b) == pytest.approx(scipy.stats.pearsonr(a, b).statistic)
    assert sound.correlation(a, np.ones(30)) == 0


def test_envelope_correlation():
    np.testing.assert_allclose(sound.envelope_correlation(3 * SOUNDS, SOUNDS, RATE), np.ones(3))
    hum = np.sin(2 * np.pi * 440 * TIME) * np.stack([TIME, 0.5 - TIME])
    assert sound.envelope_correlation(hum[:1], hum[1:], RATE)[0] < -0.9


def test_sounds_of_other_lengths_are_refused():
    with pytest.raises(InputError, match="one shape"):
        sound.log_spectral_distance(SOUNDS[:, :100], SOUNDS, RATE)
