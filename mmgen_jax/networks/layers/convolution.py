"""Convolutions with a choice of lowering: a lowering changes the run time, never the parameters or the function.

- `xla`: XLA's own operators.
- `exchange`: as `xla`, but with another rule for the kernel's gradient of a transposed convolution, which exchanges the
  roles of input and kernel. JAX's rule gives an input-dilated convolution with a window as large as the image. The
  exchanged rule gives the kernel gradient of a strided convolution, the same sum, which XLA's CPU backend runs about 20
  times faster. The gradient of a strided convolution with respect to its input, which is input-dilated too, becomes a
  convolution of stride 1 that gives the outputs of each stride as channels ("sub-pixel", Shi et al., 2016).
- `matmul`: a matrix product of patches and kernel. A stride s first becomes channels (space to depth). A transposed
  convolution gives s outputs per position as channels, then moves them to positions (depth to space, "sub-pixel").
- `frames`: for clips, the time axis as in `matmul`, each frame as by `auto`. In rank 3, XLA's CPU backend runs
  input-dilated convolutions, and thus the gradients of strided ones, 20 to 30 times slower. `matmul` for all axes of a
  clip needs memory for patches many times as large as the clip.

Measurements: `experiments/benchmarks/README.md`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from mmgen_jax.errors import InputError
from mmgen_jax.networks.layers.patches import depth_to_space, pad, space_to_depth, windows

LOWERINGS = ("auto", "xla", "exchange", "matmul", "frames")

Padding = str | int | Sequence[tuple[int, int]]


class Conv(nn.Module):
    """Channels-last convolution with `flax.linen.Conv`'s parameters: `kernel [*kernel_size, in, out]`, `bias [out]`.

    Args:
      kernel_size, strides: an int, or one size for each of the 1 (sound), 2 (image) or 3 (video) spatial axes.
      padding: `SAME`, `VALID`, an int for every side, or (low, high) per spatial axis.
      lowering: `auto` (chosen by `choose`), `xla`, `exchange`, `matmul` or, for clips only, `frames`.
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
        size, strides = _sizes(x, self.kernel_size, self.strides)
        kernel, bias = _parameters(self, size, x.shape[-1])
        y = convolve(x.astype(self.dtype), kernel, strides, self.padding, self.lowering)
        return y if bias is None else y + bias


class ConvTranspose(nn.Module):
    """Transposed convolution, `[B, *spatial, in]` to `[B, *(spatial * strides), features]`; fields as in `Conv`.
    Parameters and function are those of `flax.linen.ConvTranspose` with `SAME` padding."""

    features: int
    kernel_size: int | tuple[int, ...] = 4
    strides: int | tuple[int, ...] = 2
    use_bias: bool = True
    dtype: Any = jnp.float32
    lowering: str = "auto"
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, strides = _sizes(x, self.kernel_size, self.strides)
        kernel, bias = _parameters(self, size, x.shape[-1])
        y = convolve_transposed(x.astype(self.dtype), kernel, strides, self.lowering)
        return y if bias is None else y + bias


def _sizes(x, kernel_size, strides) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = x.ndim - 2
    size, strides = ((n,) * rank if isinstance(n, int) else tuple(n) for n in (kernel_size, strides))
    if not 1 <= rank <= 3 or not rank == len(size) == len(strides):
        raise InputError(
            f"convolution: expected an input [B, 1 to 3 spatial axes, C], and a kernel size and a stride for each, got "
            f"shape {list(x.shape)}, kernel size {size}, strides {strides}"
        )
    return size, strides


def _parameters(layer: nn.Module, size: tuple[int, ...], in_features: int) -> tuple[jax.Array, jax.Array | None]:
    kernel = layer.param("kernel", layer.kernel_init, (*size, in_features, layer.features), jnp.float32)
    bias = layer.param("bias", nn.initializers.zeros, (layer.features,), jnp.float32) if layer.use_bias else None
    return kernel.astype(layer.dtype), None if bias is None else bias.astype(layer.dtype)


def convolve(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], padding: Padding = "SAME", lowering: str = "auto"
) -> jax.Array:
    """`x [B, *spatial, in]` convolved with `kernel [*size, in, out]`, to `[B, *new spatial, out]`."""
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(x.shape[1:-1], kernel.shape[:-2], strides, padding)
    else:
        pads = [(padding, padding)] * len(strides) if isinstance(padding, int) else padding
    match choose(lowering, kernel.shape, strides):
        case "matmul":
            return _convolve_blocks(x, kernel, strides, pads, _product)
        case "exchange" if max(strides) > 1 and all(k >= s for k, s in zip(kernel.shape, strides)):
            return _convolve_exchange(x, kernel, tuple(strides), tuple(map(tuple, pads)))
        case "frames":
            return _convolve_frames(x, kernel, strides, pads)
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_layouts(len(strides)))


def convolve_transposed(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], lowering: str = "auto") -> jax.Array:
    """`x [B, *spatial, in]` to `[B, *(spatial * strides), out]`: `y[o] = sum_t z[o + t - low] kernel[t]`. Here z is x
    with s - 1 zeros after each entry, and `low` is the low side of the `SAME` padding of `lax.conv_transpose`."""
    apply = {
        "xla": _transposed,
        "exchange": _transposed_exchange,
        "matmul": _transposed_matmul,
        "frames": _transposed_frames,
    }
    return apply[choose(lowering, kernel.shape, strides)](x, kernel, strides)


def choose(lowering: str, kernel_shape: tuple[int, ...], strides: Sequence[int]) -> str:
    """`lowering`, or for `auto` the choice for this backend. InputError: an unknown name, or `frames` for no clip."""
    if lowering not in LOWERINGS:
        raise InputError(f"convolution lowering: expected one of {', '.join(LOWERINGS)}, got {lowering!r}")
    if lowering == "frames" and len(strides) != 3:
        raise InputError(f"convolution lowering: 'frames' is for clips, got a grid of {len(strides)} axes; use 'auto'")
    if lowering != "auto":
        return lowering
    if jax.default_backend() != "cpu":
        return "xla"
    # On the CPU, the fastest lowering in measurements; elsewhere the vendor's libraries choose an algorithm.
    pointwise = math.prod(kernel_shape[:-2]) == 1 and max(strides) == 1
    return "matmul" if pointwise else "frames" if len(strides) == 3 else "exchange"


def _layouts(rank: int) -> tuple[str, str, str]:
    spatial = "DHW"[3 - rank :]
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"


def _low_pads(kernel: jax.Array, strides: Sequence[int]) -> list[int]:
    return [k - 1 if s > k - 1 else math.ceil((k + s - 2) / 2) for k, s in zip(kernel.shape, strides)]


def _transposed(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    return lax.conv_transpose(x, kernel, strides, "SAME", dimension_numbers=_layouts(len(strides)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _transposed_exchange(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    return _transposed(x, kernel, strides)


@functools.partial(_transposed_exchange.defjvp, symbolic_zeros=True)
def _transposed_exchange_jvp(strides, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    y = _transposed_exchange(x, kernel, strides)
    dy = jnp.zeros_like(y)
    if not isinstance(dx, SymbolicZero):
        dy += _transposed_exchange(dx, kernel, strides)
    if not isinstance(dkernel, SymbolicZero):
        dy += _kernel_transposed(x, dkernel, strides)
    return y, dy


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _convolve_exchange(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], pads) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_layouts(len(strides)))


@functools.partial(_convolve_exchange.defjvp, symbolic_zeros=True)
def _convolve_exchange_jvp(strides, pads, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    y = _convolve_exchange(x, kernel, strides, pads)
    dy = jnp.zeros_like(y)
    if not isinstance(dx, SymbolicZero):
        dy += _convolve_blocks(dx, kernel, strides, pads, _stride_1)  # whose transpose is of stride 1
    if not isinstance(dkernel, SymbolicZero):
        dy += lax.conv_general_dilated(x, dkernel, strides, pads, dimension_numbers=_layouts(len(strides)))
    return y, dy


def _kernel_transposed(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """`_transposed(x, kernel)`, written as a convolution of the kernel with the input, whose gradient is fast.

    With kernel and x reversed, t = s i - o + low becomes t' = o + s i' - pad: the kernel correlated with s-dilated x.
    """
    rank = len(strides)
    spatial = "DHW"[3 - rank :]
    sizes = zip(x.shape[1:-1], kernel.shape, strides, _low_pads(kernel, strides))
    pads = [(s * (n - 1) - (k - 1) + low, n * s - 1 - low) for n, k, s, low in sizes]
    return lax.conv_general_dilated(
        jnp.flip(kernel, range(rank)),
        jnp.flip(x, range(1, rank + 1)),
        (1,) * rank,
        pads,
        rhs_dilation=strides,
        dimension_numbers=(f"{spatial}CN", f"O{spatial}I", f"C{spatial}N"),
    )


def _product(x: jax.Array, taps: Sequence[int], matrix: jax.Array) -> jax.Array:
    """The windows of `x` of size `taps`, as rows, times `matrix [product of taps · in, out]`."""
    return windows(x, taps) @ matrix


def _stride_1(x: jax.Array, taps: Sequence[int], matrix: jax.Array) -> jax.Array:
    """As `_product`, by a convolution of stride 1."""
    kernel = matrix.reshape(*taps, x.shape[-1], -1)
    return lax.conv_general_dilated(x, kernel, (1,) * len(taps), "VALID", dimension_numbers=_layouts(len(taps)))


def _convolve_blocks(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], pads: Sequence[tuple[int, int]], multiply: Callable
) -> jax.Array:
    blocks, taps = _blocks(kernel, strides)
    rank = len(taps)
    # Pad to the size of out + taps - 1 blocks of s; the padding is negative where no window reaches the last entries.
    highs = []
    for n, (low, high), k, s, m in zip(x.shape[1:-1], pads, kernel.shape, strides, taps):
        out = (n + low + high - k) // s + 1
        highs.append(s * (out + m - 1) - n - low)
    x = space_to_depth(pad(x, [(low, high) for (low, _), high in zip(pads, highs)]), strides)
    blocks = blocks.transpose(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1)
    return multiply(x, taps, blocks.reshape(-1, kernel.shape[-1]))


def _transposed_matmul(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    blocks, taps = _blocks(kernel, strides)
    rank, spatial = len(taps), x.shape[1:-1]
    moved = [_grid_of_blocks(*axis) for axis in zip(_low_pads(kernel, strides), strides, taps)]
    x = pad(x, [(before, after) for _, before, after in moved])
    blocks = jnp.flip(blocks, range(1, 2 * rank, 2))
    blocks = blocks.transpose(*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2), 2 * rank + 1)
    y = windows(x, taps) @ blocks.reshape(math.prod(taps) * x.shape[-1], -1)
    y = depth_to_space(y, strides)
    return y[(slice(None), *[slice(shift, shift + n * s) for (shift, *_), n, s in zip(moved, spatial, strides)])]


def _blocks(kernel: jax.Array, strides: Sequence[int]) -> tuple[jax.Array, list[int]]:
    """`[kh, kw, in, out]`, zero-padded, as `[mh, sh, mw, sw, in, out]`, and the taps `[mh, mw]`, m = ceil(k / s)."""
    taps = [math.ceil(k / s) for k, s in zip(kernel.shape, strides)]
    extra = [(0, m * s - k) for k, s, m in zip(kernel.shape, strides, taps)]
    kernel = jnp.pad(kernel, [*extra, (0, 0), (0, 0)])
    return kernel.reshape(*[n for pair in zip(taps, strides) for n in pair], *kernel.shape[-2:]), taps


def _convolve_frames(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], pads: Sequence[tuple[int, int]]
) -> jax.Array:
    (low, high), n, k, s = pads[0], x.shape[1], kernel.shape[0], strides[0]
    blocks, taps = _blocks_of_time(kernel, s)
    out = (n + low + high - k) // s + 1
    x = pad(x, [(low, s * (out + taps - 1) - n - low), (0, 0), (0, 0)])
    x = windows(space_to_depth(x, (s, 1, 1)), (taps, 1, 1))
    kernel = blocks.transpose(2, 3, 0, 1, 4, 5).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    x = x.reshape(-1, *x.shape[2:])
    y = convolve(x, kernel, tuple(strides[1:]), pads[1:])
    return y.reshape(-1, out, *y.shape[1:])


def _transposed_frames(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    n, s, (low, *_) = x.shape[1], strides[0], _low_pads(kernel, strides)
    blocks, taps = _blocks_of_time(kernel, s)
    shift, before, after = _grid_of_blocks(low, s, taps)
    x = windows(pad(x, [(before, after), (0, 0), (0, 0)]), (taps, 1, 1))
    blocks = jnp.flip(blocks, 1).transpose(2, 3, 0, 4, 1, 5)
    kernel = blocks.reshape(*kernel.shape[1:3], taps * kernel.shape[-2], -1)
    y = convolve_transposed(x.reshape(-1, *x.shape[2:]), kernel, strides[1:])
    y = depth_to_space(y.reshape(-1, x.shape[1], *y.shape[1:]), (s, 1, 1))
    return y[:, shift : shift + n * s]


def _blocks_of_time(kernel: jax.Array, stride: int) -> tuple[jax.Array, int]:
    """`[kt, kh, kw, in, out]`, zero-padded, as `[mt, st, kh, kw, in, out]`, and the taps mt = ceil(kt / st)."""
    taps = math.ceil(kernel.shape[0] / stride)
    kernel = jnp.pad(kernel, [(0, taps * stride - kernel.shape[0]), *[(0, 0)] * 4])
    return kernel.reshape(taps, stride, *kernel.shape[1:]), taps


def _grid_of_blocks(low: int, stride: int, taps: int) -> tuple[int, int, int]:
    """(shift, before, after) of one axis of a transposed convolution. With the outputs moved by `shift`, block q of
    `stride` outputs needs exactly `x[q - before : q - before + taps]`; `before` and `after` are the paddings of x."""
    shift = (stride - 1 - low) % stride
    before = (shift + low - (stride - 1)) // stride
    return shift, before, (shift > 0) + taps - 1 - before
