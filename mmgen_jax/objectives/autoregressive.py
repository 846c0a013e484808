"""Autoregressive models: the likelihood of a sequence of tokens, each given the previous tokens and the conditions.

The tokens of a text are its word ids (captioning: Vinyals et al., 2015). Other targets become tokens by a discrete
representation, such as `vq_vae` (van den Oord et al., 2017), whose codes are in row-major order (Ramesh et al., 2021).
The player of the representation is trained in the first stage of the run (`optimizers.tokenizer.stop_step`,
`optimizers.generator.start_step`).

With `mu_law`, a sound has one code per sample (WaveNet: van den Oord et al., 2016).

Id 0 (PADDING) is the start token and the padding, and is never drawn. Code c of a representation has the id c + 1.

Departs from the papers: the condition is tokens of trained encoders, and all of it may be dropped in training for
guidance (`condition_dropout`); a transformer or an LSTM of the config's size in place of the papers' networks.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.config.ranges import Count, NotNegative, Rate, Real, Size, TopShare
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import decoding
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.guidance import check_guidance, drop_conditions, drop_some_conditions
from mmgen_jax.objectives.parts.masks import batch_size, is_padding, zero_masked
from mmgen_jax.objectives.parts.segments import PADDED, Segmented


class Network(nn.Module):
    """The conditioner and a model of the next token (`generators/transformer.py`, `generators/recurrent.py`)."""

    conditioner: Conditioner | None
    generator: nn.Module

    def __call__(self, batch, ids: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[B, T, V]` of the id at each position, given the previous ids of `ids [B, T]`."""
        tokens = jnp.pad(ids, ((0, 0), (1, 0)), constant_values=PADDING)[:, :-1]
        return self._possible(self.generator(tokens, self._encode(batch, train), train=train))

    def init_cache(self, batch):
        return self.generator.init_cache(self._encode(batch), len(next(iter(batch.values()))))

    def step(self, cache, token: jax.Array, position: jax.Array):
        logits, cache = self.generator.step(cache, token, position)
        return self._possible(logits), cache

    def _encode(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def _possible(self, logits):
        return logits.at[..., PADDING].set(decoding.LOWEST)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Segmented):
    """Negative log-likelihood per token, in nats; further fields in `Segmented`.

    Args:
      generator: a model of the next id (`transformer`, `recurrent` and `wavenet` of `networks/generators/`).
      pause: of the zeros that end a sound, the first `pause` count in the loss, so that the model learns to be silent;
        the others are padding. None: every sample counts.
      condition_dropout: probability in training that an example loses all its conditions, for `guidance`.
      temperature, top_k, top_p: of sampling, see `decoding.truncate`; temperature 0 is greedy.
      beam_size: above 1, samples are found by beam search, which ignores temperature, top_k, top_p and the seed.
      length_penalty: exponent of the beam search's length penalty.
      guidance: scale w of classifier-free guidance (Ho & Salimans, 2021): `without + w (given - without)` of the logits
        with and without conditions; 1 gives the conditional logits.

    Raises:
      ConfigError: the target's space is continuous, or a field is out of range.
    """

    generator: nn.Module
    pause: Count | None = None
    condition_dropout: Rate = 0.0
    temperature: NotNegative = 1.0
    top_k: Count = 0
    top_p: TopShare = 1.0
    beam_size: Size = 1
    length_penalty: Real = 1.0
    guidance: Real = 1.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "ids"
    sampling: ClassVar[tuple[str, ...]] = ("temperature", "top_k", "top_p", "beam_size", "length_penalty", "guidance")

    def __post_init__(self):
        self.discrete()
        for field, valid, expected in (
            ("temperature", self.temperature >= 0, "at least 0"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "in (0, 1]"),
            ("beam_size", self.beam_size >= 1, "at least 1"),
        ):
            if not valid:
                raise ConfigError(f"objective.{field}: expected {expected}, got {getattr(self, field)}")
        if self.pause is not None and self.modality.shape != self.discrete().shape:
            raise ConfigError(
                "objective.pause: needs one id for each sample; use representation 'mu_law' or take it out"
            )
        check_guidance(self)
        self.check_segment()

    @property
    def abilities(self) -> frozenset[str]:
        own = {"sample", "reconstruct"} if self.representation else {"sample"}
        return frozenset(own if self.code.players else own | {"elbo"})

    @property
    def network(self) -> Network:
        return Network(self.conditioner, self.generator)

    @property
    def _first(self) -> int:
        """The id of the space's value 0: 1 for codes, which are shifted by one; 0 for texts, where 0 is PADDING."""
        return self.discrete().num_ids - self.discrete().size

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        ids = jnp.zeros((batch_size(batch), self.discrete().length), jnp.int32)
        own = self.network.init(init_keys(rng), batch, ids, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        if self.segment:
            objective, batch = self.of_segments(self._with_padding(batch), rng)
            return objective.loss(player, params, collections, batch, rng, step)
        dropout_rng, modality_rng, condition_rng = jax.random.split(rng, 3)
        ids = self.ids(params, collections, batch)
        batch = drop_some_conditions(self, batch, condition_rng)
        rngs = {"dropout": dropout_rng, "modality_dropout": modality_rng}
        logits, collections = apply_train(self.network, "generator", params, collections, batch, ids, rngs=rngs)
        counted = (ids != PADDING).astype(jnp.float32)  # [B, T]
        nll = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
        right = jnp.argmax(logits, axis=-1) == ids
        # The mean is over the tokens of the global batch, for every layout of devices.
        per_example = mapped.mean_over_batch(jnp.sum(counted, axis=1))
        nll, accuracy = (
            jnp.mean(jnp.sum(jnp.where(counted > 0, value, 0.0), axis=1)) / jnp.maximum(per_example, 1e-6)
            for value in (nll, right)
        )
        metrics = {"nll_per_token": nll, "accuracy": accuracy, "tokens_per_example": per_example}
        return nll, (collections, metrics)

    def ids(self, params, collections, batch) -> jax.Array:
        """The ids of the target's tokens `[B, T] int32`; all PADDING in an example whose target is masked."""
        ids = self.encode_target(params, collections, batch) + self._first
        if self.pause is not None:
            ids = jnp.where(self._with_padding(batch)[self.target + PADDED], PADDING, ids)
        mask = batch.get(self.target + MASK_SUFFIX)
        return ids if mask is None or not self._first else jnp.where(mask[:, None], ids, PADDING)

    def _with_padding(self, batch) -> dict[str, jax.Array]:
        """The batch with `<target>/padding [B, S] bool`, found in the whole sounds: a part does not tell its end."""
        if self.pause is None or self.target + PADDED in batch:
            return batch
        return {**batch, self.target + PADDED: is_padding(zero_masked(batch, self.target), self.pause)}

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The target, drawn or found by beam search, according to the `sampling` fields."""
        num, space = batch_size(batch), self.discrete()
        cache = self._apply(params, collections, batch, method="init_cache")
        if self.guidance != 1:
            nothing = drop_conditions(batch, self.conditions.names, jnp.ones(num, bool))
            without = self._apply(params, collections, nothing, method="init_cache")
            # Both caches are stacked on axis 1, so that axis 0 is still the example, as decoding needs.
            cache = jax.tree.map(lambda *rows: jnp.stack(rows, axis=1), cache, without)
        step = functools.partial(self._step, params, collections)
        if self.beam_size > 1:
            ids, _ = decoding.beam_search(
                step, cache, num, space.length, space.end, self.beam_size, self.length_penalty
            )
        else:
            keys = randomness.example_keys(rng, num)
            ids = decoding.draw(step, cache, keys, space.length, space.end, self.temperature, self.top_k, self.top_p)
        return {self.target: self.code.decode(params, collections, ids - self._first)}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The target, encoded and decoded by its representation."""
        return self.through_code(params, collections, {self.target: batch[self.target]})

    def elbo(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The log-likelihood `[B]` of the target's ids given the conditions, in nats: no bound but the value itself.

        Padding does not count. Refused for a learned representation: the likelihood of the codes is not that of the
        target.
        """
        if self.code.players:
            return super().elbo(params, collections, batch, rng)
        ids = self.ids(params, collections, batch)
        nll = optax.softmax_cross_entropy_with_integer_labels(self._apply(params, collections, batch, ids), ids)
        return -jnp.sum(jnp.where(ids != PADDING, nll, 0.0), axis=1)

    def _step(self, params, collections, cache, token, position):
        if self.guidance == 1:
            return self._apply(params, collections, cache, token, position, method="step")
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), cache)
        logits, new = self._apply(params, collections, flat, jnp.repeat(token, 2), position, method="step")
        given, without = jnp.moveaxis(logits.reshape(len(token), 2, -1), 1, 0)
        logits = (without + self.guidance * (given - without)).at[:, PADDING].set(decoding.LOWEST)
        return logits, jax.tree.map(lambda x, old: x.reshape(old.shape), new, cache)

    def _apply(self, params, collections, *args, method="__call__"):
        return apply(self.network, "generator", params, collections, *args, method=method)
