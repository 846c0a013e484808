"""Mixture of experts (Jacobs et al. 1991): one expert network per modality, weighted by a gate for each example.

The gate's logit for a modality depends on the modality's own vector and on the mean of the present modalities' vectors;
the weights are the softmax over the present modalities.

Departs from the paper: each expert reads its own modality only.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean, masked_softmax
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, summaries
from mmgen_jax.networks.layers.blocks import MLP


class Fusion(nn.Module):
    """`tokens` are the experts' outputs `[B, M, D]`; `pooled` is their mean with the gate's weights."""

    features: Size = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        vectors, present = summaries(Projection(self.features, self.dtype)(tokens))  # [B, M, D], [B, M]
        context = masked_mean(vectors, present)
        experts, logits = [], []
        for index, name in enumerate(sorted(tokens)):
            experts.append(MLP(self.features, dtype=self.dtype, name=f"{name}_expert")(vectors[:, index]))
            seen = jnp.concatenate([vectors[:, index], context], axis=-1)
            logits.append(nn.Dense(1, dtype=self.dtype, name=f"{name}_gate")(seen))
        experts = jnp.stack(experts, axis=1)
        gate = masked_softmax(jnp.concatenate(logits, axis=-1), present)
        return as_condition(Tokens(experts, present), jnp.einsum("bm,bmd->bd", gate, experts))
