"""The U-Net: shapes, what its output depends on, and that everything in it is trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.unet import Generator

RNG = np.random.default_rng(0)


def inputs(size=8, channels=3, num=2):
    x = RNG.normal(size=(num, size, size, channels)).astype(np.float32)
    tokens = RNG.normal(size=(num, 5, 6)).astype(np.float32)
    mask = np.broadcast_to(np.array([True, True, True, False, False]), (num, 5))
    return x, np.linspace(0.2, 0.7, num, dtype=np.float32), Condition(tokens, mask, tokens.mean(axis=1))


SMALL = Generator(channels=(16, 32), features=16)
X, TIME, FUSED = inputs()


@pytest.fixture(scope="module")
def params():
    return jax.jit(SMALL.init)(jax.random.key(0), X, TIME, FUSED)


@pytest.fixture(scope="module")
def apply(params):
    compiled = jax.jit(SMALL.apply)
    return lambda x=X, time=TIME, condition=FUSED: np.asarray(compiled(params, x, time, condition))


@pytest.mark.parametrize(
    "size, channels, fields",
    [
        (28, 1, {"channels": (32, 128)}),
        (32, 3, {"channels": (32, 64, 128), "num_blocks": 2}),
        (64, 3, {"channels": (32, 64, 128), "patch_size": 4}),
        (7, 4, {"channels": (64,), "patch_size": 1}),
        (8, 4, {"channels": (64, 128), "patch_size": 1}),
    ],
)
def test_the_output_has_the_shape_of_the_input(size, channels, fields):
    x, time, condition = inputs(size, channels)
    generator = Generator(**fields)
    for given in (condition, None):
        output, _ = jax.eval_shape(lambda c=given: generator.init_with_output(jax.random.key(0), x, time, c))
        assert output.shape == x.shape and output.dtype == jnp.float32


@pytest.mark.parametrize("shape", [(2, 28, 28, 1), (2, 32, 28, 1)])
def test_sides_that_do_not_divide_are_refused(shape):
    with pytest.raises(ValueError, match="sides that are multiples of 8"):
        Generator(channels=(8, 8, 8)).init(jax.random.key(0), jnp.zeros(shape), TIME, None)


def test_the_output_depends_on_input_time_and_conditions(apply):
    first = apply()
    others = {
        "x": apply(x=X[::-1]),
        "time": apply(time=TIME + 0.1),
        "pooled": apply(condition=FUSED.replace(pooled=FUSED.pooled + 1)),
        "tokens": apply(condition=FUSED.replace(tokens=FUSED.tokens[:, [1, 0, 0, 3, 4]])),
        "mask": apply(condition=FUSED.replace(mask=np.ones((2, 5), bool))),
    }
    for name, other in others.items():
        assert np.abs(other - first).max() > 1e-5, name
    hidden = FUSED.tokens.copy()
    hidden[:, 3:] = 7.0
    np.testing.assert_array_equal(apply(condition=FUSED.replace(tokens=hidden)), first)


def test_examples_do_not_see_each_other(apply):
    second = jax.tree.map(lambda rows: rows[[1, 1]], (X, TIME, FUSED))
    np.testing.assert_allclose(apply(*second)[1], apply()[1], atol=1e-6)


def test_gradient_reaches_everything(params):
    def loss(params):
        return jnp.mean((SMALL.apply(params, X, TIME, FUSED) - X[::-1]) ** 2)

    grads = jax.jit(jax.grad(loss))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        name = jax.tree_util.keystr(path)
        if "['key']['bias']" in name:
            continue  # shifts all logits of a query alike, which attention does not see
        assert np.linalg.norm(leaf) > 1e-7, name


def test_sixteen_bits_give_nearly_the_same(params, apply):
    half = jax.jit(Generator(channels=(16, 32), features=16, dtype=jnp.bfloat16).apply)(params, X, TIME, FUSED)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(np.float32), apply(), atol=0.02)
