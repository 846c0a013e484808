"""Recognition: the class of an example from any of its modalities, by cross-entropy on the fused vector.

`embed` gives that vector, for retrieval.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.conditioning import Conditioner
from mmgen_jax.modalities import Modality
from mmgen_jax.objectives import presence_weights


class Network(nn.Module):
    """Encoders, fusion and a linear classifier; `(logits [B, K], pooled [B, D])`."""

    conditioner: Conditioner
    num_classes: int
    dropout: float

    @nn.compact
    def __call__(self, batch, train: bool = False):
        pooled = self.conditioner(batch, train=train).pooled.astype(jnp.float32)
        hidden = nn.Dropout(self.dropout, deterministic=not train)(pooled)
        return nn.Dense(self.num_classes, name="head")(hidden), pooled


@dataclasses.dataclass(frozen=True)
class Objective:
    """Cross-entropy of one label.

    Args:
      target: the label modality; examples that lack it (its mask) do not count.
      label_smoothing: weight of the uniform distribution in the training target (Szegedy et al., 2016).
      dropout: on the fused vector.
    """

    conditioner: Conditioner
    modality: Modality
    target: str
    label_smoothing: float = 0.0
    dropout: float = 0.0
    axis_name: str | None = None

    players: ClassVar[tuple[str, ...]] = ("classifier",)

    def __post_init__(self):
        if self.modality.kind != "label":
            raise ValueError(f"objective.target: expected a label, {self.target!r} is of kind {self.modality.kind!r}")

    @property
    def network(self) -> Network:
        return Network(self.conditioner, self.modality.num_classes, self.dropout)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {
            "classifier": self.network.init(
                dict.fromkeys(("params", "dropout", "modality_dropout"), rng), batch, train=True
            )
        }

    def loss(self, player: str, params, extra, batch, rng: jax.Array, step=0):
        (logits, _), new = self.network.apply(
            {"params": params["classifier"], **extra["classifier"]},
            batch,
            train=True,
            rngs=dict(zip(("dropout", "modality_dropout"), jax.random.split(rng))),
            mutable=list(extra["classifier"]),
        )
        target = batch[self.target]
        weights = presence_weights(batch, self.target, self.axis_name)
        smooth = optax.smooth_labels(jax.nn.one_hot(target, logits.shape[-1]), self.label_smoothing)
        loss = jnp.mean(weights * optax.softmax_cross_entropy(logits, smooth))
        accuracy = jnp.mean(weights * (jnp.argmax(logits, axis=-1) == target))
        return loss, (extra | {"classifier": new}, {"accuracy": accuracy})

    def sample(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The likeliest class; `rng` is not used."""
        return {self.target: jnp.argmax(self._apply(params, extra, batch)[0], axis=-1).astype(jnp.int32)}

    def embed(self, params, extra, batch, rng: jax.Array) -> jax.Array:
        """The fused vector `[B, D]`."""
        return self._apply(params, extra, batch)[1]

    def _apply(self, params, extra, batch):
        return self.network.apply({"params": params["classifier"], **extra["classifier"]}, batch)
