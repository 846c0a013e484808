"""Image to image: where the latent enters, what patches see, and a GAN from an aligned source."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import linen as nn

from mmgen_jax.config import schema
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators import patch
from mmgen_jax.networks.generators import translation, unet_translation
from mmgen_jax.objectives import adversarial

RNG = np.random.default_rng(0)
SHAPE = (16, 16, 3)
LATENT = RNG.normal(size=(2, 6)).astype(np.float32)
SOURCE = Condition(None, None, None, {"edges": RNG.normal(size=(2, 16, 16, 1)).astype(np.float32)})


def drawn(module, latent=LATENT, **call):
    variables = jax.jit(module.init)(jax.random.key(0), latent, SOURCE)
    return variables, lambda latent=latent: np.asarray(module.apply(variables, latent, SOURCE, **call))


@pytest.mark.parametrize("vector_at, shape", [("bias", SHAPE), ("norm", SHAPE), ("both", SHAPE), ("norm", (8, 8, 3))])
def test_where_the_latent_enters(vector_at, shape):
    """A grid that is halved once has no normalisation for it to enter."""
    variables, draw = drawn(translation.Generator(shape, width=4, vector_at=vector_at))
    names = variables["params"]
    assert ("vector" in names) == (vector_at != "norm" or shape != SHAPE)
    assert ("ConditionalNorm_0" in names) == (vector_at != "bias" and shape == SHAPE)
    assert np.abs(draw(2 * LATENT) - draw()).max() > 1e-5


def test_a_grid_of_odd_sides_is_refused():
    source = Condition(None, None, None, {"edges": np.zeros((2, 33, 16, 1), np.float32)})
    with pytest.raises(ConfigError, match=r"cannot halve the sides of \(33, 16\); choose even sides"):
        translation.Generator((33, 16, 3), width=4).init(jax.random.key(0), LATENT, source)


@pytest.mark.parametrize("cls", [translation.Generator, unet_translation.Generator])
def test_without_a_latent_it_is_a_function_of_the_source(cls):
    fields = {"width": 4} if cls is translation.Generator else {"channels": (4, 8), "features": 8}
    for latent in (None, np.zeros((2, 0), np.float32)):
        init = cls(shape=SHAPE, **fields).init_with_output
        output, variables = jax.eval_shape(init, jax.random.key(0), latent, SOURCE)
        assert output.shape == (2, *SHAPE)
        assert not {"vector", "ConditionalNorm_0"} & set(variables["params"])
    with pytest.raises(ValueError, match=r"starts from aligned sources, got none; name one in config\.aligned"):
        cls(shape=SHAPE, **fields).init(jax.random.key(0), LATENT, None)


def test_skips_are_joined_or_added_and_dropout_is_noise():
    joined, added = (
        drawn(translation.Generator(SHAPE, width=4, skips=skips))[0]["params"] for skips in ("concat", "add")
    )
    assert joined["output"]["kernel"].shape[2] == 2 * added["output"]["kernel"].shape[2]
    with pytest.raises(ValueError, match="skips: expected add or concat, got 'cat'"):
        drawn(translation.Generator(SHAPE, width=4, skips="cat"))
    with pytest.raises(ValueError, match="vector_at: expected one of bias, norm, both, got 'input'"):
        drawn(translation.Generator(SHAPE, width=4, vector_at="input"))
    module = translation.Generator(SHAPE, width=4, dropout=0.5)
    variables, draw = drawn(module)
    noisy = module.apply(variables, LATENT, SOURCE, train=True, rngs={"dropout": jax.random.key(1)})
    assert np.abs(noisy - draw()).max() > 1e-4


@pytest.mark.parametrize("num_stages, field", [(1, 16), (2, 34), (3, 70)])
def test_a_patch_sees_as_many_cells_as_stated(num_stages, field):
    module = patch.Discriminator(width=2, max_width=2, num_stages=num_stages, norm="none")
    x = RNG.normal(size=(1, 160, 2)).astype(np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), x, None)
    cells = 160 >> num_stages
    gradient = jax.jit(jax.grad(lambda x: module.apply(variables, x, None)[0, cells // 2]))(x)
    seen = np.flatnonzero(np.abs(gradient[0]).max(-1))
    assert seen[-1] - seen[0] + 1 == field


def test_a_single_patch_is_refused_and_spectral_normalisation_bounds_every_layer():
    with pytest.raises(ValueError, match="3 stages leave a single patch"):
        patch.Discriminator().init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), None)
    module = patch.Discriminator(width=4, num_stages=1, spectral_norm=True)
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((2, *SHAPE)), None)
    assert len(variables["batch_stats"]) == 3  # two convolutions and the output


class Pixels(nn.Module):
    """A logit for each pixel: its first channel, times a parameter."""

    @nn.compact
    def __call__(self, x, condition, train: bool = False):
        return self.param("scale", nn.initializers.ones, ()) * x[..., 0]


class Constant(nn.Module):
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, latent, condition, train: bool = False):
        return jnp.zeros((len(latent), *self.shape)) + self.param("value", nn.initializers.ones, ())


def test_the_loss_of_an_example_is_the_mean_of_its_patches():
    objective = adversarial.Objective(
        target="image",
        modality=Modality("image", SHAPE),
        discriminator=Pixels(),
        generator=Constant(SHAPE),
        loss_type="hinge",
        r1=0.5,
        latent_dim=2,
    )
    real = RNG.uniform(-1, 1, (4, *SHAPE)).astype(np.float32)
    batch = {"image": real, "image/mask": np.array([True, True, False, True])}
    state = objective.init(jax.random.key(0), batch)
    params, collections = {p: v["params"] for p, v in state.items()}, {p: {} for p in state}
    loss, _ = objective.loss("discriminator", params, collections, batch, jax.random.key(1))
    fake = np.tanh(1.0)
    logits = real[[0, 1, 3]][..., 0]
    per_example = np.maximum(1 - logits, 0).mean((1, 2)) + 1 + fake
    r1 = 0.5 * 16 * 16  # the gradient of the sum of an example's logits
    np.testing.assert_allclose(loss, per_example.mean() + 0.5 * r1, rtol=1e-5)
    loss, _ = objective.loss("generator", params, collections, batch, jax.random.key(1))
    np.testing.assert_allclose(loss, -fake, rtol=1e-5)


@pytest.mark.slow
def test_a_gan_from_an_aligned_source_alone():
    """A still picture to a clip: every parameter moves, and the sample follows the source."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image", "video")}
    config.aligned = ("image",)
    config.generator = {"name": "translation", "norm": "layer"}
    config.discriminator = {"name": "patch", "num_stages": 1, "norm": "layer", "spectral_norm": True}
    config.objective = {"name": "adversarial", "target": "video", "loss_type": "least_squares", "latent_dim": 4}
    config.optimizers = {"generator": {"lr": 1e-3}, "discriminator": {"lr": 1e-3}}
    training = tiny.Training(tiny.shrink(config.lock()))
    before, (after, metrics) = training.init(), training.run(1)
    assert np.isfinite(metrics["discriminator/loss"]).all() and np.isfinite(metrics["generator/loss"]).all()
    for path, leaf in jax.tree_util.tree_leaves_with_path(after.params):
        old = before.params
        for key in path:
            old = old[key.key]
        assert not np.array_equal(old, leaf) or "['key']['bias']" in jax.tree_util.keystr(path), path
    batch = next(training.batches())
    batch = training.system.without_targets(batch)
    other = batch | {"image": batch["image"][::-1]}
    draw = jax.jit(lambda batch: training.objective.sample(after.params, after.collections, batch, jax.random.key(0)))
    samples = draw(batch)["video"], draw(other)["video"]
    tiny.assert_sample(samples[0], training.source.modalities["video"], 8)
    assert np.abs(np.asarray(samples[0]) - samples[1]).max() > 1e-5
