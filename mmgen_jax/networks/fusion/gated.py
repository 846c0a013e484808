"""Gated multimodal unit (Arevalo et al. 2017): each modality's vector times a gate that sees all modalities.

Departs from the paper: the gates of the modalities that are present are a softmax for each feature (the paper has
that for two modalities, `z` and `1 - z`, and independent sigmoids for more), so that the scale of `pooled` does not
depend on how many are present.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition, masked_softmax
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries


class Fusion(nn.Module):
    """`tokens` are all modalities' projected tokens; `pooled` is the gated sum of one vector per modality."""

    features: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        vectors, present = summaries(projected)  # [B, M, D], [B, M]
        batch_size, num_modalities, _ = vectors.shape
        flat = jnp.concatenate([vectors.reshape(batch_size, -1), present.astype(vectors.dtype)], axis=-1)
        logits = nn.Dense(self.features * num_modalities, dtype=self.dtype)(flat)
        gates = masked_softmax(logits.reshape(batch_size, self.features, num_modalities), present[:, None])
        return as_condition(join(projected), jnp.einsum("bmd,bdm->bd", jnp.tanh(vectors), gates))
