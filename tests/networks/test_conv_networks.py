"""The convolutional generator and discriminator: first weights, a bias behind the latent, words and regions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import traverse_util

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators import word_region
from mmgen_jax.networks.discriminators.conv import Discriminator, Trunk
from mmgen_jax.networks.generators.conv import Generator

LATENT = jax.random.normal(jax.random.key(0), (16, 20))


def kernels(module, *inputs):
    params = module.init(jax.random.key(1), *inputs)["params"]
    return {"/".join(path): leaf for path, leaf in traverse_util.flatten_dict(params).items() if path[-1] == "kernel"}


def networks(**fields):
    yield Generator((32, 32, 1), width=8, **fields), (LATENT, None)
    yield Discriminator(width=8, norm="batch", **fields), (jnp.zeros((4, 32, 32, 1)), None)


@pytest.mark.parametrize("std", [0.02, 0.3])
def test_initial_weights_have_the_standard_deviation_that_was_asked(std):
    for module, inputs in networks(init_std=std):
        for name, kernel in kernels(module, *inputs).items():
            np.testing.assert_allclose(np.std(kernel), std, rtol=4 / np.sqrt(2 * kernel.size), err_msg=name)


def test_initial_weights_are_by_the_number_of_inputs_where_none_is_asked():
    for module, inputs in networks():
        for name, kernel in kernels(module, *inputs).items():
            inputs_of_one = np.prod(kernel.shape[:-1])
            np.testing.assert_allclose(
                np.std(kernel), inputs_of_one**-0.5, rtol=4 / np.sqrt(2 * kernel.size), err_msg=name
            )


def searched(num=5, words=3):
    """`(module, variables, pictures, Condition)` of a word-region discriminator; every other example lacks one word."""
    module = word_region.Discriminator(width=4, features=6)
    keys = jax.random.split(jax.random.key(2), 3)
    mask = jnp.ones((num, words), bool).at[::2, -1].set(False)
    condition = Condition(jax.random.normal(keys[0], (num, words, 7)), mask, jnp.zeros((num, 7)))
    pictures = jax.random.normal(keys[1], (num, 16, 16, 3))
    return module, module.init(keys[2], pictures, condition), pictures, condition


def test_words_attend_to_regions():
    module, variables, pictures, condition = searched()
    params = variables["params"]
    maps = Trunk(width=4).apply({"params": params["Trunk_0"]}, pictures)
    h = np.asarray(maps).reshape(len(pictures), -1, maps.shape[-1])
    assert h.shape[1] == 16  # 4 x 4 regions

    def dense(name, x):
        return x @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"])

    for i, logit in enumerate(module.apply(variables, pictures, condition)):
        regions, words = dense("regions", h[i]), dense("words", np.asarray(condition.tokens[i]))
        matches = []
        for word in words[np.asarray(condition.mask[i])]:
            scores = regions @ word / np.sqrt(6)
            attention = np.exp(scores) / np.exp(scores).sum()
            matches.append(attention @ scores)
        np.testing.assert_allclose(logit, dense("realism", h[i].ravel())[0] + np.mean(matches), rtol=1e-4)


def test_masked_words_and_the_order_of_words_do_not_count():
    module, variables, pictures, condition = searched()
    expected = module.apply(variables, pictures, condition)
    garbage = jnp.where(condition.mask[..., None], condition.tokens, 1e6)
    np.testing.assert_array_equal(module.apply(variables, pictures, condition.replace(tokens=garbage)), expected)
    turned = condition.replace(tokens=condition.tokens[:, ::-1], mask=condition.mask[:, ::-1])
    np.testing.assert_allclose(module.apply(variables, pictures, turned), expected, rtol=1e-5)
    without = module.apply(variables, pictures, condition.replace(mask=jnp.zeros_like(condition.mask)))
    assert np.isfinite(without).all() and np.abs(without - expected).min() > 1e-4
    with pytest.raises(ValueError, match="needs conditions"):
        module.apply(variables, pictures, None)


@pytest.mark.slow
def test_a_gan_trains_with_words_and_regions():
    config = tiny.config("gan", steps=2)
    with config.unlocked():
        config.discriminator = {"name": "word_region", "width": 8, "max_width": 16, "spectral_norm": True}
        config.objective.mismatch = 0.5
    training = tiny.Training(config)
    before, (after, metrics) = training.init(), training.run(2)
    assert np.isfinite(metrics["discriminator/loss"]).all()
    networks = (state.params["discriminator"]["network"] for state in (before, after))
    for one, other in zip(*map(jax.tree.leaves, networks), strict=True):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("input_bias", [True, False])
def test_without_a_bias_behind_it_the_latent_alone_makes_the_picture(input_bias):
    """Its size is normalised away, unless something is added to it."""
    module = Generator((16, 16, 1), width=8, input_bias=input_bias)
    variables = module.init(jax.random.key(1), LATENT, None, train=True)
    moved = jax.tree.map(lambda leaf: leaf + 0.5 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), variables)

    def draw(scale):
        return module.apply(moved, scale * LATENT, None, train=True, mutable="batch_stats")[0]

    change = np.abs(draw(4.0) - draw(1.0)).max() / np.std(draw(1.0))
    assert change > 0.1 if input_bias else change < 1e-3


@pytest.mark.parametrize(("name", "shape"), [("conv", (8, 8, 1)), ("mlp", (8, 8, 1)), ("temporal", (4, 8, 8, 1))])
def test_a_generator_without_latent_and_conditions_is_refused(name, shape):
    generator = lookup.find("generators", name)(shape)
    with pytest.raises(ConfigError, match=f"generators/{name}: starts from the latent and has none"):
        jax.eval_shape(generator.init, jax.random.key(0), jnp.zeros((2, 0)), None)
