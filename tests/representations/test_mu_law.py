"""Companding against librosa, and every code there and back."""

import jax
import librosa
import numpy as np
import pytest

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Discrete
from mmgen_jax.representations.mu_law import SILENCE, Representation

REPRESENTATION = Representation(modality=Modality("audio", (256,), sample_rate=8000))


def encode(waveforms):
    return np.asarray(jax.jit(lambda x: REPRESENTATION.encode({}, {}, x))(np.asarray(waveforms, np.float32)))


def decode(codes):
    return np.asarray(jax.jit(lambda x: REPRESENTATION.decode({}, {}, x))(np.asarray(codes)))


def test_every_code_comes_back():
    codes = np.arange(256, dtype=np.int32)[None]
    sound = decode(codes)
    assert REPRESENTATION.space == Discrete(256, 256) and sound.dtype == np.float32
    assert sound[0, 0] == -1 and sound[0, 255] == 1 and (np.diff(sound[0]) > 0).all()
    np.testing.assert_array_equal(encode(sound), codes)
    np.testing.assert_allclose(sound, -sound[:, ::-1], atol=1e-6)


def test_silence_has_the_code_that_is_told():
    codes = encode(np.zeros((2, 256)))
    assert codes.dtype == np.int32 and (codes == SILENCE).all()
    np.testing.assert_allclose(decode(codes), 8.6e-5, rtol=0.01)


def test_levels_are_those_of_the_companding():
    wave = np.random.default_rng(0).uniform(-1, 1, (4, 256)) ** 3
    compressed = librosa.mu_compress(wave, mu=255, quantize=False)
    level = (compressed + 1) / 2 * 255 + 0.5
    between = np.abs(level - np.round(level)) > 1e-4  # what float32 does not round the other way
    assert between.mean() > 0.99
    np.testing.assert_array_equal(encode(wave)[between], np.floor(level)[between])
    levels = np.linspace(-1, 1, 256)
    np.testing.assert_allclose(decode(np.arange(256)[None])[0], librosa.mu_expand(levels, quantize=False), atol=1e-6)
    # Half a step of 2 / 255 where F is steepest against x: near 1, 2.2 % of x.
    np.testing.assert_allclose(decode(encode(wave)), wave, rtol=0.023, atol=1e-4)


def test_what_is_beyond_is_cut_off():
    assert encode(np.full((1, 256), 3.0)).max() == 255 and encode(np.full((1, 256), -3.0)).min() == 0


def test_only_sounds():
    with pytest.raises(ValueError, match="needs a sound"):
        Representation(modality=Modality("label", classes=("a", "b")))
