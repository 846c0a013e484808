"""Recognition: classifies an example from any of its modalities, by cross-entropy on the pooled conditions.

The model has one label, or several labels with a common conditioner and a linear head each (multi-task learning,
Caruana, 1997). `embed` gives the pooled conditions, for retrieval.

Departs from Caruana: networks of the config, the same weight for every label, label smoothing and mixup where set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.config.ranges import NotNegative, Rate
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import pooled
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import example_weights, zero_masked
from mmgen_jax.objectives.parts.mixup import mix, mixup_weights

MIXUP = 0x313  # folded into the key, so that mixup's draws are independent of dropout's


class Network(nn.Module):
    """Conditioner and a linear classifier per label; the output is `({label: logits [B, K]}, pooled [B, D])`."""

    conditioner: Conditioner
    num_classes: Mapping[str, int]  # {label: number of classes}, the target first
    dropout: float

    @nn.compact
    def __call__(self, batch, train: bool = False):
        vector = pooled(self.conditioner(batch, train=train)).astype(jnp.float32)
        hidden = nn.Dropout(self.dropout, deterministic=not train)(vector)
        target = next(iter(self.num_classes))
        heads = {name: "head" if name == target else f"head_{name}" for name in self.num_classes}
        return {name: nn.Dense(self.num_classes[name], name=head)(hidden) for name, head in heads.items()}, vector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Cross-entropy of one label, or the weighted sum over several labels.

    Args:
      target: the label modality; examples whose label is masked have no loss.
      auxiliary_labels: `{label: weight}` of further labels; the target has weight 1.
      label_smoothing: weight of the uniform distribution in the training target (Szegedy et al., 2016).
      dropout: rate on the pooled conditions.
      mixup: α of mixup (Zhang et al., 2018): in training, conditions and labels of each example are mixed with those of
        another example of the batch, with a weight from Beta(α, α). 0 does not mix; other values need conditions with
        continuous values.

    Raises:
      ConfigError: the target or an auxiliary label is no label, or a field is out of range.
    """

    auxiliary_labels: Mapping[str, NotNegative] = dataclasses.field(default_factory=dict)
    label_smoothing: Rate = 0.0
    dropout: Rate = 0.0
    mixup: NotNegative = 0.0

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("classifier",)

    def __post_init__(self):
        if not self.modality.classes:
            raise ConfigError(f"objective.target: expected a label, {self.target!r} is of kind {self.modality.kind!r}")
        labels = [name for name, modality in self.modalities.items() if modality.classes]
        if unknown := [name for name in self.auxiliary_labels if name not in labels or name == self.target]:
            others = ", ".join(name for name in labels if name != self.target) or "none"
            raise ConfigError(
                f"objective.auxiliary_labels: expected labels other than the target ({others}), got {unknown[0]!r}"
            )
        conditions = self.conditions.modalities
        if self.mixup and (fixed := [n for n, m in conditions.items() if not isinstance(m.space, Continuous)]):
            raise ConfigError(
                f"objective.mixup: {fixed[0]!r} is of kind {conditions[fixed[0]].kind!r}, whose values cannot be "
                "mixed; set it to 0"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target, *self.auxiliary_labels)

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "embed"})

    @property
    def network(self) -> Network:
        others = {name: self.modalities[name].num_classes for name in self.auxiliary_labels}
        return Network(self.conditions, {self.target: self.modality.num_classes} | others, self.dropout)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {"classifier": self.network.init(init_keys(rng), batch, train=True)}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        weight = None
        if self.mixup:
            size = batch[self.target].shape[0]
            keys = randomness.example_keys(jax.random.fold_in(rng, MIXUP), size)
            weight = mixup_weights(keys, self.mixup)
        (logits, _), collections = apply_train(
            self.network,
            "classifier",
            params,
            collections,
            batch if weight is None else self._mixed(batch, weight),
            rngs=dict(zip(("dropout", "modality_dropout"), jax.random.split(rng))),
        )
        loss, metrics = 0.0, {}
        for name, share in ({self.target: 1.0} | dict(self.auxiliary_labels)).items():
            true = jax.nn.one_hot(batch[name], logits[name].shape[-1])
            true = example_weights(batch, name)[:, None] * true
            true = true if weight is None else mix(true, weight)
            uniform = true.sum(axis=-1, keepdims=True) / true.shape[-1]
            smooth = (1.0 - self.label_smoothing) * true + self.label_smoothing * uniform
            loss += share * jnp.mean(optax.softmax_cross_entropy(logits[name], smooth))
            predicted = jnp.argmax(logits[name], axis=-1)
            accuracy = jnp.mean(jnp.take_along_axis(true, predicted[:, None], axis=-1))
            metrics["accuracy" if name == self.target else f"accuracy_{name}"] = accuracy
        return loss, (collections, metrics)

    def _mixed(self, batch: Batch, weight: jax.Array) -> Batch:
        """The batch with mixed conditions; a condition that one of the two examples lacks counts as zero there."""
        mixed = dict(batch)
        for name in set(self.conditions.names) & set(batch):
            mixed[name] = mix(zero_masked(batch, name), weight)
            if (mask := batch.get(name + MASK_SUFFIX)) is not None:
                mixed[name + MASK_SUFFIX] = mask | mapped.roll(mask)
        return mixed

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The most probable class of each label, `{label: [B] int32}`; `rng` is not used."""
        logits, _ = self._apply(params, collections, batch)
        return {name: jnp.argmax(values, axis=-1).astype(jnp.int32) for name, values in logits.items()}

    def embed(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The pooled conditions `[B, D]`."""
        return self._apply(params, collections, batch)[1]

    def _apply(self, params, collections, batch):
        return apply(self.network, "classifier", params, collections, batch)
