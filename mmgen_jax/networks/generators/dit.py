"""Diffusion transformer: denoiser of sequences, images and clips, given time and conditions (DiT, Peebles & Xie, 2023).

The grid is cut into patches, one token each, with a learned position. Time and the pooled conditions give scale, shift
and gate to self-attention and MLP (adaLN). Aligned sources are further channels of the input. With
`prediction="data"` in the objective, a patch may have more values than a token has features, so that large patches of
pixels need no autoencoder (Li & He, 2025).

Departs from DiT: positions are learned; `cross_attention` adds cross-attention to the conditions' tokens to each block
(as in PixArt-α, Chen et al., 2024); gates, scales, shifts and the output start at small values instead of 0
(adaLN-Zero), so that every parameter has a gradient in the first step.
"""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of, tokens_of
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.patches import depth_to_space, space_to_depth
from mmgen_jax.networks.layers.strides import patch_sizes


class Block(nn.Module):
    """Self-attention, cross-attention where the call has a context, MLP.

    A vector gives scale, shift and gate to self-attention and MLP; cross-attention has a plain LayerNorm and no gate.
    """

    num_heads: int
    mlp_ratio: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, vector: jax.Array, context: jax.Array | None, mask: jax.Array | None) -> jax.Array:
        """`x [B, N, D]`, `vector [B, F]`, `context [B, S, E]` and its `mask [B, S]` to `[B, N, D]`."""
        small = nn.initializers.normal(0.02)
        modulation = nn.Dense(6 * x.shape[-1], kernel_init=small, dtype=self.dtype, name="modulation")
        values = jnp.split(modulation(vector)[:, None], 6, axis=-1)
        norm = functools.partial(nn.LayerNorm, use_scale=False, use_bias=False, dtype=self.dtype)

        def branch(layer, name, scale, shift, gate):
            return gate * layer(norm(name=name)(x) * (1 + scale) + shift)

        x = x + branch(blocks.SelfAttention(self.num_heads, dtype=self.dtype), "self_norm", *values[:3])
        if context is not None:
            attention = blocks.CrossAttention(self.num_heads, dtype=self.dtype, name="cross_attention")
            x = x + attention(nn.LayerNorm(dtype=self.dtype, name="cross_norm")(x), context, mask)
        return x + branch(blocks.MLP(self.mlp_ratio * x.shape[-1], dtype=self.dtype), "mlp_norm", *values[3:])


class Generator(nn.Module):
    """`x [B, *grid, C]` and `time [B]` in [0, 1] to `[B, *grid, C]`, unbounded.

    Args:
      features: length of a token, and of the vector of time and conditions.
      num_layers, num_heads, mlp_ratio: of the transformer; the MLP has `mlp_ratio * features` hidden features.
      patch_size: side of a patch; an int for all axes but the time of a clip, or a tuple with one size for each axis.
      cross_attention: whether the blocks also attend to the conditions' tokens; otherwise only the pooled conditions
        enter.

    Raises:
      ConfigError: the patches do not divide the grid, or the grid has another rank.
    """

    form: ClassVar[str] = "noisy"

    features: Size = 128
    num_layers: Depth = 6
    num_heads: Size = 4
    mlp_ratio: Size = 4
    patch_size: Size | tuple[Size, ...] = 4
    cross_attention: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        patch = patch_sizes("generators/dit", self.patch_size, x.shape)
        vector = blocks.TimeEmbedding(self.features, dtype=self.dtype, name="time")(time)
        pooled = pooled_of(condition)
        if pooled is not None:
            vector = vector + nn.Dense(self.features, dtype=self.dtype, name="condition")(pooled)
        vector = nn.silu(vector)
        cells = space_to_depth(join(x.astype(self.dtype), condition), patch)
        tokens = nn.Dense(self.features, dtype=self.dtype, name="input")(cells.reshape(len(x), -1, cells.shape[-1]))
        tokens = tokens + self.param("positions", nn.initializers.normal(0.02), tokens.shape[1:]).astype(self.dtype)
        context, mask = tokens_of(condition) if self.cross_attention else (None, None)
        for layer in range(self.num_layers):
            block = Block(self.num_heads, self.mlp_ratio, dtype=self.dtype, name=f"block_{layer}")
            tokens = block(tokens, vector, context, mask)
        tokens = blocks.ConditionalNorm("layer", dtype=self.dtype, name="output_norm")(tokens, vector, train)
        small = nn.initializers.normal(1e-2)
        tokens = nn.Dense(x.shape[-1] * math.prod(patch), kernel_init=small, dtype=self.dtype, name="output")(tokens)
        return depth_to_space(tokens.reshape(*cells.shape[:-1], -1), patch)
