"""The transform `log_mel` gives the vectors of the representation `log_mel`."""

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.representations import log_mel

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "rate, size, fields",
    [(8000, 6144, {}), (16000, 6000, {"n_mels": 40, "floor": -60.0}), (8000, 3000, {"n_fft": 400, "hop_length": 100})],
)
def test_vectors_are_those_of_the_representation(rate, size, fields):
    of = Modality("audio", (size,), sample_rate=rate)
    sound = (0.3 * RNG.normal(size=size) * np.linspace(0, 1, size) ** 2).astype(np.float32)
    transform = lookup.build("transforms", {"name": "log_mel", "sample_rate": rate, **fields})
    given = transform(sound, rng=RNG)
    check_batch({"x": given[None]}, {"x": transform.modality(of)})
    theirs = log_mel.Representation(modality=of, **fields).encode({}, {}, sound[None])
    np.testing.assert_allclose(given, theirs[0], atol=1e-4)


@pytest.mark.parametrize("of", [Modality("audio", (800,), sample_rate=16000), Modality("image", (8, 8, 3))])
def test_another_rate_or_no_sound_is_refused(of):
    transform = lookup.build("transforms", {"name": "log_mel", "sample_rate": 8000})
    with pytest.raises(ConfigError, match=r"sample_rate: expected a sound of 8000 Hz, got (16000 Hz|kind 'image')"):
        transform.modality(of)
