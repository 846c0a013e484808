"""MoCoGAN: the frames that each part of the latent changes, and the frames that each logit sees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators import frame_and_clip
from mmgen_jax.networks.generators.mocogan import Generator

RNG = np.random.default_rng(0)
SHAPE = (4, 8, 8, 1)
LATENT = RNG.normal(size=(2, 5 + 4 * 3)).astype(np.float32)  # 5 of the content, 3 for each frame
SEEN = Condition(*(RNG.normal(size=(2, 1, 6)).astype(np.float32), np.ones((2, 1), bool)), LATENT[:, :6])
FIELDS = {"noise_dim": 3, "motion_dim": 4, "width": 4, "max_width": 4, "norm": "layer"}


@functools.cache
def generator():
    module = Generator(SHAPE, **FIELDS)
    return module, module.init(jax.random.key(0), LATENT, None), jax.jit(module.apply)


def changed_frames(latent):
    _, variables, apply = generator()
    before, after = (np.asarray(apply(variables, x, None)) for x in (LATENT, latent))
    return np.flatnonzero(np.abs(after - before).max((0, 2, 3, 4)) > 1e-6).tolist()


def test_the_content_is_of_all_frames_and_the_noise_of_a_frame_of_that_and_later_ones():
    content, noise = LATENT.copy(), LATENT.copy()
    content[:, 2] += 1
    noise[:, 5 + 2 * 3] += 1  # of the frame 2
    assert changed_frames(content) == [0, 1, 2, 3]
    assert changed_frames(noise) == [2, 3]


def test_conditions_and_every_parameter_count():
    module = Generator(SHAPE, **FIELDS, conditions_at="both")
    variables = module.init(jax.random.key(0), LATENT, SEEN)
    loss = lambda own, pooled: jnp.sum(module.apply(own, LATENT, SEEN.replace(pooled=pooled)) ** 2)  # noqa: E731
    slopes, of_condition = jax.jit(jax.grad(loss, argnums=(0, 1)))(variables, SEEN.pooled)
    assert np.abs(of_condition).max() > 0
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0, jax.tree_util.keystr(path)


@pytest.mark.parametrize("condition", [None, SEEN], ids=["alone", "conditional"])
def test_half_of_the_logits_see_one_frame_and_half_the_order_of_all(condition):
    module = frame_and_clip.Discriminator(width=4, max_width=4)
    clips = RNG.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    variables = module.init(jax.random.key(0), clips, condition)
    apply = jax.jit(module.apply)
    before, after = (np.asarray(apply(variables, x, condition)) for x in (clips, clips[:, [1, 0, 2, 3]]))
    assert before.shape == (2, 8)
    np.testing.assert_allclose(after[:, [1, 0, 2, 3]], before[:, :4], atol=1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).min() > 1e-6
    np.testing.assert_array_equal(before[:, 4:], np.repeat(before[:, 4:5], 4, axis=1))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"draws clips \[T, H, W, C\], got shape \(8, 8, 1\)"):
        Generator((8, 8, 1))
    with pytest.raises(ConfigError, match=r"noise_dim: 4 frames take 12 values .* above 12, got 12"):
        jax.eval_shape(Generator(SHAPE, **FIELDS).init, jax.random.key(0), LATENT[:, :12], None)
    with pytest.raises(ConfigError, match="frame_and_clip: judges clips"):
        jax.eval_shape(frame_and_clip.Discriminator().init, jax.random.key(0), np.zeros((2, 8, 8, 1)), None)
