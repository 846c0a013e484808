"""Convolutions, and the programs that can run them: a lowering changes the time, never the parameters or the function.

- `xla`: XLA's own operators.
- `exchange`: the same, except that the kernel's gradient of a transposed convolution is derived with the roles of input
  and kernel exchanged. JAX's rule gives a convolution that is dilated on its input and slides a window as large as the
  image, which XLA's CPU backend runs about 20 times slower than the strided convolution's kernel gradient, which is
  the same sum and what the exchanged rule gives.
- `matmul`: patches times kernel. Stride s goes into the channels first (space to depth), and a transposed convolution
  makes the s outputs per position as channels and moves them out last (depth to space, "sub-pixel"). In rank 3, XLA's
  CPU backend runs every input-dilated convolution, so also a strided one's gradient, 20 to 30 times slower.

`experiments/benchmarks/README.md` has the measurements.
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
from jax.custom_derivatives import SymbolicZero

from mmgen_jax.errors import InputError

LOWERINGS = ("auto", "xla", "exchange", "matmul")

Padding = str | int | Sequence[tuple[int, int]]


class Conv(nn.Module):
    """Channels-last convolution with `flax.linen.Conv`'s parameters: `kernel [*kernel_size, in, out]`, `bias [out]`.

    Args:
      kernel_size, strides: of each axis of the grid, or an int for all: rank 1 (sound), 2 (images) or 3 (video).
      padding: `SAME`, `VALID`, an int for every side, or (low, high) per spatial axis.
      lowering: `auto` (by backend and shape), `xla`, `exchange` or `matmul`.
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
    """`x [B, *spatial, in]` convolved with `kernel [*size, in, out]`."""
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(x.shape[1:-1], kernel.shape[:-2], strides, padding)
    else:
        pads = [(padding, padding)] * len(strides) if isinstance(padding, int) else padding
    if choose(lowering, kernel.shape, strides) == "matmul":
        return _convolve_matmul(x, kernel, strides, pads)
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_layouts(len(strides)))


def convolve_transposed(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], lowering: str = "auto") -> jax.Array:
    """`x [B, *spatial, in]` to `[B, *(spatial * strides), out]`: `y[o] = sum_t z[o + t - low] kernel[t]`, where z is x
    with s - 1 zeros after each entry and `low` that of `lax.conv_transpose`'s `SAME` padding."""
    apply = {"xla": _transposed, "exchange": _transposed_exchange, "matmul": _transposed_matmul}
    return apply[choose(lowering, kernel.shape, strides)](x, kernel, strides)


def choose(lowering: str, kernel_shape: tuple[int, ...], strides: Sequence[int]) -> str:
    """What `auto` means here; any other name means itself."""
    if lowering not in LOWERINGS:
        raise InputError(f"convolution lowering: expected one of {', '.join(LOWERINGS)}, got {lowering!r}")
    if lowering != "auto":
        return lowering
    if jax.default_backend() != "cpu":
        return "xla"
    # On the CPU, whichever was measured to be faster; elsewhere the vendor's libraries have their own choice.
    pointwise = math.prod(kernel_shape[:-2]) == 1 and max(strides) == 1
    return "matmul" if pointwise or len(strides) == 3 else "exchange"


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


def _kernel_transposed(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """`_transposed(x, kernel)`, written as the convolution of the kernel with the input, for the sake of its transpose.

    With both reversed, t = s i - o + low becomes t' = o + s i' - pad: the kernel correlated with x dilated by s.
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


def _convolve_matmul(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], pads: Sequence[tuple[int, int]]
) -> jax.Array:
    blocks, taps = _blocks(kernel, strides)
    rank = len(taps)
    # Pad to what out + taps - 1 blocks of s need; negative where the stride never reaches the last entries.
    highs = []
    for n, (low, high), k, s, m in zip(x.shape[1:-1], pads, kernel.shape, strides, taps):
        out = (n + low + high - k) // s + 1
        highs.append(s * (out + m - 1) - n - low)
    x = space_to_depth(_pad(x, [(low, high) for (low, _), high in zip(pads, highs)]), strides)
    blocks = blocks.transpose(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1)
    return _patches(x, taps) @ blocks.reshape(-1, kernel.shape[-1])


def _transposed_matmul(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    blocks, taps = _blocks(kernel, strides)
    rank, spatial = len(taps), x.shape[1:-1]
    # The grid of o is moved by `shift` so that block q of s outputs needs exactly x[q - before : q - before + taps].
    lows = _low_pads(kernel, strides)
    shift = [(s - 1 - low) % s for low, s in zip(lows, strides)]
    before = [(c + low - (s - 1)) // s for c, low, s in zip(shift, lows, strides)]
    x = _pad(x, [(e, (c > 0) + m - 1 - e) for e, c, m in zip(before, shift, taps)])
    blocks = jnp.flip(blocks, range(1, 2 * rank, 2))
    blocks = blocks.transpose(*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2), 2 * rank + 1)
    y = _patches(x, taps) @ blocks.reshape(math.prod(taps) * x.shape[-1], -1)
    y = depth_to_space(y, strides)
    return y[(slice(None), *[slice(c, c + n * s) for c, n, s in zip(shift, spatial, strides)])]


def _blocks(kernel: jax.Array, strides: Sequence[int]) -> tuple[jax.Array, list[int]]:
    """`[kh, kw, in, out]`, zero-padded, as `[mh, sh, mw, sw, in, out]`, and its taps `[mh, mw]`: m = ceil(k / s)."""
    taps = [math.ceil(k / s) for k, s in zip(kernel.shape, strides)]
    extra = [(0, m * s - k) for k, s, m in zip(kernel.shape, strides, taps)]
    kernel = jnp.pad(kernel, [*extra, (0, 0), (0, 0)])
    return kernel.reshape(*[n for pair in zip(taps, strides) for n in pair], *kernel.shape[-2:]), taps


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


def _pad(x: jax.Array, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Pads the spatial axes; negative amounts crop."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *[(low, high, 0) for low, high in pads], (0, 0, 0)])
