"""Autoregressive models: the likelihood of a sequence of tokens, each given those before it and the conditions.

A text's ids are its tokens (captioning: Vinyals et al., 2015). An image is turned into tokens by a VQ-VAE (van den Oord
et al., 2017), the player `tokenizer`, which is trained first and then stands still, while the `generator` learns its
codes, in rows from the top left (Ramesh et al., 2021). So the one has `optimizers.tokenizer.stop_step` where the other
has `optimizers.generator.start_step`, and the tokenizer no `ema_decay`: codes of averaged parameters are other codes.

Id 0 begins every sequence and pads it; it is never drawn. A code c of an image is id c + 1.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality
from mmgen_jax.modalities.tokenizer import END, PADDING
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import decoding, losses
from mmgen_jax.objectives.parts.guidance import check_guidance, drop_conditions, drop_some_conditions
from mmgen_jax.objectives.parts.masks import presence_weights, present, to_range
from mmgen_jax.representations.vq_vae import VQVAE, num_tokens


class Network(nn.Module):
    """The conditioner and a model of the next token (`generators/transformer.py`, `generators/recurrent.py`)."""

    conditioner: Conditioner | None
    generator: nn.Module

    def __call__(self, batch, ids: jax.Array, train: bool = False) -> jax.Array:
        """Logits `[B, T, V]` of `ids [B, T]`."""
        tokens = jnp.pad(ids, ((0, 0), (1, 0)), constant_values=PADDING)[:, :-1]
        return self._possible(self.generator(tokens, self._condition(batch, train), train=train))

    def init_cache(self, batch):
        return self.generator.init_cache(self._condition(batch), len(next(iter(batch.values()))))

    def step(self, cache, token: jax.Array, position: jax.Array):
        logits, cache = self.generator.step(cache, token, position)
        return self._possible(logits), cache

    def _condition(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def _possible(self, logits):
        return logits.at[..., PADDING].set(decoding.LOWEST)


@dataclasses.dataclass(frozen=True)
class Objective:
    """Negative log-likelihood per token, in nats; for an image, of its codes.

    Args:
      target: a text or an image; examples that lack it (its mask) do not count.
      target_encoder, target_decoder: of an image to and from a grid of tokens.
      codebook_size, code_dim, codebook_decay: of the quantiser, see `representations/vq_vae.py`.
      commitment: weight of the distance between the encoder's vectors and their codes, beside the squared error of a
        pixel.
      condition_dropout: probability in training that an example lacks all of its conditions, for `guidance`.
      temperature, top_k, top_p: see `decoding.truncate`; temperature 0 is greedy.
      beam_size: above 1, beam search instead, without randomness: temperature, top_k, top_p and the seed
        play no part; length_penalty: its exponent.
      guidance: the logits are those without conditions plus so many times what the conditions add (Ho & Salimans,
        2021); at 1 they are the conditional ones.
    """

    generator: nn.Module
    modality: Modality
    target: str
    conditioner: Conditioner | None = None
    target_encoder: nn.Module | None = None
    target_decoder: nn.Module | None = None
    codebook_size: int = 256
    code_dim: int = 16
    codebook_decay: float = 0.99
    commitment: float = 0.25
    condition_dropout: float = 0.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beam_size: int = 1
    length_penalty: float = 1.0
    guidance: float = 1.0
    axis_name: str | None = None

    sampling: ClassVar[tuple[str, ...]] = ("temperature", "top_k", "top_p", "beam_size", "length_penalty", "guidance")

    def __post_init__(self):
        kind = self.modality.kind
        if kind not in ("text", "image"):
            raise ValueError(f"objective.target: expected a text or an image, {self.target!r} is of kind {kind!r}")
        if (self.target_encoder is None, self.target_decoder is None) != (not self.tokenized,) * 2:
            raise ValueError(
                "config.target_encoder, config.target_decoder: expected both for an image and none for a text, "
                f"{self.target!r} is of kind {kind!r}"
            )
        for field, valid, expected in (
            ("temperature", self.temperature >= 0, "at least 0"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "in (0, 1]"),
            ("beam_size", self.beam_size >= 1, "at least 1"),
        ):
            if not valid:
                raise ValueError(f"objective.{field}: expected {expected}, got {getattr(self, field)}")
        check_guidance(self)

    @property
    def tokenized(self) -> bool:
        """Whether the tokens are codes rather than the target itself."""
        return self.modality.kind == "image"

    @property
    def players(self) -> tuple[str, ...]:
        return ("tokenizer", "generator") if self.tokenized else ("generator",)

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        return (("tokenizer", "generator"),) if self.tokenized else ()

    @functools.cached_property
    def length(self) -> int:
        """Tokens of an example."""
        return num_tokens(self.target_encoder, self.modality.shape) if self.tokenized else self.modality.shape[0]

    @property
    def network(self) -> Network:
        if not self.tokenized:
            return Network(self.conditioner, self.generator)
        # The sequence's facts, not the image's, for those of them that the generator has a field for.
        facts = {"shape": (self.length,), "vocab_size": self.codebook_size + 1}
        fields = {field.name for field in dataclasses.fields(self.generator)}
        return Network(self.conditioner, self.generator.clone(**{k: v for k, v in facts.items() if k in fields}))

    @property
    def tokenizer(self) -> VQVAE:
        return VQVAE(
            self.target_encoder,
            self.target_decoder,
            self.codebook_size,
            self.code_dim,
            self.codebook_decay,
            self.axis_name,
        )

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        keys = dict.fromkeys(("params", "dropout", "modality_dropout"), rng)
        target = batch[self.target]
        ids = jnp.zeros((len(target), self.length), jnp.int32)
        variables = {"generator": self.network.init(keys, batch, ids, train=True)}
        if self.tokenized:
            variables["tokenizer"] = self.tokenizer.init(keys, target, jnp.ones(len(target)), train=True)
        return variables

    def loss(self, player: str, params, extra, batch, rng: jax.Array, step=0):
        of_player = {"tokenizer": self._tokenizer_loss, "generator": self._generator_loss}[player]
        return of_player(params, extra, batch, rng)

    def _tokenizer_loss(self, params, extra, batch, rng):
        dropout_rng, codebook_rng = jax.random.split(rng)
        target, weights = present(batch, self.target), presence_weights(batch, self.target, self.axis_name)
        (output, distance, perplexity), new = self.tokenizer.apply(
            {"params": params["tokenizer"], **extra["tokenizer"]},
            target,
            weights,
            train=True,
            rngs={"dropout": dropout_rng, "codebook": codebook_rng},
            mutable=list(extra["tokenizer"]),
        )
        error = losses.per_example((to_range(output) - target) ** 2) / target[0].size
        error, distance = jnp.mean(weights * error), jnp.mean(weights * jnp.mean(distance, axis=-1))
        metrics = {"error_per_element": error, "code_distance": distance, "codebook_perplexity": perplexity}
        return error + self.commitment * distance, (extra | {"tokenizer": new}, metrics)

    def _generator_loss(self, params, extra, batch, rng):
        dropout_rng, modality_rng, condition_rng = jax.random.split(rng, 3)
        ids = self.ids(params, extra, batch)
        batch = drop_some_conditions(self, batch, condition_rng)
        logits, new = self.network.apply(
            {"params": params["generator"], **extra["generator"]},
            batch,
            ids,
            train=True,
            rngs={"dropout": dropout_rng, "modality_dropout": modality_rng},
            mutable=list(extra["generator"]),
        )
        counted = (ids != PADDING).astype(jnp.float32)  # [B, T]
        nll = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
        right = jnp.argmax(logits, axis=-1) == ids
        # Per token of the global batch, however its texts are spread over devices.
        per_example = jnp.mean(jnp.sum(counted, axis=1))
        per_example = jax.lax.pmean(per_example, self.axis_name) if self.axis_name else per_example
        nll, accuracy = (
            jnp.mean(jnp.sum(jnp.where(counted > 0, value, 0.0), axis=1)) / jnp.maximum(per_example, 1e-6)
            for value in (nll, right)
        )
        metrics = {"nll_per_token": nll, "accuracy": accuracy, "tokens_per_example": per_example}
        return nll, (extra | {"generator": new}, metrics)

    def ids(self, params, extra, batch) -> jax.Array:
        """The target's tokens `[B, T] int32`, PADDING where it is masked."""
        target = present(batch, self.target)
        if not self.tokenized:
            return target
        ids = self._apply("tokenizer", params, extra, target, method="encode") + 1
        mask = batch.get(self.target + MASK_SUFFIX)
        return ids if mask is None else jnp.where(mask[:, None], ids, PADDING)

    def sample(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Drawn, or found by beam search, as the `sampling` fields say."""
        size = len(next(iter(batch.values())))
        cache = self._apply("generator", params, extra, batch, method="init_cache")
        if self.guidance != 1:
            nothing = drop_conditions(batch, self.conditioner.reads.values(), jnp.ones(size, bool))
            without = self._apply("generator", params, extra, nothing, method="init_cache")
            # Side by side, so that a row of the cache is still an example.
            cache = jax.tree.map(lambda *rows: jnp.stack(rows, axis=1), cache, without)
        step = functools.partial(self._step, params, extra)
        end = None if self.tokenized else END
        if self.beam_size > 1:
            ids, _ = decoding.beam_search(step, cache, size, self.length, end, self.beam_size, self.length_penalty)
        else:
            keys = randomness.example_keys(rng, size, self.axis_name)
            ids = decoding.draw(step, cache, keys, self.length, end, self.temperature, self.top_k, self.top_p)
        return {self.target: self._decode(params, extra, ids) if self.tokenized else ids}

    def reconstruct(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """An image through its codes and back."""
        if not self.tokenized:
            raise ValueError(f"objective: {self.target!r} is a text, which has no codes to reconstruct it from")
        return {self.target: self._decode(params, extra, self.ids(params, extra, {self.target: batch[self.target]}))}

    def _decode(self, params, extra, ids):
        return to_range(self._apply("tokenizer", params, extra, ids - 1, method="decode"))

    def _step(self, params, extra, cache, token, position):
        if self.guidance == 1:
            return self._apply("generator", params, extra, cache, token, position, method="step")
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), cache)
        logits, new = self._apply("generator", params, extra, flat, jnp.repeat(token, 2), position, method="step")
        given, without = jnp.moveaxis(logits.reshape(len(token), 2, -1), 1, 0)
        logits = (without + self.guidance * (given - without)).at[:, PADDING].set(decoding.LOWEST)
        return logits, jax.tree.map(lambda x, old: x.reshape(old.shape), new, cache)

    def _apply(self, player, params, extra, *args, method):
        network = self.tokenizer if player == "tokenizer" else self.network
        return network.apply({"params": params[player], **extra[player]}, *args, method=method)
