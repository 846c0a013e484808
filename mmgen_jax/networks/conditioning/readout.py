"""A dense layer from the features of an image's cells to tokens."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Tokens


class CellTokens(nn.Module):
    """Features `[B, cells, F]` to `Tokens [B, cells, D]`: a LayerNorm over the image, then a dense layer per cell.

    Each cell has its own kernel. The mean of the tokens is therefore a linear map of the whole descriptor, and keeps
    the layout of the cells. The norm is over all cells, so that a plain cell stays weak next to a busy cell.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, descriptor, mask) -> Tokens:
        _, cells, size = descriptor.shape
        normal = nn.LayerNorm(reduction_axes=(-2, -1), feature_axes=-1, dtype=self.dtype)(descriptor)
        initial = nn.initializers.lecun_normal(in_axis=-2, out_axis=-1, batch_axis=(0,))
        kernel = self.param("kernel", initial, (cells, size, self.features))
        bias = self.param("bias", nn.initializers.zeros, (cells, self.features))
        values = jnp.einsum("bnf,nfd->bnd", normal, kernel.astype(normal.dtype)) + bias.astype(normal.dtype)
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))
