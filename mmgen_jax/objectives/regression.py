"""One pass from conditions to the target, trained by the error: restoration, colourisation, completion without a GAN.

Of several targets that fit the same conditions, `l2` learns the mean and `l1` the median of each value: outputs are
blurred where the conditions leave the target open. An adversarial loss (`adversarial` with `l1`, pix2pix) draws one of
the targets instead.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditional
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.completion import Completes, check_output, clipped, ranged
from mmgen_jax.objectives.parts.masks import batch_size, example_weights
from mmgen_jax.objectives.reconstruction import ERRORS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Completes):
    """Error of the target, averaged over its elements; with a `hole`, over the elements of the hole.

    Args:
      generator: `(None, condition, train) -> [B, *space.shape]`, e.g. `translation`, `gated`, `subpixel`.
      error: `l1` (absolute error) or `l2` (squared error).
      output: `tanh`: the generator's output is brought to [-1, 1]; `linear`: it is the target itself, cut off in
        sampling, for generators that add to a source.

    Raises:
      ConfigError: there are no conditions, the space is discrete, or an unknown `error` or `output`.
    """

    generator: nn.Module
    error: str = "l1"
    output: str = "tanh"

    own_players: ClassVar[tuple[str, ...]] = ("generator",)

    def __post_init__(self):
        if self.error not in ERRORS:
            raise ConfigError(f"objective.error: expected one of {', '.join(ERRORS)}, got {self.error!r}")
        check_output(self.output)
        self.continuous()
        self.check_completion()
        _ = self.conditions

    @property
    def network(self) -> Conditional:
        return Conditional(self.conditions, self.generator)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {
            **self.code.init(rng, batch[self.target]),
            "generator": self.network.init(init_keys(rng), batch, self._no_latent(batch), train=True),
        }

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        dropout, modality_dropout = jax.random.split(rng)
        real, weights = self.encode_target(params, collections, batch), example_weights(batch, self.target)
        rngs = {"dropout": dropout, "modality_dropout": modality_dropout}
        latent = self._no_latent(batch)
        output, collections = apply_train(self.network, "generator", params, collections, batch, latent, rngs=rngs)
        error = ERRORS[self.error](ranged(output, self.output, self.code.space.bounded) - real)
        counted = jnp.broadcast_to(self.hole_of(batch), error.shape) if self.hole else jnp.ones_like(error)
        error = losses.per_example(error * counted) / jnp.maximum(losses.per_example(counted), 1.0)
        return jnp.mean(weights * error), (collections, {})

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The target that the network predicts; nothing is drawn at random."""
        output = apply(self.network, "generator", params, collections, batch, self._no_latent(batch))
        output = clipped(ranged(output, self.output, self.code.space.bounded), self.code.space.bounded)
        return {self.target: self.code.decode(params, collections, self.completed(batch, output))}

    def _no_latent(self, batch) -> jax.Array:
        return jnp.zeros((batch_size(batch), 0))
