"""Generative adversarial networks, unconditional and conditional (Goodfellow et al., 2014; Mirza & Osindero, 2014).

The generator reads noise and the conditions; the discriminator has encoders and a fusion of its own. With `mismatch`,
the discriminator also learns to reject a real example with the conditions of another example (the matching-aware loss
of Reed et al., 2016). With `l1` and a generator of aligned sources, the family is pix2pix (Isola et al., 2017); with
`mel`, `feature_matching` and the discriminator `waveform`, it trains vocoders as HiFi-GAN (Kong et al., 2020).

Departs from the papers: in a step, both players see the same fake batch, so that it is computed once (Goodfellow et al.
draw a new batch for each player); R1 is applied at every discriminator update; the mismatched conditions of an example
are the conditions of another example of the batch, and may by chance describe both examples.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count, NotNegative
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditional
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses, spectral
from mmgen_jax.objectives.parts.apply import apply
from mmgen_jax.objectives.parts.completion import Completes, check_output, clipped, ranged
from mmgen_jax.objectives.parts.discriminator import WithDiscriminator, mean_error
from mmgen_jax.objectives.parts.masks import batch_size, example_weights
from mmgen_jax.objectives.parts.segments import Segmented


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Completes, Segmented, WithDiscriminator):
    """A generator against a discriminator; further fields in `WithDiscriminator`, `Segmented` and `Completes`.

    Args:
      generator: `(noise [B, latent_dim], condition, train) -> [B, *space.shape]`, unbounded.
      latent_dim: length of the noise vector; 0: the conditions alone determine the sample.
      l1: weight of the absolute error of the generator's output, averaged over its elements; 100 in pix2pix. With a
        `hole`, the elements outside the hole are equal and count as 0, so that a small hole has a small weight. Where a
        pixel is black in most targets, the absolute error alone asks for black; `l2` asks for their mean.
      l2: weight of the squared error, averaged likewise (Pathak et al., 2016).
      mel: weight of the error of the sound's log-mel spectrogram (`spectral.mel_error`); 45 in HiFi-GAN.
      feature_matching: weight of the absolute error of the discriminator's features, averaged over the elements of each
        layer and over layers (Larsen et al., 2016). HiFi-GAN has weight 2 of the sum over layers.
      output: `tanh`: the generator's output is brought to [-1, 1]; `linear`: the output is the target itself, clipped
        in sampling, for generators that add to a source.

    Raises:
      ConfigError: a discrete target, neither noise nor conditions, or fields that do not fit; see the base classes.
    """

    generator: nn.Module
    latent_dim: Count = 128
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    mel: NotNegative = 0.0
    feature_matching: NotNegative = 0.0
    output: str = "tanh"

    own_players: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    generator_form: ClassVar[str] = "latent"

    def __post_init__(self):
        super().__post_init__()
        self.continuous()
        check_output(self.output)
        self.check_completion()
        self.check_segment()
        if self.mel and (not self.modality.sample_rate or self.representation is not None):
            raise ConfigError("objective.mel: is of the waveform that the model draws; set it to 0 for other targets")
        if self.feature_matching and not getattr(self.discriminator, "keeps_features", False):
            raise ConfigError(
                "objective.feature_matching: needs a discriminator that keeps its features (waveform); set it to 0"
            )
        if not self.latent_dim and self.conditioner is None:
            raise ConfigError(
                "objective.latent_dim: expected at least 1 without conditions; all samples would be equal"
            )

    @property
    def abilities(self) -> frozenset[str]:
        own = {"sample", "draw_latent", "from_latent"}
        return frozenset(own | ({"reconstruct"} if self.representation else set()))

    @property
    def networks(self) -> dict[str, nn.Module]:
        return super().networks | {"generator": Conditional(self.conditioner, self.generator)}

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        num = batch_size(batch)
        real, noise = jnp.zeros((num, *self.code.space.shape)), jnp.zeros((num, self.latent_dim))
        keys = {name: jax.random.fold_in(rng, i) for i, name in enumerate(("params", "dropout", "modality_dropout"), 1)}
        return {
            **self.code.init(rng, batch[self.target]),
            "discriminator": self.networks["discriminator"].init(keys, batch, real, train=True),
            "generator": self.networks["generator"].init(keys, batch, noise, train=True),
        }

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """The loss of one player (`loss_type` for the family's own players), see `contracts.Objective.loss`."""
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        if self.segment:
            objective, batch = self.of_segments(batch, rng)
            return objective.loss(player, params, collections, batch, rng, step)
        fake_rng, mix_rng, shared, *dropout = jax.random.split(rng, 6)
        dropout = [{"dropout": key, "modality_dropout": shared} for key in dropout]
        output, updated = self._apply_train(
            "generator", params, collections, batch, self._noise(fake_rng, batch), dropout[0]
        )
        fake = self.completed(batch, ranged(output, self.output, self.code.space.bounded))
        if player == "generator":
            loss, metrics = self._generator_loss(params, collections, batch, fake, dropout[1])
            for name, norm in (("l1", jnp.abs), ("l2", jnp.square)):
                if weight := getattr(self, name):
                    error = losses.per_example(norm(fake - self.encode_target(params, collections, batch)))
                    metrics[name] = jnp.mean(example_weights(batch, self.target) * error) / fake[0].size
                    loss += weight * metrics[name]
            for name, error in self._errors(params, collections, batch, fake, dropout[1]).items():
                metrics[name] = jnp.mean(example_weights(batch, self.target) * error)
                loss += getattr(self, name) * metrics[name]
            return loss, (updated, metrics)
        real = self.encode_target(params, collections, batch)
        return self._discriminator_loss(params, collections, batch, real, fake, mix_rng, dropout[1:])

    def _errors(self, params, collections, batch, fake: jax.Array, dropout) -> dict[str, jax.Array]:
        """`{"mel", "feature_matching": error [B]}` of the fakes, for those with a weight."""
        errors = {}
        if self.mel or self.feature_matching:
            real = self.encode_target(params, collections, batch)
            if self.mel:
                errors["mel"] = spectral.mel_error(fake[..., 0], real[..., 0], self.modality.sample_rate)
            if self.feature_matching:
                pairs = zip(*(self._features(params, collections, batch, x, dropout) for x in (fake, real)))
                parts = [mean_error(a, jax.lax.stop_gradient(b), len(fake)) for a, b in pairs]
                errors["feature_matching"] = jnp.mean(jnp.stack(parts), axis=0)
        return errors

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        return self.from_latent(params, collections, batch, self._noise(rng, batch))

    def draw_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        return self._noise(rng, batch)

    def from_latent(self, params, collections, batch, latent: jax.Array) -> dict[str, jax.Array]:
        output = apply(self.networks["generator"], "generator", params, collections, batch, latent)
        output = clipped(ranged(output, self.output, self.code.space.bounded), self.code.space.bounded)
        return {self.target: self.code.decode(params, collections, self.completed(batch, output))}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The target, encoded and decoded by its representation."""
        return self.through_code(params, collections, batch)

    def _noise(self, rng, batch):
        return randomness.normal(rng, batch_size(batch), (self.latent_dim,))
