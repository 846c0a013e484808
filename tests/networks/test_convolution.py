"""Convolutions against flax's, in every lowering."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_inputs import apply, compile_fast, init, key, random

from mmgen_jax.networks.layers import convolution, patches


def assert_lowerings_agree(layer, reference: nn.Module, shape: tuple[int, ...], lowerings: tuple[str, ...]):
    """Same parameters, and outputs and gradients (input, kernel, bias) within 1e-5 of the largest entry."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=shape).astype(np.float32)
    structure = jax.eval_shape(reference.init, key(0), x)
    variables = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), structure)
    output = jax.eval_shape(reference.apply, structure, x)
    weight = generator.normal(size=output.shape).astype(np.float32)

    @functools.partial(compile_fast, static_argnums=0)
    def evaluate(module, variables, x):
        y = module.apply(variables, x)
        return y, jax.grad(lambda v, x: jnp.sum(module.apply(v, x) * weight), (0, 1))(variables, x)

    def close(own, reference):
        assert own.shape == reference.shape
        assert np.abs(own - reference).max() <= 1e-5 * np.abs(reference).max()

    expected = evaluate(reference, variables, x)
    for lowering in lowerings:
        own = layer(lowering=lowering)
        assert jax.eval_shape(own.init, key(0), x) == structure
        jax.tree.map(close, evaluate(own, variables, x), expected)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    "kernel,stride,size,channels",
    [(1, 1, 7, (3, 5)), (1, 2, 7, (3, 5)), (3, 1, 8, (3, 5)), (3, 2, 7, (40, 2)), (4, 1, 7, (1, 40)), (4, 2, 8, (3, 5))]
    + [(4, 2, 7, (3, 5)), (5, 1, 8, (2, 3)), (5, 2, 8, (3, 5)), (5, 3, 7, (3, 5)), (2, 3, 8, (3, 5))],
)
def test_conv_is_flax_conv(kernel, stride, size, channels, padding):
    layer = functools.partial(convolution.Conv, channels[1], kernel, stride, padding)
    reference = nn.Conv(channels[1], (kernel, kernel), (stride, stride), padding)
    assert_lowerings_agree(layer, reference, (2, size, size + 1, channels[0]), ("exchange", "matmul", "auto"))


@pytest.mark.parametrize(
    "kernel,stride,size,channels",
    [(1, 1, 3, (3, 5)), (1, 2, 3, (3, 5)), (3, 1, 4, (3, 5)), (3, 2, 4, (40, 2)), (4, 1, 3, (3, 5)), (4, 2, 4, (3, 5))]
    + [
        (4, 2, 3, (1, 40)),
        (5, 2, 4, (3, 5)),
        (5, 3, 3, (3, 5)),
        (2, 3, 4, (3, 5)),
        (4, 2, 1, (3, 5)),
        (9, 4, 5, (2, 1)),
    ],
)
def test_conv_transpose_is_flax_conv_transpose(kernel, stride, size, channels):
    layer = functools.partial(convolution.ConvTranspose, channels[1], kernel, stride)
    reference = nn.ConvTranspose(channels[1], (kernel, kernel), (stride, stride))
    assert_lowerings_agree(layer, reference, (2, size, size + 1, channels[0]), ("exchange", "matmul", "auto"))


@pytest.mark.parametrize(
    "padding,spatial,lowerings",
    [(1, (8, 7), ("matmul", "auto")), (((2, 0), (1, 3)), (8, 7), ("matmul", "auto"))]
    + [(1, (5, 4, 4), ("matmul", "frames")), (((2, 0), (1, 3), (0, 1)), (4, 5, 4), ("matmul", "frames"))],
)
def test_explicit_padding(padding, spatial, lowerings):
    rank = len(spatial)
    layer = functools.partial(convolution.Conv, 4, 4, 2, padding, use_bias=False)
    reference = nn.Conv(4, (4,) * rank, (2,) * rank, padding, use_bias=False)
    assert_lowerings_agree(layer, reference, (2, *spatial, 3), lowerings)


@pytest.mark.parametrize(
    "kernel,strides,spatial",
    [((9,), (4,), (16,)), ((4,), (2,), (7,)), ((3, 4, 4), (1, 2, 2), (2, 3, 4)), ((4, 4, 4), (2, 2, 2), (4, 3, 2))]
    + [((3, 3, 3), (1, 1, 1), (2, 5, 4)), ((5, 3, 4), (3, 1, 2), (7, 4, 3)), ((2, 3, 3), (3, 2, 2), (4, 5, 5))],
)
def test_audio_and_video(kernel, strides, spatial):
    shape = (2, *spatial, 3)
    frames = ("frames",) if len(spatial) == 3 else ()
    layer = functools.partial(convolution.Conv, 4, kernel, strides)
    assert_lowerings_agree(layer, nn.Conv(4, kernel, strides), shape, ("matmul", "auto", *frames))
    layer = functools.partial(convolution.ConvTranspose, 4, kernel, strides)
    assert_lowerings_agree(layer, nn.ConvTranspose(4, kernel, strides), shape, ("exchange", "matmul", *frames))


@pytest.mark.parametrize(
    "layer,reference", [(convolution.Conv, nn.Conv), (convolution.ConvTranspose, nn.ConvTranspose)]
)
def test_parameters_start_as_flax_ones(layer, reference):
    x = jnp.ones((1, 4, 4, 3))
    own, expected = init(layer(5, 4, 2), key(0), x), init(reference(5, (4, 4), (2, 2)), key(0), x)
    jax.tree.map(np.testing.assert_array_equal, own, expected)


@pytest.mark.parametrize(
    "convolve,lowering,rank",
    [
        (convolution.convolve, "exchange", 2),
        (convolution.convolve_transposed, "exchange", 2),
        (convolution.convolve_transposed, "matmul", 2),
        (convolution.convolve_transposed, "frames", 3),
    ],
)
def test_strided_layers_differentiate_twice_in_both_modes(convolve, lowering, rank):
    """Gradient penalties differentiate a gradient; Jacobian-vector products need forward mode."""
    x, kernel = random(key(0), (2, *(3, 4, 2)[:rank], 2)), random(key(1), (*[4] * rank, 2, 3))
    dx, dkernel = random(key(2), x.shape), random(key(3), kernel.shape)

    @functools.partial(compile_fast, static_argnums=0)
    def derivatives(lowering, x, kernel):
        def apply(x, kernel):
            return jnp.tanh(convolve(x, kernel, (2,) * rank, lowering=lowering))

        def penalty(x, kernel):
            return sum(jnp.sum(g**2) for g in jax.grad(lambda *a: jnp.sum(apply(*a) ** 2), (0, 1))(x, kernel))

        second = jax.grad(penalty, (0, 1))(x, kernel)
        along_kernel = jax.jvp(lambda kernel: apply(x, kernel), (kernel,), (dkernel,))[1]
        return second, jax.jvp(apply, (x, kernel), (dx, dkernel)), along_kernel

    def close(own, reference):
        assert jnp.abs(own - reference).max() <= 1e-4 * jnp.abs(reference).max()

    jax.tree.map(close, derivatives(lowering, x, kernel), derivatives("xla", x, kernel))


@pytest.mark.parametrize("lowering", convolution.LOWERINGS)
@pytest.mark.parametrize("layer", [convolution.Conv, convolution.ConvTranspose])
def test_bfloat16_computes_in_bfloat16_and_keeps_float32_parameters(layer, lowering):
    x = random(key(0), (2, 4, 8, 8, 16) if lowering == "frames" else (2, 8, 8, 16))
    half, full = layer(4, 4, 2, dtype=jnp.bfloat16, lowering=lowering), layer(4, 4, 2)
    variables = init(half, key(1), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    gradient = compile_fast(jax.grad(lambda v: jnp.sum(half.apply(v, x).astype(jnp.float32))))(variables)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    y = apply(half, variables, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), apply(full, variables, x), atol=0.05)


def test_auto_on_the_cpu_goes_by_rank_and_kernel():
    assert convolution.choose("auto", (4, 4, 3, 8), (2, 2)) == "exchange"
    assert convolution.choose("auto", (4, 4, 4, 3, 8), (2, 2, 2)) == "frames"
    assert convolution.choose("auto", (1, 1, 1, 3, 8), (1, 1, 1)) == "matmul"


def test_auto_is_plain_xla_on_an_accelerator(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert convolution.choose("auto", (4, 4, 3, 8), (2, 2)) == "xla"
    assert convolution.choose("matmul", (4, 4, 3, 8), (2, 2)) == "matmul"


def test_convolution_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"expected one of auto, xla.*got 'fast'"):
        convolution.Conv(4, lowering="fast").init(key(0), jnp.ones((1, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"'frames' is for clips.*a grid of 2 axes"):
        convolution.Conv(4, lowering="frames").init(key(0), jnp.ones((1, 8, 8, 3)))
    for kernel_size, shape in (((3, 3), (1, 8, 3)), (3, (1, 8)), (3, (1, 2, 2, 2, 2, 3))):
        with pytest.raises(ValueError, match=rf"1 to 3 spatial axes.*\{str(list(shape))[:-1]}\]"):
            convolution.Conv(4, kernel_size).init(key(0), jnp.ones(shape))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("layer", [convolution.Conv, convolution.ConvTranspose])
def test_an_int_is_the_size_of_every_axis(layer, rank):
    x = jnp.ones((2, *[6] * rank, 3))
    layers = layer(5, 4, 2), layer(5, (4,) * rank, (2,) * rank)
    whole, apart = (jax.eval_shape(one.init_with_output, key(0), x) for one in layers)
    assert whole == apart and whole[1]["params"]["kernel"].shape == (*[4] * rank, 3, 5)


def test_depth_to_space_inverts_space_to_depth_and_keeps_pixels_in_place():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    deep = patches.space_to_depth(x, (2, 3))
    np.testing.assert_array_equal(deep[1, 1, 0].reshape(2, 3, 3), x[1, 2:4, 0:3])
    np.testing.assert_array_equal(patches.depth_to_space(deep, (2, 3)), x)
