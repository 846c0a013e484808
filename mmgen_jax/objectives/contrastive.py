"""Contrastive embedding of two views of an example: its fused conditions, and its target.

Two towers give unit vectors. The two vectors of an example (a positive pair) should be more similar than the vectors of
different examples of the global batch (negative pairs). `info_nce` is the symmetric cross-entropy of CLIP (Radford et
al., 2021), `sigmoid` the pairwise loss of SigLIP (Zhai et al., 2023). Both losses learn a temperature; `sigmoid` also
learns a bias.

As in both papers, examples with the same content are negatives of each other: where several examples of a batch share a
caption, no model can bring the loss to 0.

Departs from CLIP: the factor of the logits has the limit 100, but its parameter is not clipped with it. The limit is
also that of `sigmoid`, where SigLIP has none.

The objective embeds only; it has no `sample`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Positive, Real, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import masked_mean, pooled
from mmgen_jax.networks.layers import mapped
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import zero_masked

LOSSES = ("info_nce", "sigmoid")
MAX_SCALE = 100.0  # largest factor of the logits (1 / temperature)


class Network(nn.Module):
    """Both towers, each with a linear head, and the learned scale and bias of the logits."""

    conditioner: Conditioner
    target_encoder: nn.Module
    embedding_dim: int
    temperature: float
    bias: float | None

    def setup(self):
        self.condition_head = nn.Dense(self.embedding_dim, use_bias=False)
        self.target_head = nn.Dense(self.embedding_dim, use_bias=False)
        self.log_scale = self.param("log_scale", nn.initializers.constant(-math.log(self.temperature)), ())
        if self.bias is not None:
            self.logit_bias = self.param("logit_bias", nn.initializers.constant(self.bias), ())

    def embed_conditions(self, batch, train: bool = False) -> jax.Array:
        """Unit vectors of the conditions, `[B, E]` float32."""
        return _unit(self.condition_head(pooled(self.conditioner(batch, train=train)).astype(jnp.float32)))

    def embed_target(self, target, mask, train: bool = False) -> jax.Array:
        tokens = self.target_encoder(target, mask, train=train)
        return _unit(self.target_head(masked_mean(tokens.values, tokens.mask).astype(jnp.float32)))

    def __call__(self, batch, target, mask, train: bool = False):
        """Both embeddings `[B, E]`, and the scale and the bias of their logits."""
        # Clipped at MAX_SCALE with a straight-through gradient, so that a scale at the limit can decrease again.
        beyond = jax.lax.stop_gradient(jnp.maximum(self.log_scale - math.log(MAX_SCALE), 0))
        scale = jnp.exp(self.log_scale - beyond)
        bias = 0.0 if self.bias is None else self.logit_bias
        return self.embed_conditions(batch, train), self.embed_target(target, mask, train), scale, bias


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """InfoNCE or the sigmoid loss between the fused conditions and one modality.

    Args:
      target: the modality of the second tower. Examples that lack the target, or all their conditions, have no loss and
        are no negatives of other examples.
      target_encoder: `(target [B, *modality.shape], mask [B]) -> Tokens`; the tower takes the mean of the tokens.
      embedding_dim: length of the unit vectors.
      loss_type: `info_nce` or `sigmoid`.
      temperature: initial temperature, 0.07 in CLIP, 0.1 in SigLIP.
      bias: initial bias of the logits of `sigmoid`, -10 in SigLIP.

    Raises:
      ConfigError: an unknown `loss_type`, no conditions, or a target that is also a condition.
    """

    target_encoder: nn.Module
    embedding_dim: Size = 128
    loss_type: str = "info_nce"
    temperature: Positive = 0.07
    bias: Real = -10.0

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("encoder",)

    def __post_init__(self):
        if self.loss_type not in LOSSES:
            raise ConfigError(f"objective.loss_type: expected one of {', '.join(LOSSES)}, got {self.loss_type!r}")
        if self.target in self.conditions.names:
            raise ConfigError(
                f"objective.target: {self.target!r} is also a condition and would retrieve itself; take it out of "
                "config.encoders"
            )

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"embed", "embed_pair"})

    @property
    def network(self) -> Network:
        bias = self.bias if self.loss_type == "sigmoid" else None
        return Network(self.conditions, self.target_encoder, self.embedding_dim, self.temperature, bias)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {"encoder": self.network.init(init_keys(rng), batch, *self._target(batch), train=True)}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """Mean over examples; `accuracy`: the share of examples whose own target has the largest logit in the batch."""
        rngs = dict(zip(("dropout", "modality_dropout"), jax.random.split(rng)))
        (conditions, targets, scale, bias), collections = apply_train(
            self.network, "encoder", params, collections, batch, *self._target(batch), rngs=rngs
        )
        counts = self._counts(batch)
        all_conditions, all_targets, all_counts = (mapped.gather(x) for x in (conditions, targets, counts))
        own = jnp.arange(len(counts)) + mapped.index() * len(counts)
        logits = scale * conditions @ all_targets.T + bias  # [B, global B]
        if self.loss_type == "info_nce":
            backwards = scale * targets @ all_conditions.T
            losses = (_cross_entropy(logits, own, all_counts) + _cross_entropy(backwards, own, all_counts)) / 2
        else:
            sign = jnp.where(own[:, None] == jnp.arange(len(all_counts)), 1.0, -1.0)
            losses = -jnp.sum(all_counts * jax.nn.log_sigmoid(sign * logits), axis=1)
        weights = counts / jnp.maximum(jnp.mean(all_counts), 1e-6)
        nearest = jnp.argmax(jnp.where(all_counts, logits, -jnp.inf), axis=1)
        metrics = {"accuracy": jnp.mean(weights * (nearest == own)), "scale": scale}
        return jnp.mean(weights * losses), (collections, metrics)

    def embed(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """Unit vectors of the conditions, `[B, embedding_dim]`."""
        return self._apply(params, collections, batch, method="embed_conditions")

    def embed_pair(self, params, collections, batch, rng: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Unit vectors of the conditions and of the target, each `[B, embedding_dim]`."""
        return self._apply(params, collections, batch, *self._target(batch))[:2]

    def _apply(self, params, collections, *args, method="__call__"):
        return apply(self.network, "encoder", params, collections, *args, method=method)

    def _target(self, batch) -> tuple[jax.Array, jax.Array]:
        return zero_masked(batch, self.target), _mask(batch, self.target)

    def _counts(self, batch) -> jax.Array:
        """`[B] bool`: whether an example has the target and at least one condition."""
        has_condition = jnp.zeros(batch[self.target].shape[0], bool)
        for name in set(self.conditions.names) & set(batch):
            has_condition |= _mask(batch, name)
        return _mask(batch, self.target) & has_condition


def _mask(batch, name: str) -> jax.Array:
    return batch.get(name + MASK_SUFFIX, jnp.ones(batch[name].shape[0], bool))


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.sum(x**2, axis=-1, keepdims=True) + 1e-12)  # finite gradient at 0


def _cross_entropy(logits: jax.Array, own: jax.Array, counts: jax.Array) -> jax.Array:
    """Cross-entropy `[B]` in nats of column `own [B]` of `logits [B, N]`, among the columns where `counts [N]`."""
    logits = jnp.where(counts, logits, -1e9)
    return jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, own[:, None], axis=1)[:, 0]
