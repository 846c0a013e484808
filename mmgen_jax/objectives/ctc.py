"""Connectionist temporal classification: a text from a sequence of frames, without their alignment.

Each frame, a token of the one encoder of the conditions, has logits of the blank and of every id of the text. The
likelihood of a text is the sum over all alignments of its ids with the frames (Graves et al., 2006, "Connectionist
temporal classification"; the loss is `optax.ctc_loss`). The blank is id 0 (PADDING); END is no label.

A text of n ids, r of which equal the id before, needs at least n + r frames. A text that needs more frames than there
are has no alignment: its loss would be about 1e5 nats, so it does not count in training. `warnings` names such texts at
the start of a run, and the metric `unalignable` is their share of a batch.

Departs from Graves et al.: words or characters in place of phonemes, no noise on the inputs, and any encoder.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mmgen_jax.config.ranges import Rate, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import mapped
from mmgen_jax.objectives.parts import ctc_decoding
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.decoding import LOWEST
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import zero_masked

LOOKED_AT, READ = 20_000, 250  # examples whose texts are checked at the start, and how many are read at a time


class Network(nn.Module):
    """The conditioner and a linear layer: logits `[B, N, V]` float32 of the frames, and their mask `[B, N] bool`."""

    conditioner: Conditioner
    vocab_size: int
    end: int
    dropout: float

    @nn.compact
    def __call__(self, batch, train: bool = False):
        condition = self.conditioner(batch, train=train)
        assert condition.tokens is not None and condition.mask is not None
        hidden = nn.Dropout(self.dropout, deterministic=not train)(condition.tokens.astype(jnp.float32))
        return nn.Dense(self.vocab_size, name="head")(hidden).at[..., self.end].set(LOWEST), condition.mask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Negative log-likelihood of the text in nats, per id.

    Args:
      target: a text; examples whose text is masked, or has no alignment with the frames, have no loss.
      dropout: rate on the frames, before the linear layer.
      beam_size: 1 gives the labels of the most probable alignment (greedy); above 1, prefix beam search.

    Raises:
      ConfigError: the target is no text, there is not exactly one encoder, or a field is out of range.
    """

    dropout: Rate = 0.0
    beam_size: Size = 1

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("classifier",)
    sampling: ClassVar[tuple[str, ...]] = ("beam_size",)

    def __post_init__(self):
        if self.discrete().end is None:
            raise ConfigError(
                f"objective.target: expected a text, {self.target!r} is of kind {self.modality.kind!r}; choose "
                "another target or objective"
            )
        if len(self.conditions.encoders) != 1:
            raise ConfigError(
                "config.encoders: objective 'ctc' aligns the text with the tokens of one encoder, got "
                f"{len(self.conditions.encoders)}; leave all but one out"
            )

    @property
    def network(self) -> Network:
        space = self.discrete()
        assert space.end is not None
        return Network(self.conditions, space.size, space.end, self.dropout)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {"classifier": self.network.init(init_keys(rng), batch, train=True)}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        rngs = dict(zip(("dropout", "modality_dropout"), jax.random.split(rng)))
        (logits, mask), collections = apply_train(self.network, player, params, collections, batch, rngs=rngs)
        labels = self._labels(zero_masked(batch, self.target))
        present = batch.get(self.target + MASK_SUFFIX, jnp.ones(len(labels), bool))
        fits = needed(labels) <= jnp.sum(mask, axis=1)
        nll = optax.ctc_loss(logits, 1.0 - mask, labels, (labels == PADDING).astype(jnp.float32), blank_id=PADDING)
        counted = present & fits
        ids = jnp.where(counted, jnp.sum(labels != PADDING, axis=1), 0).astype(jnp.float32)
        # The mean is over the ids of the global batch, for every layout of devices.
        per_example = jnp.maximum(mapped.mean_over_batch(ids), 1e-6)
        loss = jnp.mean(jnp.where(counted, nll, 0.0)) / per_example
        greedy = ctc_decoding.best_alignment(logits, mask, labels.shape[1])
        exact = jnp.mean(jnp.where(present, jnp.all(greedy == labels, axis=1), False))
        share = jnp.maximum(mapped.mean_over_batch(present.astype(jnp.float32)), 1e-6)
        unalignable = jnp.mean((present & ~fits).astype(jnp.float32)) / share
        return loss, (collections, {"nll_per_id": loss, "exact": exact / share, "unalignable": unalignable})

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The text, by greedy decoding or prefix beam search; it does not depend on `rng`."""
        logits, mask = apply(self.network, "classifier", params, collections, batch)
        space = self.discrete()
        if self.beam_size > 1:
            log_p = jax.nn.log_softmax(logits)
            labels, _ = ctc_decoding.prefix_beam_search(log_p, mask, space.length - 1, self.beam_size)
        else:
            labels = ctc_decoding.best_alignment(logits, mask, space.length - 1)
        ids = jnp.pad(labels, ((0, 0), (0, 1)), constant_values=PADDING)
        place = jnp.sum(ids != PADDING, axis=1)
        return {self.target: jnp.where(jnp.arange(space.length) == place[:, None], self.network.end, ids)}

    def warnings(self, source) -> list[str]:
        """A line with the texts of a source that have no alignment with their frames; `[]` where all have one."""
        frames, length = self._num_frames(), self.discrete().length
        if 2 * (length - 1) - 1 <= frames:  # even a text of one id again and again has an alignment
            return []
        found = []
        for start in range(0, min(len(source), LOOKED_AT), READ):
            indices = np.arange(start, min(start + READ, len(source)))
            batch = source.read(indices, np.zeros(len(indices), int))
            need = np.asarray(needed(self._labels(zero_masked(batch, self.target))))
            found += [(i, n, ids) for i, n, ids in zip(indices, need, batch[self.target]) if n > frames]
        if not found:
            return []
        place, need, ids = found[0]
        return [
            f"{self.target}: {len(found)} texts need more frames than the {frames} of the encoder and are left out of "
            f"the loss, first {self.modality.traits.describe(self.target, np.asarray(ids))} (example {place}), which "
            f"needs {need}; use an encoder with more tokens (a smaller hop_length or fewer stages)"
        ]

    def _labels(self, ids: jax.Array) -> jax.Array:
        """`ids [B, L]` without END; PADDING behind the labels."""
        return jnp.where(ids == self.discrete().end, PADDING, ids)

    def _num_frames(self) -> int:
        names = self.conditions.names
        batch: Batch = {name: self.modalities[name].zeros(1) for name in names}
        variables = jax.eval_shape(lambda: self.network.init(init_keys(jax.random.key(0)), batch))
        return jax.eval_shape(lambda v: self.network.apply(v, batch), variables)[1].shape[1]


def needed(labels: jax.Array) -> jax.Array:
    """The least number of frames `[B]` that labels `[B, L]` (PADDING behind them) can be aligned with."""
    repeated = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] != PADDING)
    return jnp.sum(labels != PADDING, axis=1) + jnp.sum(repeated, axis=1)
