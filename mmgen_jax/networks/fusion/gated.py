"""Gated multimodal unit (GMU, Arevalo et al. 2017): each modality's vector times a gate that reads all modalities.

Departs from the paper: for each feature, the gates are a softmax over the present modalities, so that the scale of
`pooled` does not depend on the number of present modalities. The paper has gates `z` and `1 - z` for two modalities,
and independent sigmoids for more.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition, masked_softmax
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries


class Fusion(nn.Module):
    """`tokens` are the projected tokens of all modalities; `pooled` is the gated sum of one vector per modality."""

    features: Size = 128
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
