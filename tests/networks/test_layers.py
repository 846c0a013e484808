"""Norms, attention and blocks against closed forms and definitions."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_inputs import apply, compile_fast, init, key, random
from tiny import mapped_by

from mmgen_jax.errors import MmgenError
from mmgen_jax.networks.layers import attention, blocks, convolution, recurrent


def test_upsample_repeats_and_downsample_averages():
    x = random(key(0), (2, 3, 5, 4))
    np.testing.assert_array_equal(blocks.upsample(x), x.repeat(2, 1).repeat(2, 2))
    np.testing.assert_allclose(blocks.downsample(blocks.upsample(x)), x, rtol=1e-6)
    pooled = nn.avg_pool(random(key(1), (2, 4, 6, 3)), (2, 2), (2, 2))
    np.testing.assert_allclose(blocks.downsample(random(key(1), (2, 4, 6, 3))), pooled, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factors", [(2,), (1, 2), (1, 2, 2), (3, 1, 2)])
def test_grids_of_any_rank_change_by_a_factor_for_each_axis(factors):
    x = random(key(0), (2, *(6, 4, 4)[: len(factors)], 3))
    repeated = x
    for axis, factor in enumerate(factors, 1):
        repeated = repeated.repeat(factor, axis)
    np.testing.assert_array_equal(blocks.upsample(x, factors), repeated)
    np.testing.assert_allclose(blocks.downsample(x, factors), nn.avg_pool(x, factors, factors), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"expected a grid whose axes are multiples of \(5, 1\), got \(6, 4\)"):
        blocks.downsample(jnp.ones((1, 6, 4, 1)), (5, 1))


def test_batch_norm_under_pmap_is_that_of_the_global_batch():
    x = 3 + 2 * random(key(0), (16, 4, 5))
    weight = random(key(1), x.shape)
    variables = init(blocks.norm("batch", train=True), key(0), x)

    def loss(x, weight):
        y, updates = blocks.norm("batch", train=True).apply(variables, x, mutable=("batch_stats",))
        return jnp.sum(y * weight), (y, updates["batch_stats"])

    evaluate = jax.value_and_grad(loss, has_aux=True)
    (_, (y, stats)), gradient = compile_fast(evaluate)(x, weight)
    split = lambda a: a.reshape(8, 2, *a.shape[1:])  # noqa: E731
    (_, (y8, stats8)), gradient8 = mapped_by(jax.pmap, evaluate)(split(x), split(weight))
    np.testing.assert_allclose(y8.reshape(y.shape), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient8.reshape(y.shape), gradient, rtol=1e-4, atol=1e-5)
    for device in range(8):
        jax.tree.map(lambda a, b, d=device: np.testing.assert_allclose(a[d], b, rtol=1e-5), stats8, stats)
    np.testing.assert_allclose(stats["mean"], 0.1 * x.mean((0, 1)), rtol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_batch_norm_keeps_float32_statistics_and_uses_them_in_evaluation(dtype):
    x = (1 + 2 * random(key(0), (64, 3))).astype(dtype)
    variables = init(blocks.norm("batch", train=True), key(0), x)
    y, updates = apply(blocks.norm("batch", train=True, dtype=dtype), variables, x, mutable=("batch_stats",))
    assert y.dtype == dtype
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype("float32")}
    mean, var = updates["batch_stats"]["mean"], updates["batch_stats"]["var"]
    evaluated = apply(blocks.norm("batch", train=False), {**variables, **updates}, x)
    expected = (x.astype(jnp.float32) - mean) / jnp.sqrt(var + 1e-5)
    np.testing.assert_allclose(evaluated, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind,axes", [("batch", (0, 1, 2)), ("group", (1, 2, 4)), ("layer", (3,)), ("instance", (1, 2))]
)
def test_norms_give_zero_mean_and_unit_variance_over_their_axes(kind, axes):
    x = 5 + 3 * random(key(0), (4, 6, 6, 64))
    module = blocks.norm(kind, train=True)
    variables = init(module, key(0), x)
    y, _ = apply(module, variables, x, mutable=("batch_stats",))
    y = y.reshape(4, 6, 6, 32, 2) if kind == "group" else y
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-3)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-2)


def test_group_norm_takes_any_number_of_channels_and_none_is_the_identity():
    x = random(key(0), (2, 4, 4, 6))
    module = blocks.norm("group", train=False)
    y = apply(module, init(module, key(0), x), x)
    np.testing.assert_allclose(y.reshape(2, 4, 4, 2, 3).mean((1, 2, 4)), 0, atol=1e-5)
    assert blocks.norm("none", train=True)(x) is x
    with pytest.raises(ValueError, match=r"'weight'.*batch, group"):
        blocks.norm("weight", train=True)


def test_conditional_norm_scales_and_shifts_by_the_vector():
    x, vector = random(key(0), (3, 4, 4, 6)), random(key(1), (3, 5))
    module = blocks.ConditionalNorm("instance")
    variables = init(module, key(2), x, vector, train=True)
    plain = apply(module, variables, x, jnp.zeros_like(vector), train=True)
    dense = variables["params"]["Dense_0"]["kernel"]
    scale, shift = jnp.split(vector @ dense, 2, axis=-1)
    expected = plain * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(apply(module, variables, x, vector, train=True), expected, rtol=1e-4, atol=1e-5)
    gradient = compile_fast(jax.grad(lambda v: jnp.sum(module.apply(variables, x, v, train=True) ** 3)))(vector)
    assert jnp.abs(gradient).min(axis=1).min() > 0


@pytest.mark.parametrize(
    "layer,shape",
    [(lambda: convolution.Conv(6, 3, name="layer"), (2, 5, 5, 4)), (lambda: nn.Dense(6, name="layer"), (2, 8))],
)
def test_spectral_normalise_brings_the_largest_singular_value_to_one(layer, shape):
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return blocks.spectral_normalise(layer(), train)(x)

    x, network, name = 1 + random(key(0), shape), Network(), "layer"
    variables = init(network, key(1), x, train=False)
    for _ in range(100):
        _, stats = apply(network, variables, x, train=True, mutable=("batch_stats",))
        variables = {**variables, **stats}
    kernel = variables["params"][name]["kernel"].reshape(-1, 6)
    sigma = jnp.linalg.svd(kernel, compute_uv=False)[0]
    scaled = jax.tree.map(lambda p: p / sigma if p.ndim > 1 else p, variables["params"][name])
    y = apply(network, variables, x, train=False)  # without `mutable`: evaluation changes no statistics
    np.testing.assert_allclose(y, apply(layer(), {"params": scaled}, x), rtol=1e-3, atol=1e-4)
    gradient = compile_fast(
        jax.grad(lambda p: jnp.sum(network.apply({**variables, "params": p}, x, train=False) ** 2))
    )(variables["params"])
    # The output does not change with the kernel's scale, so the gradient is orthogonal to the kernel.
    direction = gradient[name]["kernel"].reshape(-1, 6)
    assert abs(jnp.sum(direction * kernel)) < 1e-3 * jnp.linalg.norm(direction) * jnp.linalg.norm(kernel)


def attention_by_definition(params, x, context, allowed):
    """Loops over examples, heads and queries; `allowed [B, T, N]`."""
    params, x, context = jax.tree.map(np.asarray, (params, x, context))
    query, key_, value = (
        np.einsum("btd,dhk->bthk", a, params[name]["kernel"]) + params[name]["bias"]
        for name, a in (("query", x), ("key", context), ("value", context))
    )
    y = np.zeros(x.shape)
    for b, t in np.ndindex(x.shape[:2]):
        (seen,) = np.nonzero(allowed[b, t])
        for h in range(query.shape[2]) if len(seen) else ():
            weights = np.exp(key_[b, seen, h] @ query[b, t, h] / np.sqrt(query.shape[-1]))
            y[b, t] += weights / weights.sum() @ value[b, seen, h] @ params["output"]["kernel"][h]
        y[b, t] += params["output"]["bias"] if len(seen) else 0
    return y


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_its_definition_and_exactly_zero_with_nothing_to_attend_to(causal):
    x, context = random(key(0), (3, 4, 8)), random(key(1), (3, 4, 6))
    mask = jnp.array([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
    module = blocks.CrossAttention(num_heads=2, causal=causal)
    variables = jax.tree.map(lambda p: p + 0.1, init(module, key(2), x, context, mask))
    allowed = np.broadcast_to(mask[:, None], (3, 4, 4)) & (np.tri(4, dtype=bool) if causal else True)
    y = apply(module, variables, x, context, mask)
    np.testing.assert_allclose(y, attention_by_definition(variables["params"], x, context, allowed), atol=1e-5)
    assert not np.any(y[2])
    assert not np.any(y[1, 0]) or not causal
    gradient = compile_fast(jax.grad(lambda c: jnp.sum(module.apply(variables, x, c, mask) ** 2)))(context)
    assert np.isfinite(gradient).all()
    assert not np.any(gradient[~mask])
    changed = jnp.where(mask[..., None], context, 1e3)
    np.testing.assert_array_equal(apply(module, variables, x, changed, mask), y)


@pytest.mark.parametrize("num_queries", [1, 3])
def test_attention_to_a_cache_is_attention_with_its_gradients(num_queries):
    shapes = (2, 2, num_queries, 4), (2, 2, 5, 4), (2, 2, 5, 4)
    arrays = [random(key(i), shape) for i, shape in enumerate(shapes)]
    allowed = jnp.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)[:, None, None]  # the second example has no key

    def values_and_gradients(function):
        return compile_fast(jax.value_and_grad(lambda q, k, v: jnp.sum(jnp.sin(function(q, k, v))), (0, 1, 2)))(*arrays)

    usual = values_and_gradients(lambda q, k, v: attention.attend(q, k, v, allowed))
    kept = values_and_gradients(lambda q, k, v: attention.attend_kept(q, jnp.swapaxes(k, 2, 3), v, allowed))
    for one, other in zip(jax.tree.leaves(usual), jax.tree.leaves(kept), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_attention_refuses_a_width_that_the_heads_do_not_divide():
    with pytest.raises(ValueError, match="width 6 is not a multiple of num_heads 4"):
        blocks.SelfAttention(4).init(key(0), jnp.ones((1, 2, 6)))


def test_causal_transformer_block_sees_no_later_token_and_reads_its_context():
    x, context = random(key(0), (2, 5, 8)), random(key(1), (2, 3, 6))
    context_mask = jnp.array([[1, 1, 0], [0, 0, 0]], bool)
    block = blocks.TransformerBlock(num_heads=2, causal=True)
    variables = init(block, key(2), x, None, context, context_mask)
    y = apply(block, variables, x, None, context, context_mask)
    later = apply(block, variables, x.at[:, 3:].add(1.0), None, context, context_mask)
    np.testing.assert_array_equal(later[:, :3], y[:, :3])
    assert not np.allclose(later[:, 3:], y[:, 3:])
    other = apply(block, variables, x, None, context + 1, context_mask)
    assert not np.allclose(other[0], y[0])
    np.testing.assert_array_equal(other[1], y[1])


def test_dropout_acts_in_training_only():
    x = random(key(0), (2, 5, 8))
    block = blocks.TransformerBlock(num_heads=2, dropout=0.5)
    variables = init(block, key(1), x)
    trained = apply(block, variables, x, train=True, rngs={"dropout": key(2)})
    assert not np.allclose(trained, apply(block, variables, x))


@pytest.mark.parametrize("resample,size", [(None, 8), ("up", 16), ("down", 4)])
@pytest.mark.parametrize("conditional", [False, True])
def test_residual_block(resample, size, conditional):
    x = random(key(0), (2, 8, 8, 4))
    vector = random(key(1), (2, 3)) if conditional else None
    block = blocks.ResidualBlock(6, resample, spectral=True)
    variables = init(block, key(2), x, vector=vector, train=True)

    def evaluate(params):
        y, _ = block.apply({**variables, "params": params}, x, True, vector, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y)), y

    (_, y), gradient = compile_fast(jax.value_and_grad(evaluate, has_aux=True))(variables["params"])
    assert y.shape == (2, size, size, 6)
    kernels = [leaf for leaf in jax.tree.leaves(gradient) if leaf.ndim > 1]
    assert all(jnp.linalg.norm(leaf) > 0 for leaf in kernels)


@pytest.mark.parametrize(
    "shape,factors,up,down", [((8,), 2, (16,), (4,)), ((4, 8, 8), (1, 2, 2), (4, 16, 16), (4, 4, 4))]
)
def test_residual_block_of_sound_and_video(shape, factors, up, down):
    x = random(key(0), (2, *shape, 4))
    for resample, expected in (("up", up), ("down", down), (None, shape)):
        block = blocks.ResidualBlock(6, resample, factors=factors, norm="layer")
        y, variables = jax.eval_shape(functools.partial(block.init_with_output, train=True), key(1), x)
        assert y.shape == (2, *expected, 6)
        assert variables["params"]["Conv_0"]["kernel"].shape == (*[3] * len(shape), 4, 6)


@pytest.mark.parametrize("resample", [None, "up", "down"])
def test_residual_block_without_its_branch_is_its_shortcut(resample):
    x = random(key(0), (2, 8, 8, 4))
    block = blocks.ResidualBlock(4, resample, norm="none")
    variables = jax.tree.map(jnp.zeros_like, init(block, key(1), x, train=False))
    shortcut = {None: lambda x: x, "up": blocks.upsample, "down": blocks.downsample}[resample]
    np.testing.assert_array_equal(apply(block, variables, x, train=False), shortcut(x))
    with pytest.raises(ValueError, match=r"resample.*'sideways'"):
        blocks.ResidualBlock(4, "sideways").init(key(0), x, False)


def test_sinusoidal_embedding_has_constant_norm_and_separates_positions():
    embedding = blocks.sinusoidal_embedding(jnp.arange(200), 32)
    np.testing.assert_allclose(jnp.sum(embedding**2, axis=-1), 16, rtol=1e-5)
    products = np.array(embedding @ embedding.T)
    np.fill_diagonal(products, 0)
    assert products.max() < 16 - 0.1
    # A shift is a rotation: the product of two positions depends on their distance only.
    np.testing.assert_allclose(np.diagonal(products, 7), products[0, 7], rtol=1e-3)


def test_time_embedding_depends_on_time():
    module = blocks.TimeEmbedding(16)
    time = jnp.array([0.0, 0.5, 1.0])
    vectors = apply(module, init(module, key(0), time), time)
    assert vectors.shape == (3, 16)
    assert jnp.linalg.norm(vectors[0] - vectors[1]) > 1e-2 < jnp.linalg.norm(vectors[1] - vectors[2])


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (blocks.TimeEmbedding(1), (jnp.zeros(2),)),
        (recurrent.Recurrent(1), (jnp.zeros((2, 3, 4)),)),
    ],
)
def test_one_feature_cannot_be_halved(layer, inputs):
    with pytest.raises(MmgenError, match=r"features: expected at least 2, .* got 1"):
        jax.eval_shape(layer.init, jax.random.key(0), *inputs)
