"""Super-resolution of clips: what a frame is drawn from, and the control of the same size that sees one frame."""

import functools

import jax
import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.clip_subpixel import Generator

SMALL = np.random.default_rng(0).uniform(-1, 1, (2, 7, 4, 4, 3)).astype(np.float32)
SHAPE = (7, 8, 8, 3)


def seen(small):
    return Condition(None, None, None, {"small": small})


@functools.cache
def variables(own_frame):
    return Generator(SHAPE, width=4, num_blocks=1, own_frame=own_frame).init(jax.random.key(0), None, seen(SMALL))


def drawn(small, own_frame, own=None):
    module = Generator(SHAPE, width=4, num_blocks=1, own_frame=own_frame)
    return np.asarray(jax.jit(module.apply)(own or variables(own_frame), None, seen(small)))


@pytest.mark.parametrize("own_frame", [False, True])
def test_a_frame_sees_its_window_or_itself(own_frame):
    changed = SMALL.copy()
    changed[:, 3] *= -1
    moved = np.abs(drawn(changed, own_frame) - drawn(SMALL, own_frame)).max((0, 2, 3, 4)) > 1e-6
    np.testing.assert_array_equal(np.flatnonzero(moved), [3] if own_frame else [1, 2, 3, 4, 5])


def test_the_control_has_the_same_parameters_and_the_same_output_for_a_still_clip():
    several, one = variables(False), variables(True)
    assert jax.tree.map(np.shape, several) == jax.tree.map(np.shape, one)
    still = np.repeat(SMALL[:, :1], 7, axis=1)
    np.testing.assert_allclose(drawn(still, True, several), drawn(still, False, several), atol=1e-6)


def test_without_its_last_layer_the_output_is_the_enlarged_clip():
    own = jax.tree.map(lambda leaf: leaf, variables(False))
    own["params"]["output"] = jax.tree.map(np.zeros_like, own["params"]["output"])
    enlarged = jax.image.resize(SMALL, (2, *SHAPE), "cubic")
    np.testing.assert_allclose(drawn(SMALL, False, own), enlarged, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "small", "expected"),
    [
        ({"shape": (8, 8, 3)}, SMALL, "draws clips"),
        ({"window": 4}, SMALL, "window: expected an odd number of frames, got 4"),
        ({"source": "photo"}, SMALL, "'photo' is no aligned source; config.aligned has: small"),
        ({}, SMALL[:, :5], r"the frames and channels of the target \[7, 8, 8, 3\].*got 'small' \[5, 4, 4, 3\]"),
        ({}, SMALL[..., :1], "frames and channels"),
        ({}, SMALL[:, :, :3], "divided by one whole number"),
    ],
)
def test_what_does_not_fit_is_refused(fields, small, expected):
    module = Generator(**{"shape": SHAPE, "width": 4, **fields})
    with pytest.raises(ConfigError, match=expected):
        jax.eval_shape(module.init, jax.random.key(0), None, seen(small))


def test_a_second_source_is_refused():
    both = Condition(None, None, None, {"small": SMALL, "edges": SMALL})
    with pytest.raises(ConfigError, match="reads the aligned source 'small' alone, got edges, small"):
        jax.eval_shape(Generator(SHAPE, width=4).init, jax.random.key(0), None, both)
