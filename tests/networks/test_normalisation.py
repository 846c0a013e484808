"""layers/normalisation.py: the functions of flax's layers, with the same parameters and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmgen_jax.networks.layers import blocks, normalisation

RNG = np.random.default_rng(0)
X = (3 * RNG.normal(size=(6, 4, 6, 16)) + 1).astype(np.float32)
WEIGHTS = RNG.normal(size=X.shape).astype(np.float32)
PAIRS = {
    "group": (normalisation.GroupNorm(8), nn.GroupNorm(8)),
    "a group for each channel": (normalisation.GroupNorm(), nn.GroupNorm(16)),
    "instance": (normalisation.InstanceNorm(), nn.InstanceNorm()),
    "batch": (
        normalisation.BatchNorm(use_running_average=False),
        nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5),
    ),
}


def learned(variables):
    """The variables with other values in place of ones and zeros."""
    leaves, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(1)
    return jax.tree.unflatten(tree, [jnp.asarray(rng.uniform(0.5, 2, leaf.shape), jnp.float32) for leaf in leaves])


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("x", [X, X[:, :, 0], X[:, 0, 0]], ids=["images", "sequences", "vectors"])
def test_outputs_statistics_and_gradients_are_those_of_flax(name, x):
    if x.ndim == 2 and name != "batch":
        pytest.skip("a group of one or two values has hardly any variance")
    own, reference = PAIRS[name]
    variables = learned(own.init(jax.random.key(0), x))
    theirs = jax.tree.map(lambda leaf: leaf, reference.init(jax.random.key(0), x))
    wrapped = {"params": variables["params"].get("GroupNorm_0", variables["params"])}
    theirs = theirs | {key: values for key, values in variables.items() if key != "params"} | wrapped
    assert jax.tree.structure(theirs) == jax.tree.structure(variables | wrapped)

    def loss(module, variables, x):
        y, changed = module.apply(variables, x, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y) * WEIGHTS.reshape(-1)[: x.size].reshape(x.shape)), (y, changed)

    (got, got_grads), (expected, grads) = (
        (found[0][1], found[1])
        for found in (
            jax.jit(jax.value_and_grad(lambda v, x, m=module: loss(m, v, x), argnums=(0, 1), has_aux=True))(v, x)
            for module, v in ((own, variables), (reference, theirs))
        )
    )
    np.testing.assert_allclose(got[0], expected[0], atol=1e-5)
    for a, b in zip(jax.tree.leaves((got[1], got_grads)), jax.tree.leaves((expected[1], grads))):
        np.testing.assert_allclose(a, b, atol=3e-5 * max(1.0, float(np.abs(b).max())))


def test_running_statistics_normalise_where_the_batch_does_not():
    own, reference = (
        cls(use_running_average=True, momentum=0.9, epsilon=1e-5) for cls in (normalisation.BatchNorm, nn.BatchNorm)
    )
    variables = learned(own.init(jax.random.key(0), X))
    np.testing.assert_allclose(own.apply(variables, X), reference.apply(variables, X), atol=1e-5)


@pytest.mark.parametrize("kind", ["batch", "group", "instance"])
def test_half_precision_has_statistics_in_full_precision(kind):
    """Values around 100 with a deviation of 1: sums of their squares in bfloat16 would lose the deviation."""
    x = jnp.asarray(RNG.normal(size=(4, 16, 16, 8)) + 100, jnp.bfloat16)
    layer = blocks.norm(kind, True, jnp.bfloat16)
    y, _ = layer.apply(layer.init(jax.random.key(0), x), x, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    exact = np.asarray(x, np.float64)
    axes = (0, 1, 2) if kind == "batch" else (1, 2)
    expected = (exact - exact.mean(axes, keepdims=True)) / exact.std(axes, keepdims=True)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, atol=0.03)


@pytest.mark.parametrize("kind", ["batch", "group", "instance"])
def test_a_flat_grid_has_finite_outputs_and_gradients(kind):
    layer, x = blocks.norm(kind, True), jnp.full((2, 4, 4, 8), 0.7)
    variables = layer.init(jax.random.key(0), x)
    y, grad = jax.value_and_grad(lambda x: layer.apply(variables, x, mutable=["batch_stats"])[0].sum())(x)
    np.testing.assert_allclose(y, 0, atol=0.1)
    assert np.isfinite(grad).all()
