"""Clips drawn frame by frame: each frame has its own code, and the condition of its time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.temporal import Generator

SHAPE = (4, 16, 16, 2)
RNG = np.random.default_rng(0)
LATENT = RNG.normal(size=(3, 6)).astype(np.float32)
FIELDS = {"features": 5, "width": 4, "max_width": 8, "norm": "layer", "conditions_at": "both"}


def condition(clip=True):
    aligned = RNG.uniform(-1, 1, (3, *(SHAPE[:1] if clip else ()), 8, 8, 1)).astype(np.float32)
    tokens = RNG.normal(size=(3, 2, 5)).astype(np.float32)
    return Condition(tokens, np.ones((3, 2), bool), tokens.mean(1), {"sketch": aligned})


def drawn(seen=None, latent=LATENT):
    generator = Generator(SHAPE, **FIELDS)
    variables = generator.init(jax.random.key(0), LATENT, seen)
    return generator, variables, generator.apply(variables, latent, seen)


@pytest.mark.slow
@pytest.mark.parametrize("clip", [True, False])
def test_a_frame_sees_its_own_time_of_an_aligned_clip(clip):
    seen = condition(clip)
    generator, variables, before = drawn(seen)
    assert before.shape == (3, *SHAPE)
    source = seen.aligned["sketch"].copy()
    if clip:
        source[:, 2] += 1
    after = generator.apply(variables, LATENT, seen.replace(aligned={"sketch": source + (0 if clip else 1)}))
    changed = np.abs(np.asarray(after - before)).max((0, 2, 3, 4)) > 1e-4
    np.testing.assert_array_equal(changed, [False, False, True, False] if clip else [True] * 4)


@pytest.mark.slow
def test_frames_differ_and_examples_do_not_see_each_other():
    _, _, clips = drawn(condition())
    clips = np.asarray(clips)
    assert all(np.abs(clips[:, t] - clips[:, 0]).max() > 1e-3 for t in range(1, 4))
    generator, variables, before = drawn()
    latent = LATENT.copy()
    latent[1] += 1
    after = generator.apply(variables, latent, None)
    changed = np.abs(np.asarray(after - before)).max((1, 2, 3, 4)) > 1e-6
    np.testing.assert_array_equal(changed, [False, True, False])


@pytest.mark.slow
def test_gradient_reaches_every_parameter():
    seen = condition()
    generator, variables, _ = drawn(seen)
    slopes = jax.grad(lambda p: jnp.sum(generator.apply({"params": p}, LATENT, seen) ** 2))(variables["params"])
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0, jax.tree_util.keystr(path)


def test_an_image_is_refused():
    with pytest.raises(ConfigError, match=r"temporal: draws clips \[T, H, W, C\], got shape \(16, 16, 3\)"):
        Generator((16, 16, 3))
