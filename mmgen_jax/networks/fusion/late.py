"""Late fusion: each modality makes its own prediction; the predictions are averaged with learned weights.

The weights, one per modality, are a softmax over the present modalities. Modalities meet only in the average.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_softmax
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, summaries
from mmgen_jax.networks.layers.blocks import MLP


class Fusion(nn.Module):
    """`tokens` are the predictions `[B, M, D]`, one per modality; `pooled` is their weighted mean."""

    features: Size = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        vectors, present = summaries(Projection(self.features, self.dtype)(tokens))  # [B, M, D], [B, M]
        predictions = jnp.stack(
            [
                MLP(self.features, dtype=self.dtype, name=f"{name}_mlp")(vectors[:, index])
                for index, name in enumerate(sorted(tokens))
            ],
            axis=1,
        )
        logits = self.param("logits", nn.initializers.zeros, (len(tokens),))
        weights = masked_softmax(jnp.broadcast_to(logits, present.shape), present).astype(predictions.dtype)
        return as_condition(Tokens(predictions, present), jnp.einsum("bm,bmd->bd", weights, predictions))
