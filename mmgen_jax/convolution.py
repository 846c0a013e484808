"""Convolutions and the ways to lower them: one function and one set of parameters, several programs.

XLA's CPU backend runs strided and dilated convolutions (and so every transposed convolution, and the weight gradient
of every convolution) far below the speed of its matrix product. `matmul` writes a convolution of stride s as

    space to depth by s, then a stride-1 convolution of m x m taps, m = ceil(kernel / s)

and a transposed one as the stride-1 convolution of m x m taps, then depth to space by s ("sub-pixel"); the stride-1
convolution is one product of patches `[B*H*W, m*m*C]` with the kernel, and so are both of its gradients.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

LOWERINGS = ("auto", "xla", "matmul")

Padding = str | int | Sequence[tuple[int, int]]


class Conv(nn.Module):
    """Channels-last convolution with `flax.linen.Conv`'s parameters: `kernel [*kernel_size, in, out]`, `bias [out]`.

    Args:
      kernel_size: an int is a square 2-D kernel; a tuple sets the rank (1-D audio, 2-D images, 3-D video).
      padding: `SAME`, `VALID`, an int for every side, or (low, high) per spatial axis.
      lowering: `auto`, `xla` or `matmul`; never changes the result beyond rounding.
    """

    features: int
    kernel_size: int | tuple[int, ...] = 3
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: Any = jnp.float32
    lowering: str = "auto"
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, strides = _sizes(self.kernel_size, self.strides)
        kernel, bias = _parameters(self, size, x.shape[-1])
        y = convolve(x.astype(self.dtype), kernel, strides, self.padding, self.lowering)
        return y if bias is None else y + bias


class ConvTranspose(nn.Module):
    """The transposed convolution whose output is input x strides, with the parameters and function of
    `flax.linen.ConvTranspose` with `SAME` padding. Fields as in `Conv`."""

    features: int
    kernel_size: int | tuple[int, ...] = 4
    strides: int | tuple[int, ...] = 2
    use_bias: bool = True
    dtype: Any = jnp.float32
    lowering: str = "auto"
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, strides = _sizes(self.kernel_size, self.strides)
        kernel, bias = _parameters(self, size, x.shape[-1])
        y = convolve_transposed(x.astype(self.dtype), kernel, strides, self.lowering)
        return y if bias is None else y + bias


def _sizes(kernel_size, strides) -> tuple[tuple[int, ...], tuple[int, ...]]:
    size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
    return size, (strides,) * len(size) if isinstance(strides, int) else tuple(strides)


def _parameters(layer: nn.Module, size: tuple[int, ...], in_features: int) -> tuple[jax.Array, jax.Array | None]:
    kernel = layer.param("kernel", layer.kernel_init, (*size, in_features, layer.features), jnp.float32)
    bias = layer.param("bias", nn.initializers.zeros, (layer.features,), jnp.float32) if layer.use_bias else None
    return kernel.astype(layer.dtype), None if bias is None else bias.astype(layer.dtype)


def convolve(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Padding = "SAME", lowering: str = "auto"
) -> jax.Array:
    """`x [B, *spatial, in]` convolved with `kernel [*size, in, out]`."""
    pads = _pads(x, kernel, strides, padding)
    if _lowering(lowering, x, kernel, strides) == "xla":
        return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_dimension_numbers(x.ndim))
    taps = [math.ceil(k / s) for k, s in zip(kernel.shape, strides)]
    out = [(n + lo + hi - k) // s + 1 for n, (lo, hi), k, s in zip(x.shape[1:-1], pads, kernel.shape, strides)]
    # Pad to what out + taps - 1 blocks of s need; negative where the stride never reaches the last entries.
    high = [s * (q + m - 1) - n - lo for n, (lo, _), s, q, m in zip(x.shape[1:-1], pads, strides, out, taps)]
    x = _pad(x, [(lo, hi) for (lo, _), hi in zip(pads, high)])
    kernel = _pad_kernel(kernel, strides, taps)
    blocks = [n for m, s in zip(taps, strides) for n in (m, s)]
    kernel = kernel.reshape(*blocks, *kernel.shape[-2:])
    rank = len(taps)
    kernel = kernel.transpose(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1)
    return _convolve_valid(space_to_depth(x, strides), kernel.reshape(*taps, -1, kernel.shape[-1]))


def convolve_transposed(x: jax.Array, kernel: jax.Array, strides: Sequence[int], lowering: str = "auto") -> jax.Array:
    """`x [B, *spatial, in]` to `[B, *(spatial * strides), out]` by `kernel [*size, in, out]`, as `lax.conv_transpose`
    does with `SAME` padding."""
    if _lowering(lowering, x, kernel, strides) == "xla":
        return lax.conv_transpose(x, kernel, strides, "SAME", dimension_numbers=_dimension_numbers(x.ndim))
    # y[o] = sum_t z[o + t - low] kernel[t], where z is x with s - 1 zeros between entries. The grid of o is moved by
    # `shift` so that block q of s outputs needs exactly x[q - before : q - before + taps].
    taps = [math.ceil(k / s) for k, s in zip(kernel.shape, strides)]
    low = [k - 1 if s > k - 1 else math.ceil((k + s - 2) / 2) for k, s in zip(kernel.shape, strides)]
    shift = [(s - 1 - lo) % s for lo, s in zip(low, strides)]
    before = [(c + lo - (s - 1)) // s for c, lo, s in zip(shift, low, strides)]
    spatial = x.shape[1:-1]
    blocks = [n + (c > 0) for n, c in zip(spatial, shift)]
    x = _pad(x, [(e, q + m - 1 - e - n) for e, q, m, n in zip(before, blocks, taps, spatial)])
    kernel = _pad_kernel(kernel, strides, taps)
    kernel = kernel.reshape(*[n for m, s in zip(taps, strides) for n in (m, s)], *kernel.shape[-2:])
    rank = len(taps)
    kernel = jnp.flip(kernel, range(1, 2 * rank, 2))
    kernel = kernel.transpose(*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2), 2 * rank + 1)
    y = depth_to_space(_convolve_valid(x, kernel.reshape(*taps, x.shape[-1], -1)), strides)
    return y[(slice(None), *[slice(c, c + n * s) for c, n, s in zip(shift, spatial, strides)])]


def _lowering(lowering: str, x: jax.Array, kernel: jax.Array, strides: Sequence[int]) -> str:
    if lowering not in LOWERINGS:
        raise ValueError(f"convolution lowering: expected one of {', '.join(LOWERINGS)}, got {lowering!r}")
    if lowering != "auto":
        return lowering
    return "matmul" if jax.default_backend() == "cpu" else "xla"


def space_to_depth(x: jax.Array, block: Sequence[int]) -> jax.Array:
    """`[B, H, W, C]` to `[B, H/b, W/b, b*b*C]`, and likewise in other ranks."""
    rank = len(block)
    x = x.reshape(x.shape[0], *[n for size, b in zip(x.shape[1:], block) for n in (size // b, b)], x.shape[-1])
    x = x.transpose(0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    return x.reshape(*x.shape[: rank + 1], -1)


def depth_to_space(x: jax.Array, block: Sequence[int]) -> jax.Array:
    """Inverse of `space_to_depth`."""
    rank = len(block)
    spatial = x.shape[1:-1]
    x = x.reshape(*x.shape[:-1], *block, -1)
    x = x.transpose(0, *[a for i in range(rank) for a in (1 + i, 1 + rank + i)], 2 * rank + 1)
    return x.reshape(x.shape[0], *[n * b for n, b in zip(spatial, block)], -1)


def _patches(x: jax.Array, taps: Sequence[int]) -> jax.Array:
    """`[B, H, W, C]` to the `[B, H-m+1, W-m+1, m*m*C]` of every window."""
    if math.prod(taps) == 1:
        return x
    out = [n - m + 1 for n, m in zip(x.shape[1:], taps)]
    windows = [
        x[(slice(None), *[slice(i, i + q) for i, q in zip(start, out)])]
        for start in itertools.product(*map(range, taps))
    ]
    return jnp.concatenate(windows, axis=-1)


@jax.custom_vjp
def _convolve_valid(x: jax.Array, kernel: jax.Array) -> jax.Array:
    patches = _patches(x, kernel.shape[:-2])
    return patches @ kernel.reshape(-1, kernel.shape[-1])


def _convolve_valid_forward(x, kernel):
    return _convolve_valid(x, kernel), (x, kernel)


def _convolve_valid_backward(residuals, dy):
    x, kernel = residuals
    taps = kernel.shape[:-2]
    patches = _patches(x, taps).reshape(-1, math.prod(kernel.shape[:-1]))
    dkernel = (patches.T @ dy.reshape(-1, dy.shape[-1])).reshape(kernel.shape)
    flipped = jnp.flip(kernel, range(len(taps))).swapaxes(-1, -2)
    dx = _convolve_valid(_pad(dy, [(m - 1, m - 1) for m in taps]), flipped)
    return dx, dkernel


_convolve_valid.defvjp(_convolve_valid_forward, _convolve_valid_backward)


def _pads(x, kernel, strides, padding: Padding) -> Sequence[tuple[int, int]]:
    if isinstance(padding, str):
        return lax.padtype_to_pads(x.shape[1:-1], kernel.shape[:-2], strides, padding)
    return [(padding, padding)] * (x.ndim - 2) if isinstance(padding, int) else padding


def _pad(x: jax.Array, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Pads the spatial axes; negative amounts crop."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *[(lo, hi, 0) for lo, hi in pads], (0, 0, 0)])


def _pad_kernel(kernel: jax.Array, strides: Sequence[int], taps: Sequence[int]) -> jax.Array:
    extra = [(0, m * s - k) for k, s, m in zip(kernel.shape, strides, taps)]
    return jnp.pad(kernel, [*extra, (0, 0), (0, 0)])


@functools.cache
def _dimension_numbers(ndim: int) -> tuple[str, str, str]:
    spatial = "DHW"[3 - (ndim - 2) :]
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"
