"""Training on segments of long sequences: a random part of each target, with the same part of its aligned sources.

A network of convolutions has the same parameters for every length. So a vocoder is trained on a part of each sound, as
WaveGlow and HiFi-GAN are, and draws whole sounds. A causal network (`wavenet`) starts each segment from silence: the
first samples of a segment, as many as its receptive field, have less context in training than in a whole sound.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Batch
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts.family import Family

PADDED = "/padding"  # behind the target's name in a batch: the places `[B, S] bool` that do not count in the loss
ROLE = 0x5E6  # makes the draw of segments independent of the step's other draws


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmented(Family):
    """A family whose generator, `(shape, hop_length, …)`, draws a sequence `[S]` from aligned sources `[T, C]`.

    Frame t of a source lies at the target's place `t hop_length`, as in `representations/log_mel.py`.

    Args:
      generator: of the family.
      segment: length of the part that a step trains on, a multiple of the generator's `hop_length`; 0: all.
    """

    generator: Any
    segment: Count = 0

    def check_segment(self) -> None:
        """Raises ConfigError for a segment that cannot be cut."""
        if not self.segment:
            return
        hop = getattr(self.generator, "hop_length", 0)
        if not hop or self.conditioner is None or not self.conditioner.aligned:
            raise ConfigError(
                "objective.segment: is cut together with aligned frames, so it needs config.aligned and a generator "
                "with a hop_length (wavenet, vocos, waveglow); set it to 0"
            )
        (length,) = self.modality.shape if len(self.modality.shape) == 1 else (0,)
        if self.segment % hop or not hop <= self.segment <= length:
            raise ConfigError(
                f"objective.segment: expected a multiple of generator.hop_length {hop}, at most the target's {length}, "
                f"got {self.segment}"
            )
        for name in self.conditioner.aligned:
            frames = self.conditioner.modalities[name].shape[0]
            if frames < 1 + length // hop:
                raise ConfigError(
                    f"objective.segment: expected at least {1 + length // hop} frames of {name!r} for "
                    f"{length} samples at hop_length {hop}, got {frames}; give both the same hop_length"
                )

    def of_segments(self, batch: Batch, rng: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        """`(objective, batch)` of one random segment of each example, by the step's `rng`; for the loss alone."""
        assert self.conditioner is not None
        hop, aligned = self.generator.hop_length, self.conditioner.aligned
        num_frames = self.segment // hop + 1  # the last frame lies at the segment's end
        starts = (self.modality.shape[0] - self.segment) // hop + 1
        size = batch[self.target].shape[0]
        begin = jnp.floor(randomness.uniform(jax.random.fold_in(rng, ROLE), size) * starts).astype(jnp.int32)

        def cut(array, first, length):
            return jax.vmap(lambda row, at: jax.lax.dynamic_slice_in_dim(row, at, length))(array, first)

        along = [name for name in (self.target, self.target + PADDED) if name in batch]
        parts = {name: cut(batch[name], begin * hop, self.segment) for name in along}
        parts |= {name: cut(batch[name], begin, num_frames) for name in aligned if name in batch}
        lengths = {self.target: self.segment, **dict.fromkeys(aligned, num_frames)}
        modalities = dict(self.modalities)
        for name, length in lengths.items():
            modalities[name] = dataclasses.replace(modalities[name], shape=(length, *modalities[name].shape[1:]))
        own = {name: modalities[name] for name in self.conditioner.modalities}
        target, changes = modalities[self.target], {}
        if self.representation is not None:
            changes["representation"] = dataclasses.replace(self.representation, modality=target)
        objective: Any = dataclasses.replace(
            self,
            segment=0,
            modality=target,
            modalities=modalities,
            conditioner=self.conditioner.clone(modalities=own),
            **changes,
        )
        shape = (self.segment, *self.generator.shape[1:])
        return dataclasses.replace(objective, generator=self.generator.clone(shape=shape)), {**batch, **parts}
