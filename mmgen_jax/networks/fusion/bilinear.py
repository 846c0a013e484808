"""Low-rank bilinear pooling: a sum of `rank` products; each product has one linear map of every modality's vector.

    pooled = W Σ_r Π_m (U_{m,r} x_m + b_{m,r})

Kim et al. 2017 (MLB, rank 1), Yu et al. 2017 (MFB, the sum over r and the signed square root) and, for any number of
modalities, Liu et al. 2018 (LMF).

Departs from the papers: the factor of an absent modality is 1, which leaves the product unchanged; the biases start at
1, like the constant 1 that LMF appends to its vectors, so that the expanded product contains the products of fewer
modalities from the first step; a LayerNorm replaces MFB's L2 normalisation.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries


class Fusion(nn.Module):
    """`tokens` are the projected tokens of all modalities; `pooled` is the low-rank product of their mean tokens."""

    features: Size = 128
    rank: Size = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        vectors, present = summaries(projected)  # [B, M, D], [B, M]
        product = 1.0
        for index, name in enumerate(sorted(tokens)):
            factor = nn.Dense(
                self.rank * self.features, dtype=self.dtype, bias_init=nn.initializers.ones, name=f"{name}_factor"
            )(vectors[:, index])
            product = product * jnp.where(present[:, index, None], factor, 1)
        assert isinstance(product, jax.Array), "a fusion has tokens of at least one modality"
        summed = product.reshape(-1, self.rank, self.features).sum(axis=1)
        root = summed / jnp.sqrt(jnp.abs(summed) + 1e-6)  # sign(x) √|x|, with a finite gradient at 0
        pooled = nn.Dense(self.features, dtype=self.dtype)(nn.LayerNorm(dtype=self.dtype)(root))
        return as_condition(join(projected), pooled)
