"""Hybrid fusion: the average, with a learned weight, of a joint fusion of all modalities and late fusion."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition, pooled
from mmgen_jax.networks.fusion import late
from mmgen_jax.networks.fusion.tokens import as_condition, as_tokens, join


class Fusion(nn.Module):
    """`tokens` are the tokens of both fusions; `pooled` is w · joint + (1 - w) · late, with a learned w in (0, 1).

    `joint` is the name of the joint fusion, e.g. `concat` or `early`.
    """

    features: Size = 128
    joint: str = "concat"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        joint_fusion = lookup.build("fusion", {"name": self.joint}, features=self.features, dtype=self.dtype)
        by_all = joint_fusion(tokens, train=train)
        by_each = late.Fusion(self.features, self.dtype)(tokens, train=train)
        weight = nn.sigmoid(self.param("logit", nn.initializers.zeros, ())).astype(pooled(by_all).dtype)
        both = join({"all": as_tokens(by_all), "each": as_tokens(by_each)})
        return as_condition(both, weight * pooled(by_all) + (1 - weight) * pooled(by_each))
