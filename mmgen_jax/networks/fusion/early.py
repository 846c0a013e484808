"""Early fusion: one transformer reads the features of all modalities together.

The tokens of each modality are projected to one width and joined; every layer of the transformer mixes modalities. The
fusion is "early" after encoders that hardly process their modality (`text.embedding`, patches, spectral frames, colour
and edge histograms); after deep encoders the same module is a joint transformer.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Fusion(nn.Module):
    """`tokens` are the transformer's outputs for the tokens of all modalities; `pooled` is their mean."""

    features: Size = 128
    num_layers: Depth = 2
    num_heads: Size = 4
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        joined = join(Projection(self.features, self.dtype)(tokens))
        values = joined.values
        for _ in range(self.num_layers):
            values = TransformerBlock(self.num_heads, dropout=self.dropout, dtype=self.dtype)(
                values, joined.mask, train=train
            )
        values = nn.LayerNorm(dtype=self.dtype)(values)
        return as_condition(Tokens(values, joined.mask), masked_mean(values, joined.mask))
