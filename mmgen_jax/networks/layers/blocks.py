"""Shared blocks: normalisation, resampling, residual blocks, attention, embeddings.

Parameters and statistics are float32; `dtype` is the dtype of a layer's computation and output.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.networks.layers.attention import attend, heads_first
from mmgen_jax.networks.layers.convolution import Conv as Conv
from mmgen_jax.networks.layers.convolution import ConvTranspose as ConvTranspose
from mmgen_jax.networks.layers.normalisation import BatchNorm, GroupNorm, InstanceNorm

NORMS = ("batch", "group", "layer", "instance", "none")


def norm(kind: str, train: bool, dtype: Any = jnp.float32, affine: bool = True) -> Callable[[jax.Array], jax.Array]:
    """The normalisation layer called `kind` (one of `NORMS`); all but `batch` act on each example alone.

    Args:
      train: only for `batch`: True normalises with the batch's statistics and updates the running statistics, False
        normalises with the running statistics.
      affine: whether the layer learns a scale and a shift.

    Raises:
      ConfigError: an unknown kind.
    """
    fields = {"use_scale": affine, "use_bias": affine, "dtype": dtype}
    match kind:
        case "batch":
            return BatchNorm(use_running_average=not train, **fields)
        case "group":
            return GroupNorm(**fields)
        case "layer":
            return nn.LayerNorm(**fields)
        case "instance":
            return InstanceNorm(**fields)
        case "none":
            return lambda x: x
    raise ConfigError(f"norm kind {kind!r} does not exist; the kinds are {', '.join(NORMS)}")


def film(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """`x [B, ..., C]` times `1 + scale [B, C]` plus `shift [B, C]`."""
    shape = (x.shape[0], *[1] * (x.ndim - 2), x.shape[-1])
    return x * (1 + scale.reshape(shape)) + shift.reshape(shape)


class ConditionalNorm(nn.Module):
    """A normalisation with scale and shift linear in a vector `[B, D]` (conditional BatchNorm, FiLM, AdaIN).

    `kind` is a kind of `norm`; the input is `x [B, ..., C]`.
    """

    kind: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, vector: jax.Array, train: bool) -> jax.Array:
        x = norm(self.kind, train, self.dtype, affine=False)(x)
        # Small initial values start near the unconditional normalisation; zeros would give the vector no gradient.
        modulation = nn.Dense(2 * x.shape[-1], dtype=self.dtype, kernel_init=nn.initializers.normal(0.02))(vector)
        return film(x, *jnp.split(modulation, 2, axis=-1))


def kernel_init(std: float) -> nn.initializers.Initializer:
    """Normal initial values with standard deviation `std`; for 0, LeCun initialisation (flax's default)."""
    return nn.initializers.normal(std) if std else nn.initializers.lecun_normal()


def spectral_normalise(layer: nn.Module, train: bool, enabled: bool = True) -> Callable[..., jax.Array]:
    """The layer (`Conv`, `ConvTranspose` or `Dense`) with its kernel scaled to spectral norm 1 (Miyato et al. 2018).

    The kernel counts as a matrix `[all other axes, out]`. Each call with `train` makes one step of power iteration; its
    vector `u` and `sigma` are in the collection `batch_stats`. Not `enabled`: the layer itself.
    """
    return functools.partial(nn.SpectralNorm(layer), update_stats=train) if enabled else layer


def upsample(x: jax.Array, factors: int | tuple[int, ...] = 2) -> jax.Array:
    """Nearest-neighbour upsampling of `[B, *grid, C]` by an integer factor, or by one factor for each axis."""
    b, *grid, c = x.shape
    factors = _factors(grid, factors)
    x = x.reshape(b, *[n for size in grid for n in (size, 1)], c)
    repeated = [n for pair in zip(grid, factors) for n in pair]
    return jnp.broadcast_to(x, (b, *repeated, c)).reshape(b, *[n * f for n, f in zip(grid, factors)], c)


def downsample(x: jax.Array, factors: int | tuple[int, ...] = 2) -> jax.Array:
    """Mean pooling of `[B, *grid, C]` by an integer factor, or by one factor for each axis.

    Raises:
      InputError: a factor that does not divide its axis.
    """
    b, *grid, c = x.shape
    factors = _factors(grid, factors)
    if any(size % factor for size, factor in zip(grid, factors)):
        raise InputError(f"downsample: expected a grid whose axes are multiples of {factors}, got {tuple(grid)}")
    pairs = [n for size, factor in zip(grid, factors) for n in (size // factor, factor)]
    return x.reshape(b, *pairs, c).mean(tuple(range(2, 2 * len(grid) + 1, 2)))


def _factors(grid: Sequence[int], factors: int | tuple[int, ...]) -> tuple[int, ...]:
    return (factors,) * len(grid) if isinstance(factors, int) else tuple(factors)


class ResidualBlock(nn.Module):
    """Pre-activation residual block of SNGAN and BigGAN: twice (norm, activation, convolution), plus a shortcut.

    Args:
      features: number of output channels.
      resample: None, `up` (before the first convolution) or `down` (after the second convolution), by `factors`.
      norm: a kind of `norm`, see `blocks.norm`; a `vector` in the call gives its scale and shift.
      spectral: whether the convolutions are spectrally normalised.
      activate_input: False for a block that reads raw pixels: no norm and activation before the first convolution.
      factors: of `upsample` or `downsample`.
    """

    features: int
    resample: str | None = None
    norm: str = "batch"
    spectral: bool = False
    activate_input: bool = True
    dtype: Any = jnp.float32
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    factors: int | tuple[int, ...] = 2

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, vector: jax.Array | None = None) -> jax.Array:
        """`x [B, *grid, C]` with a grid of rank 1 to 3, and `vector [B, D]`, to `[B, *new grid, features]`."""
        if self.resample not in (None, "up", "down"):
            raise InputError(f"ResidualBlock.resample: expected None, 'up' or 'down', got {self.resample!r}")

        def normalise(h):
            if vector is None:
                return norm(self.norm, train, self.dtype)(h)
            return ConditionalNorm(self.norm, self.dtype)(h, vector, train)

        def conv(h, kernel_size):
            layer = Conv(self.features, kernel_size, dtype=self.dtype)
            return spectral_normalise(layer, train, self.spectral)(h)

        h = self.activation(normalise(x)) if self.activate_input else x
        h = conv(upsample(h, self.factors) if self.resample == "up" else h, 3)
        h = conv(self.activation(normalise(h)), 3)
        # A 1x1 convolution commutes with up- and downsampling, so it runs on the smaller of the two grids.
        shortcut = downsample(x, self.factors) if self.resample == "down" else x
        if x.shape[-1] != self.features:
            shortcut = conv(shortcut, 1)
        h = downsample(h, self.factors) if self.resample == "down" else h
        return h + (upsample(shortcut, self.factors) if self.resample == "up" else shortcut)


class CrossAttention(nn.Module):
    """Multi-head attention of queries `x [B, T, D]` over `context [B, N, E]`, to `[B, T, D]`.

    A query whose context is all masked gets exactly 0, without even the bias of the output layer.

    Raises:
      InputError: `num_heads` does not divide D.
    """

    num_heads: int
    causal: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """`mask [B, N] bool`: False where `context` must not be used; None uses all of it."""
        width = x.shape[-1]
        if width % self.num_heads:
            raise InputError(f"attention: width {width} is not a multiple of num_heads {self.num_heads}; change either")
        heads = functools.partial(nn.DenseGeneral, (self.num_heads, width // self.num_heads), dtype=self.dtype)
        query, key, value = heads(name="query")(x), heads(name="key")(context), heads(name="value")(context)
        allowed = None if mask is None else mask[:, None, None, :]
        if self.causal:
            past = jnp.tri(x.shape[1], context.shape[1], dtype=bool)
            allowed = past if allowed is None else allowed & past
        # A query whose context is all masked gets the mean of all values: no NaN, neither in the value nor in the
        # gradient. The last line replaces this mean by 0.
        y = attend(heads_first(query), heads_first(key), heads_first(value), allowed)
        y = nn.DenseGeneral(width, axis=(-2, -1), dtype=self.dtype, name="output")(heads_first(y))
        if mask is None:
            return y
        seen = jnp.cumsum(mask, axis=1) > 0 if self.causal else jnp.any(mask, axis=1, keepdims=True)
        return jnp.where(seen[..., None], y, 0)


class SelfAttention(nn.Module):
    """`CrossAttention` of `x [B, N, D]` over `x` itself; `mask [B, N]`."""

    num_heads: int
    causal: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        return CrossAttention(self.num_heads, self.causal, self.dtype, name="attention")(x, x, mask)


class MLP(nn.Module):
    """Two dense layers, `[..., D]` to `[..., out_features]`; `out_features` None is D."""

    hidden_features: int
    out_features: int | None = None
    activation: Callable[[jax.Array], jax.Array] = nn.gelu
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        h = self.activation(nn.Dense(self.hidden_features, dtype=self.dtype)(x))
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        return nn.Dense(self.out_features or x.shape[-1], dtype=self.dtype)(h)


class TransformerBlock(nn.Module):
    """Pre-norm block: self-attention, cross-attention to a context where the call has one, MLP."""

    num_heads: int
    mlp_ratio: int = 4
    causal: bool = False
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array | None = None,
        context: jax.Array | None = None,
        context_mask: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """`x [B, T, D]`, `mask [B, T]`, `context [B, N, E]`, `context_mask [B, N]` to `[B, T, D]`."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        h = nn.LayerNorm(dtype=self.dtype, name="self_norm")(x)
        x = x + drop(SelfAttention(self.num_heads, self.causal, self.dtype, name="self_attention")(h, mask))
        if context is not None:
            h = nn.LayerNorm(dtype=self.dtype, name="cross_norm")(x)
            attention = CrossAttention(self.num_heads, dtype=self.dtype, name="cross_attention")
            x = x + drop(attention(h, context, context_mask))
        h = nn.LayerNorm(dtype=self.dtype, name="mlp_norm")(x)
        return x + drop(MLP(self.mlp_ratio * x.shape[-1], dropout=self.dropout, dtype=self.dtype)(h, train))


def embed(table: nn.Embed, words: jax.Array) -> jax.Array:
    """Vectors `[..., D]` of ids `[...] int`, or of one-hot or relaxed rows `[..., V] float`, which get a gradient."""
    if jnp.issubdtype(words.dtype, jnp.integer):
        return table(words)
    dtype = table.dtype or table.embedding.dtype
    return words.astype(dtype) @ table.embedding.astype(dtype)


def sinusoidal_embedding(positions: jax.Array, features: int, max_period: float = 10_000.0) -> jax.Array:
    """`positions [...]` to `[..., features]` float32, `features` even: cosines, then sines.

    The periods go from 2 pi to 2 pi max_period.
    """
    frequencies = jnp.exp(-math.log(max_period) * jnp.arange(features // 2) / max(features // 2 - 1, 1))
    angles = positions[..., None].astype(jnp.float32) * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class TimeEmbedding(nn.Module):
    """A time `[B]` in [0, 1] to a vector `[B, features]`; InputError for fewer than 2 features."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, time: jax.Array) -> jax.Array:
        if self.features < 2:
            raise InputError(f"features: expected at least 2, a cosine and a sine of the time, got {self.features}")
        h = sinusoidal_embedding(1000 * time, self.features)
        return MLP(self.features, self.features, activation=nn.silu, dtype=self.dtype)(h)
