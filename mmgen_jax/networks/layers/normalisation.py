"""Normalisation of feature maps by statistics of their channels: batch, group and instance normalisation.

The functions and parameters are those of flax's layers of these names. The form differs: sums over the grid give a
factor and a shift for each channel, and the output is `x * factor + shift`, so that neither the output nor a gradient
needs the groups as an axis of its own. On a CPU, a group normalisation with its gradients takes a third to two thirds
of flax's time, a batch normalisation 0.8 to 0.94 of flax's time (`experiments/benchmarks/normalisation.py`).

Statistics are float32 for every `dtype`, which is the dtype of the output.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.layers import mapped


def affine(module: Any, channels: int) -> tuple[Any, Any]:
    """The parameters `(scale, bias)` of a module, each `[C]`; 1 or 0 where it does not learn them."""
    scale = module.param("scale", nn.initializers.ones, (channels,)) if module.use_scale else 1.0
    return scale, module.param("bias", nn.initializers.zeros, (channels,)) if module.use_bias else 0.0


class Affine(nn.Module):
    """A module that holds the parameters of `affine` under its own name."""

    use_scale: bool = True
    use_bias: bool = True

    @nn.compact
    def __call__(self, channels: int) -> tuple[Any, Any]:
        return affine(self, channels)


class GroupNorm(nn.Module):
    """Group normalisation (Wu & He, 2018) of `x [B, *grid, C]` with `gcd(groups, C)` groups."""

    groups: int = 32
    use_scale: bool = True
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        groups = math.gcd(self.groups, x.shape[-1])
        learned = Affine(self.use_scale, self.use_bias, name="GroupNorm_0")(x.shape[-1])
        return by_groups(x, groups, *learned, self.dtype)


class InstanceNorm(nn.Module):
    """Instance normalisation (Ulyanov et al., 2016) of `x [B, *grid, C]`: a group for each channel."""

    use_scale: bool = True
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        return by_groups(x, channels, *affine(self, channels), self.dtype)


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy, 2015) of `x [..., C]` over all other axes, on every layout of devices.

    Args:
      use_running_average: if True, normalise by the running statistics; else by the statistics of the global batch, and
        update the running statistics.
      momentum, epsilon: by default as in DCGAN and PyTorch.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        mean_of = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        variance_of = self.variable("batch_stats", "var", jnp.ones, (channels,))
        mean, variance = mean_of.value, variance_of.value
        if not self.use_running_average:
            rows = x.astype(jnp.float32).reshape(-1, channels)
            sums = jnp.sum(rows, axis=0), jnp.sum(rows * rows, axis=0)
            mean, square = mapped.mean(jax.tree.map(lambda total: total / len(rows), sums))
            variance = jnp.maximum(square - mean * mean, 0.0)
            if not self.is_initializing():
                mean_of.value = self.momentum * mean_of.value + (1 - self.momentum) * mean
                variance_of.value = self.momentum * variance_of.value + (1 - self.momentum) * variance
        scale, bias = affine(self, channels)
        factor = jax.lax.rsqrt(variance + self.epsilon) * scale
        return (x.astype(jnp.float32) * factor + (bias - mean * factor)).astype(self.dtype)


def by_groups(x: jax.Array, groups: int, scale: Any, bias: Any, dtype: Any, epsilon: float = 1e-6) -> jax.Array:
    """`x [B, *grid, C]` with mean 0 and variance 1 in each example and group of channels, times `scale` plus `bias`."""
    num, channels = len(x), x.shape[-1]
    cells = x.astype(jnp.float32).reshape(num, -1, channels)
    sums = jnp.sum(cells, axis=1), jnp.sum(cells * cells, axis=1)
    mean, square = (jnp.mean(total.reshape(num, groups, -1), axis=-1) / cells.shape[1] for total in sums)
    deviation = jax.lax.rsqrt(jnp.maximum(square - mean * mean, 0.0) + epsilon)
    mean, deviation = (jnp.repeat(values, channels // groups, axis=-1) for values in (mean, deviation))
    factor = deviation * scale
    shift = bias - mean * factor
    return (cells * factor[:, None] + shift[:, None]).reshape(x.shape).astype(dtype)
