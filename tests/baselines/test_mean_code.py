"""The mean spectrogram as a sound."""

import numpy as np
import pytest
import tiny
from tiny import ROOT

from mmgen_jax.baselines import base
from mmgen_jax.config import loading
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError


def test_it_is_the_decoded_mean_of_the_training_codes():
    config = tiny.shrink(
        loading.load(f"{ROOT}/configs/any_to_any.py:scenes,target=audio,family=variational,conditions=text")
    )
    source = open_source(config)
    code = build_system(config, source.modalities).objective.code
    sounds = source.read(np.arange(len(source)), np.zeros(len(source), int))["audio"]
    expected = np.asarray(code.encode({}, {}, sounds)).mean(axis=0, keepdims=True)
    drawn = base.create("mean_code", config, "audio")({"text": np.zeros((2, 1), np.int32)})["audio"]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_allclose(drawn[0], np.asarray(code.decode({}, {}, expected))[0], atol=1e-3)


def test_it_needs_a_representation_that_is_not_trained():
    with pytest.raises(ConfigError, match="expected a config with a representation that is not trained"):
        base.create("mean_code", tiny.config("vae"), "image")
