"""Early fusion: features are joined first, and one encoder, shared by all modalities, reads them together.

The encoder is a transformer over the tokens of all modalities, each projected to one width, so that every layer mixes
modalities. "Early" is meant with encoders that hardly process their modality (`text.embedding`, patches, spectral
frames, colour and edge histograms); after deep encoders the same module is a joint transformer.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Fusion(nn.Module):
    """`tokens` are the shared encoder's outputs for all tokens; `pooled` is their mean."""

    features: int = 128
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.0
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
