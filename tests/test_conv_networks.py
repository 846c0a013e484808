"""The convolutional generator and discriminator: their first weights, and what a bias behind the latent does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from mmgen_jax.discriminators import conv as discriminators
from mmgen_jax.generators import conv as generators

LATENT = jax.random.normal(jax.random.key(0), (16, 20))


def kernels(module, *inputs):
    params = module.init(jax.random.key(1), *inputs)["params"]
    return {"/".join(path): leaf for path, leaf in traverse_util.flatten_dict(params).items() if path[-1] == "kernel"}


def networks(**fields):
    yield generators.Generator((32, 32, 1), width=8, **fields), (LATENT, None)
    yield discriminators.Discriminator(width=8, norm="batch", **fields), (jnp.zeros((4, 32, 32, 1)), None)


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


@pytest.mark.parametrize("input_bias", [True, False])
def test_without_a_bias_behind_it_the_latent_alone_makes_the_picture(input_bias):
    """Its size is normalised away, unless something is added to it."""
    module = generators.Generator((16, 16, 1), width=8, input_bias=input_bias)
    variables = module.init(jax.random.key(1), LATENT, None, train=True)
    moved = jax.tree.map(lambda leaf: leaf + 0.5 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), variables)

    def draw(scale):
        return module.apply(moved, scale * LATENT, None, train=True, mutable="batch_stats")[0]

    change = np.abs(draw(4.0) - draw(1.0)).max() / np.std(draw(1.0))
    assert change > 0.1 if input_bias else change < 1e-3
