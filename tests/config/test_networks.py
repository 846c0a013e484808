"""A network for each target: built with the target's facts, overridden and refused by its place."""

import pytest
import tiny

from mmgen_jax.config import loading, override, without_data
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError, LookupFailed

REFERENCE = f"{tiny.ROOT}/configs/multimodal_vae.py:captioned_shapes"


def built(changes):
    config = override.override(loading.load(REFERENCE), changes)
    without_data.check(config)
    return build_system(config, open_source(config).modalities)


def test_each_target_has_its_own_network():
    objective = built({"generator.text.width": 24}).objective
    assert objective.generator["text"].width == 24 and objective.generator["text"].shape == (10, 25)
    assert objective.generator["image"].shape == (32, 32, 3) and objective.target_encoder["text"].vocab_size == 25


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"generator.text.widht": 8}, "config.generator.text has no field 'widht'"),
        ({"generator.text.width": 0}, "config.generator.text.width: expected a whole number, at least 1"),
        (
            {"generator.text": None},
            "generator: expected one component, or one for each target .image, text., got image",
        ),
        ({"generator.image.name": "unet"}, "config.generator.image: objective 'multimodal_vae' calls a generator with"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(changes, message):
    with pytest.raises((ConfigError, LookupFailed), match=message):
        built(changes)
