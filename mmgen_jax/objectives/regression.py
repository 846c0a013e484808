"""One pass from conditions to the target, trained by the error: restoration, colourisation, completion without a GAN.

Of several targets that fit the same conditions, `l2` learns the mean and `l1` the median of each value: outputs are
blurred where the conditions do not determine the target. An adversarial loss (`adversarial` with `l1`, pix2pix)
generates one of these targets instead.
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

PEAK = 2.0  # the largest difference of values in [-1, 1]
# Added to the relative error of `psnr`: above 50 dB an example counts little, and an error of 0 has a finite gradient.
FLOOR = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Completes):
    """Error of the target, averaged over its elements, or those of the `hole`; further fields in `Completes`.

    Args:
      generator: `(None, condition, train) -> [B, *space.shape]`, e.g. `translation`, `gated`, `subpixel`.
      error: `l1` (absolute error), `l2` (squared error), or `psnr` (Chen et al., 2021, HINet): 10 log10 of an example's
        mean squared error relative to the squared peak, which is minus the PSNR in dB, averaged over examples. In
        `psnr`, an easy example counts as much as a hard example; in `l2`, the hard examples dominate.
      output: `tanh`: the generator's output is brought to [-1, 1]; `linear`: the output is the target itself, clipped
        in sampling, for generators that add to a source.

    Raises:
      ConfigError: there are no conditions, the space is discrete, or an unknown `error` or `output`.
    """

    generator: nn.Module
    error: str = "l1"
    output: str = "tanh"

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "latent"

    def __post_init__(self):
        if self.error not in (*ERRORS, "psnr"):
            raise ConfigError(f"objective.error: expected one of {', '.join(ERRORS)}, psnr, got {self.error!r}")
        check_output(self.output)
        self.continuous()
        if self.error == "psnr" and not self.code.space.bounded:
            raise ConfigError("objective.error: psnr needs values in [-1, 1]; the representation's are unbounded")
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
        squared = self.error == "psnr"
        error = ERRORS["l2" if squared else self.error](ranged(output, self.output, self.code.space.bounded) - real)
        counted = jnp.broadcast_to(self.hole_of(batch), error.shape) if self.hole else jnp.ones_like(error)
        error = losses.per_example(error * counted) / jnp.maximum(losses.per_example(counted), 1.0)
        if squared:
            error = 10 * jnp.log10(error / PEAK**2 + FLOOR)
        return jnp.mean(weights * error), (collections, {})

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The target that the network predicts, without randomness."""
        output = apply(self.network, "generator", params, collections, batch, self._no_latent(batch))
        output = clipped(ranged(output, self.output, self.code.space.bounded), self.code.space.bounded)
        return {self.target: self.code.decode(params, collections, self.completed(batch, output))}

    def _no_latent(self, batch) -> jax.Array:
        return jnp.zeros((batch_size(batch), 0))
