"""Parts of families that generate in one pass or complete pictures: the output's range, the values outside a hole."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, to_range

OUTPUTS = ("tanh", "linear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Completes(Family):
    """Fields of a family that can keep the known values of its target unchanged.

    Args:
      hole: a modality of kind `mask`, `[H, W, 1]`, 1 where the target is to be generated; "": everywhere.
      known: a modality with the target's shape; outside of the hole, the output has the values of `known`. An example
        that lacks `known` or `hole` is generated as a whole.

    Raises:
      ConfigError: in `check_completion`: one field without the other, an unknown modality, shapes that do not fit, or a
        representation.
    """

    hole: str = ""
    known: str = ""

    @property
    def completes(self) -> tuple[str, ...]:
        return (self.known, self.hole) if self.hole else ()

    def check_completion(self) -> None:
        if bool(self.hole) != bool(self.known):
            raise ConfigError("objective.hole, known: expected both or neither: a mask, and the picture to complete")
        if not self.hole:
            return
        if self.representation is not None:
            raise ConfigError("objective.hole: completes the target's own values; take config.representation out")
        shape = self.modality.shape
        for field, expected in (("hole", (*shape[:-1], 1)), ("known", shape)):
            name = getattr(self, field)
            if name not in self.modalities:
                raise ConfigError(
                    f"objective.{field}: {name!r} is not in the data; its modalities are: {', '.join(self.modalities)}"
                )
            if self.modalities[name].shape != expected:
                raise ConfigError(
                    f"objective.{field}: {name!r} has shape {self.modalities[name].shape}, expected {expected} for the "
                    f"target {self.target!r} of {shape}"
                )

    def hole_of(self, batch: Batch) -> jax.Array:
        """`[B, *grid, 1] bool`, True where the target is to be generated."""
        size, (*grid, _) = batch_size(batch), self.modality.shape
        if not {self.hole, self.known} <= set(batch):
            return jnp.ones((size, *grid, 1), bool)
        hole = batch[self.hole] > 0
        for name in (self.hole, self.known):
            if (present := batch.get(name + MASK_SUFFIX)) is not None:
                hole |= ~present.reshape(-1, *[1] * (hole.ndim - 1))
        return hole

    def completed(self, batch: Batch, output: jax.Array) -> jax.Array:
        """`output` in the hole, `known` elsewhere; all of `output` where `objective.hole` is not set."""
        known = batch.get(self.known, output) if self.hole else output
        return jnp.where(self.hole_of(batch), output, known) if self.hole else output


def ranged(output: jax.Array, how: str, bounded: bool) -> jax.Array:
    """A generator's output as float32; mapped to [-1, 1] by tanh where the space is `bounded` and `how` is `tanh`."""
    return to_range(output) if bounded and how == "tanh" else output.astype(jnp.float32)


def check_output(how: str) -> None:
    """Raises ConfigError for an `objective.output` that is not in `OUTPUTS`."""
    if how not in OUTPUTS:
        raise ConfigError(f"objective.output: expected one of {', '.join(OUTPUTS)}, got {how!r}")


def clipped(output: jax.Array, bounded: bool) -> jax.Array:
    """Samples, clipped to [-1, 1] where the space is `bounded`."""
    return jnp.clip(output, -1.0, 1.0) if bounded else output
