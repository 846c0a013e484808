"""The discriminator's side of adversarial objectives: the player `discriminator`, and the losses of both players."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Share
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.networks.conditioning.conditioner import Conditional
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply_train
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import example_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithDiscriminator(Family):
    """The player `discriminator` and the adversarial losses; a subclass adds the generator.

    Args:
      target: the modality to generate; real examples whose target is masked do not count in the discriminator's loss.
      discriminator: `(target [B, *space.shape], condition, train) -> logits [B]` or `[B, *patches]`.
      loss_type: a key of `losses.ADVERSARIAL`.
      gradient_penalty: weight of the gradient penalty (Gulrajani et al., 2017); 0 leaves it out.
      r1: weight of the R1 penalty (Mescheder et al., 2018); 0 leaves it out.
      mismatch: weight, in [0, 1], of the loss with mismatched conditions as the fake (Reed et al., 2016); the loss with
        generated fakes has the weight 1 - mismatch.

    Raises:
      ConfigError: an unknown loss, a penalty with batch normalisation, or `mismatch` without conditions.
    """

    discriminator: nn.Module
    loss_type: str = "hinge"
    gradient_penalty: NotNegative = 0.0
    r1: NotNegative = 0.0
    mismatch: Share = 0.0

    def __post_init__(self):
        if self.loss_type not in losses.ADVERSARIAL:
            raise ConfigError(
                f"objective.loss_type: expected one of {', '.join(losses.ADVERSARIAL)}, got {self.loss_type!r}"
            )
        if (self.gradient_penalty or self.r1) and getattr(self.discriminator, "norm", "") == "batch":
            raise ConfigError(
                "objective.gradient_penalty, r1: need each example's own gradient, which a discriminator with norm "
                "'batch' does not have; use another discriminator.norm"
            )
        if self.mismatch and self.conditioner is None:
            raise ConfigError("objective.mismatch: needs conditions to mismatch, got no encoders; set it to 0")

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"discriminator": Conditional(self.conditioner, self.discriminator)}

    def _generator_loss(self, params, collections, batch, fake, dropout):
        """The generator's `(loss, metrics)` for a batch of fakes `[B, *space.shape]`; `dropout`: the rngs."""
        logits, _ = self._apply_train("discriminator", params, collections, batch, fake, dropout)
        of_logits = losses.ADVERSARIAL[self.loss_type].generator(logits)
        if self.target + MASK_SUFFIX in batch:
            of_logits = example_weights(batch, self.target) * _per_example(of_logits)
        return jnp.mean(of_logits), {"logits_fake": jnp.mean(logits)}

    def _discriminator_loss(self, params, collections, batch, real, fake, mix_rng, dropout):
        """`(loss, (collections, metrics))`; `dropout`: the rngs for real examples, then those for the others."""
        fake = jax.lax.stop_gradient(fake)
        logits_real, collections = self._apply_train("discriminator", params, collections, batch, real, dropout[0])
        logits_fake, collections = self._apply_train("discriminator", params, collections, batch, fake, dropout[1])
        adversarial = losses.ADVERSARIAL[self.loss_type].discriminator
        loss = _per_example(adversarial(logits_real, logits_fake))
        metrics = {"logits_real": jnp.mean(logits_real), "logits_fake": jnp.mean(logits_fake)}
        if self.mismatch:
            wrong = {
                name: array if name.removesuffix(MASK_SUFFIX) == self.target else mapped.roll(array)
                for name, array in batch.items()
            }
            logits_wrong, _ = self._apply_train("discriminator", params, collections, wrong, real, dropout[1])
            wrong_loss = _per_example(adversarial(logits_real, logits_wrong))
            loss = (1 - self.mismatch) * loss + self.mismatch * wrong_loss
            metrics["logits_wrong"] = jnp.mean(logits_wrong)

        def critic(x):
            return self._apply_train("discriminator", params, collections, batch, x, dropout[0])[0]

        if self.gradient_penalty:
            penalty = losses.gradient_penalty(critic, real, fake, randomness.uniform(mix_rng, real.shape[0]))
            loss, metrics["gradient_penalty"] = loss + self.gradient_penalty * penalty, jnp.mean(penalty)
        if self.r1:
            penalty = losses.r1(critic, real)
            loss, metrics["r1"] = loss + self.r1 * penalty, jnp.mean(penalty)
        return jnp.mean(example_weights(batch, self.target) * loss), (collections, metrics)

    def _features(self, params, collections, batch, x, dropout) -> list[jax.Array]:
        """The features of `x [B, *space.shape]` that the discriminator keeps in its collection `features`, by layer."""
        own = collections["discriminator"]
        variables = {"params": params["discriminator"], **own}
        network = self.networks["discriminator"]
        _, new = network.apply(variables, batch, x, train=True, rngs=dict(dropout), mutable=[*own, "features"])
        return jax.tree.leaves(new["features"])

    def _apply_train(self, player, params, collections, batch, x, dropout):
        return apply_train(self.networks[player], player, params, collections, batch, x, rngs=dropout)


def mean_error(a: jax.Array, b: jax.Array, num_examples: int) -> jax.Array:
    """`[B]`: mean absolute difference of features `[B, …]`, or `[B n, …]` with n rows for each example."""
    return jnp.mean(jnp.abs(a - b).astype(jnp.float32).reshape(num_examples, -1), axis=-1)


def _per_example(loss: jax.Array) -> jax.Array:
    """Losses `[B]`, or `[B, *patches]` averaged over the patches, to `[B]`."""
    return loss if loss.ndim == 1 else jnp.mean(loss.reshape(len(loss), -1), axis=-1)
