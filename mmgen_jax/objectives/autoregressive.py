"""Autoregressive models: the likelihood of a sequence of tokens, each given those before it and the conditions.

A text's ids are its tokens (captioning: Vinyals et al., 2015). Anything else becomes tokens by its representation,
such as `vq_vae` (van den Oord et al., 2017). Its codes stand in rows from the top left (Ramesh et al., 2021). Its
player is trained in the first stage of the run (`optimizers.tokenizer.stop_step`, `optimizers.generator.start_step`).

Id 0 begins every sequence and pads it; it is never drawn. A code c is id c + 1.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import decoding
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.guidance import check_guidance, drop_conditions, drop_some_conditions
from mmgen_jax.objectives.parts.masks import batch_size


class Network(nn.Module):
    """The conditioner and a model of the next token (`generators/transformer.py`, `generators/recurrent.py`)."""

    conditioner: Conditioner | None
    generator: nn.Module

    def __call__(self, batch, ids: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[B, T, V]` of `ids [B, T]`."""
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
class Objective(Family):
    """Negative log-likelihood per token, in nats.

    Args:
      generator: of logits of the next id (`generators/transformer.py`, `generators/recurrent.py`).
      condition_dropout: probability in training that an example lacks all of its conditions, for `guidance`.
      temperature, top_k, top_p: see `decoding.truncate`; temperature 0 is greedy.
      beam_size: above 1, beam search instead, without randomness: temperature, top_k, top_p and the seed
        play no part; length_penalty: its exponent.
      guidance: the logits are those without conditions plus so many times what the conditions add (Ho & Salimans,
        2021); at 1 they are the conditional ones.
    """

    generator: nn.Module
    condition_dropout: float = 0.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beam_size: int = 1
    length_penalty: float = 1.0
    guidance: float = 1.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
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
        check_guidance(self)

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct"} if self.representation else {"sample"})

    @property
    def network(self) -> Network:
        return Network(self.conditioner, self.generator)

    @property
    def _first(self) -> int:
        """The id of code 0: codes are moved up by one, where id 0 does not belong to the space itself."""
        return self.discrete().num_ids - self.discrete().size

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        ids = jnp.zeros((batch_size(batch), self.discrete().length), jnp.int32)
        own = self.network.init(init_keys(rng), batch, ids, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        dropout_rng, modality_rng, condition_rng = jax.random.split(rng, 3)
        ids = self.ids(params, collections, batch)
        batch = drop_some_conditions(self, batch, condition_rng)
        rngs = {"dropout": dropout_rng, "modality_dropout": modality_rng}
        logits, collections = apply_train(self.network, "generator", params, collections, batch, ids, rngs=rngs)
        counted = (ids != PADDING).astype(jnp.float32)  # [B, T]
        nll = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
        right = jnp.argmax(logits, axis=-1) == ids
        # Per token of the global batch, however its texts are spread over devices.
        per_example = mapped.mean_over_batch(jnp.sum(counted, axis=1))
        nll, accuracy = (
            jnp.mean(jnp.sum(jnp.where(counted > 0, value, 0.0), axis=1)) / jnp.maximum(per_example, 1e-6)
            for value in (nll, right)
        )
        metrics = {"nll_per_token": nll, "accuracy": accuracy, "tokens_per_example": per_example}
        return nll, (collections, metrics)

    def ids(self, params, collections, batch) -> jax.Array:
        """The target's tokens `[B, T] int32`, PADDING where it is masked."""
        ids = self.encode_target(params, collections, batch) + self._first
        mask = batch.get(self.target + MASK_SUFFIX)
        return ids if mask is None or not self._first else jnp.where(mask[:, None], ids, PADDING)

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """Drawn, or found by beam search, as the `sampling` fields say."""
        num, space = batch_size(batch), self.discrete()
        cache = self._apply(params, collections, batch, method="init_cache")
        if self.guidance != 1:
            nothing = drop_conditions(batch, self.conditions.names, jnp.ones(num, bool))
            without = self._apply(params, collections, nothing, method="init_cache")
            # Side by side, so that a row of the cache is still an example.
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
        """The target through its codes and back."""
        return self.through_code(params, collections, {self.target: batch[self.target]})

    def _step(self, params, collections, cache, token, position):
        if self.guidance == 1:
            return self._apply(params, collections, cache, token, position, method="step")
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), cache)
        logits, new = self._apply(params, collections, flat, jnp.repeat(token, 2), position, method="step")
        given, without = jnp.moveaxis(logits.reshape(len(token), 2, -1), 1, 0)
        logits = (without + self.guidance * (given - without)).at[:, PADDING].set(decoding.LOWEST)
        return logits, jax.tree.map(lambda x, old: x.reshape(old.shape), new, cache)

    def _apply(self, params, collections, *args, method):
        return apply(self.network, "generator", params, collections, *args, method=method)
