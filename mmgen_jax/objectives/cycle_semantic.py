"""Translation between two kinds of pictures without pairs that keeps the class (CyCADA; Hoffman et al., 2018).

CycleGAN (`cycle_adversarial.py`) does not know which content has to stay: two classes that are exchanged in both
directions have the same cycle loss. Here a classifier of each kind is trained first, on real pictures with labels. With
sources a of class y, and G_b from a to b, the generators' loss has one more term:

    semantic      -log p_b(y | G_b(a)), the cross-entropy of the classifier of b in nats, times `semantic`

and the same with a and b exchanged. Training needs labels of both kinds of pictures, but no pairs.

A generator can fool a classifier by adversarial perturbations, which a person does not read as the class. So the
classifiers learn from pictures with random shifts and noise, and classify translations with random shifts and noise.

Departs from the paper: both kinds have labels, so each translation is classified by the classifier of its own kind and
compared with the true class; the paper has labels of one kind, and compares with the prediction for the source.
Shifts and noise are not in the paper.
Adaptation of features, and of a model for the unlabelled kind, are left out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.config.ranges import Count, NotNegative
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Batch
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives import cycle_adversarial
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.masks import example_weights


class Classifier(nn.Module):
    """Class logits `[B, K]` of pictures: a linear layer on all tokens of the encoder."""

    encoder: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, pictures: jax.Array, train: bool = False) -> jax.Array:
        tokens = self.encoder(pictures, jnp.ones(len(pictures), bool), train=train)
        return nn.Dense(self.num_classes)(tokens.values.reshape(len(pictures), -1).astype(jnp.float32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(cycle_adversarial.Objective):
    """CycleGAN with a classifier of each target; the further fields are those of `cycle_adversarial`.

    Args:
      target_encoder: `(pictures, mask, train) -> Tokens`; the encoder of the classifiers, a copy for each.
      labels: `{target: its label}`; examples whose label is masked have no cross-entropy.
      semantic: weight of the cross-entropy of the translations.
      shift: largest shift either way along height and width, in px, of the pictures that the classifiers see: the
        augmentation `crop`.
      noise: standard deviation of the normal noise on these pictures, in units of their values.

    Raises:
      ConfigError: a target has no label, or the labels have different classes.
      InputError: a `shift` larger than the pictures, or of targets that are no pictures.
    """

    target_encoder: nn.Module
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    semantic: NotNegative = 1.0
    shift: Count = 0
    noise: NotNegative = 0.0

    own_players: ClassVar[tuple[str, ...]] = ("classifier", "discriminator", "generator")

    def __post_init__(self):
        super().__post_init__()
        if set(self.labels) != set(self.targets):
            raise ConfigError(
                f"objective.labels: expected the label of each target ({', '.join(self.targets)}), got "
                f"{dict(self.labels)!r}"
            )
        known = {name: modality.classes for name, modality in self.modalities.items() if modality.classes}
        if missing := [label for label in self.labels.values() if label not in known]:
            raise ConfigError(
                f"objective.labels: expected labels of the data ({', '.join(known) or 'it has none'}), got "
                f"{missing[0]!r}"
            )
        for name in self.targets if self.shift else ():
            self.modalities[name].traits.check_augmentation("objective.shift", "crop", self.shift, {"crop": self.shift})
        first, second = (known[self.labels[name]] for name in self.targets)
        if first != second:
            raise ConfigError(
                f"objective.labels: expected the same classes of both targets, got {', '.join(first)} of "
                f"{self.targets[0]!r} and {', '.join(second)} of {self.targets[1]!r}"
            )

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        return (("classifier", "generator"),)

    @property
    def networks(self) -> dict[str, cycle_adversarial.PerTarget]:
        classes = {name: self.modalities[self.labels[name]].num_classes for name in self.targets}
        classifiers = {name: Classifier(self.target_encoder.clone(), num) for name, num in classes.items()}
        return {**super().networks, "classifier": cycle_adversarial.PerTarget(classifiers)}

    def init(self, rng: jax.Array, batch: Batch) -> dict[str, Any]:
        pictures = {name: (self._real(batch, name),) for name in self.targets}
        keys = init_keys(jax.random.fold_in(rng, len(self.own_players)))
        classifier = self.networks["classifier"].init(keys, pictures, train=True, method="every")
        return {"classifier": classifier, **super().init(rng, batch)}

    def loss(self, player: str, params, collections, batch: Batch, rng: jax.Array, step=0):
        if player != "classifier":
            return super().loss(player, params, collections, batch, rng, step)
        terms: dict[str, jax.Array] = {}
        for i, name in enumerate(self.targets):
            logits, collections = apply_train(
                self.networks["classifier"],
                "classifier",
                params,
                collections,
                name,
                self._disturbed(name, self._real(batch, name), jax.random.fold_in(rng, i + len(self.targets))),
                rngs={"dropout": jax.random.fold_in(rng, i)},
            )
            weights = example_weights(batch, name, self.labels[name])
            correct = jnp.argmax(logits, axis=-1) == batch[self.labels[name]]
            terms[f"cross_entropy_{name}"] = _cross_entropy(logits, batch[self.labels[name]], weights)
            terms[f"accuracy_{name}"] = jnp.mean(weights * correct)
        loss = sum(value for name, value in terms.items() if name.startswith("cross_entropy"))
        return loss, (collections, terms)

    @property
    def _term_weights(self) -> dict[str, float]:
        return {**super()._term_weights, "semantic": self.semantic}

    def _further_terms(
        self, params, collections, batch: Batch, name: str, fake: jax.Array, rng: jax.Array
    ) -> dict[str, jax.Array]:
        other = self._other(name)
        weights = example_weights(batch, other, self.labels[other])
        seen = self._disturbed(name, fake, rng)
        logits = apply(self.networks["classifier"], "classifier", params, collections, name, seen)
        return {f"semantic_{name}": _cross_entropy(logits, batch[self.labels[other]], weights)}

    def _disturbed(self, name: str, pictures: jax.Array, rng: jax.Array) -> jax.Array:
        """Pictures `[B, *grid, C]` of a target with random shifts and noise."""
        shift_rng, noise_rng = jax.random.split(rng)
        if self.shift:
            shift = functools.partial(self.modalities[name].traits.augment, {"crop": self.shift})
            pictures = jax.vmap(shift)(pictures, randomness.example_keys(shift_rng, len(pictures)))
        if self.noise:
            pictures += self.noise * randomness.normal(noise_rng, len(pictures), pictures.shape[1:])
        return pictures


def _cross_entropy(logits: jax.Array, labels: jax.Array, weights: jax.Array) -> jax.Array:
    return jnp.mean(weights * optax.softmax_cross_entropy_with_integer_labels(logits, labels))
