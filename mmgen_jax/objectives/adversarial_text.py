"""Adversarial generation of text, after pre-training by likelihood (Kusner & Hernandez-Lobato, 2016; Nie et al., 2019).

Three players, for one phase after another in one run:

    pretraining      the captioner's parameters, by its likelihood, in [0, stop_step)
    discriminator    from some time before `stop_step` on, so that the generator meets one that can tell
    generator        a change that is added to the captioner's parameters, from `start_step` (= `stop_step`) on

A player owns its parameters, so the last two phases cannot train the first one's. Hence the change, of the same shapes
and 0 at first: its gradient is that of the sum, the captioner stands still beside it, and every phase is a static set
of players with an optimizer and a schedule of its own (one player with `lax.cond` on the step would have one of each,
and would have to be told once more when the phases begin). Weight decay of the generator pulls towards the captioner,
and `strength=0` draws from it. The captioner has no `ema_decay`: the change is learnt on its last parameters.

The generator draws its words one by one as it will when sampling, without dropout, and each is fed back: one-hot in
value, with the gradient of a softmax (the straight-through Gumbel-softmax of Jang et al., 2017). The discriminator
sees one-hot rows, so nothing gives a drawn text away but its words.

Departs from Nie et al.: no relational memory, no relativistic loss, one discriminator of one representation, and the
likelihood is kept as a term of the generator's loss.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.tokenizer import END, PADDING
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives import autoregressive
from mmgen_jax.objectives.parts import decoding, discriminator
from mmgen_jax.objectives.parts.masks import zero_masked


def straight_through(logits: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """One-hot rows `[..., V]` of the largest logits, with the gradient of `softmax(logits / temperature)`."""
    relaxed = jax.nn.softmax(logits / temperature, axis=-1)
    hard = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1])
    return hard + (relaxed - jax.lax.stop_gradient(relaxed))


def unroll(step: decoding.Step, cache: Any, noise: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """One-hot words `[B, T, V]`, drawn as by `decoding.draw`, that a gradient passes; END, then padding.

    Args:
      noise: `[B, T, V]`, standard Gumbel: the largest of logits plus noise is a draw from their softmax.
      temperature: of the relaxation that the gradient is of; the draw does not depend on it.
    """
    batch_size, length, size = noise.shape
    padding, end = jax.nn.one_hot(jnp.array([PADDING, END]), size)

    def body(carry, inputs):
        cache, word, done = carry
        position, noise = inputs
        logits, cache = step(cache, word, position)
        word = straight_through(logits + noise, temperature)
        word = jnp.where(position == length - 1, end, word)
        word = jnp.where(done[:, None], padding, word)
        return (cache, word, done | (jnp.argmax(word, axis=-1) == END)), word

    start = cache, jnp.broadcast_to(padding, (batch_size, size)), jnp.zeros(batch_size, bool)
    _, words = jax.lax.scan(body, start, (jnp.arange(length), noise.swapaxes(0, 1)))
    return words.swapaxes(0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(discriminator.WithDiscriminator):
    """A captioner, what an adversary changes in it, and that discriminator; see `adversarial.WithDiscriminator`.

    Args:
      likelihood_weight: of the negative log-likelihood per token in the generator's loss.
      gumbel_temperature: of the relaxed words at the first and the last of `anneal_steps`.
      anneal_steps: steps of the run between which it goes from the one to the other, geometrically.
      strength: how much of the generator's change is added when sampling; 0 is the captioner by likelihood alone.
      temperature, top_k, top_p, beam_size, length_penalty: of sampling, see `autoregressive.Objective`.
    """

    generator: nn.Module
    likelihood_weight: float = 0.1
    gumbel_temperature: tuple[float, float] = (1.0, 1.0)
    anneal_steps: tuple[int, int] = (0, 0)
    strength: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beam_size: int = 1
    length_penalty: float = 1.0

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("pretraining", "discriminator", "generator")
    sampling: ClassVar[tuple[str, ...]] = (
        *("strength", "temperature", "top_k", "top_p", "beam_size", "length_penalty"),
    )

    def __post_init__(self):
        super().__post_init__()
        if self.discrete().end is None:
            raise ConfigError(f"objective.target: expected a text, {self.target!r} is of kind {self.modality.kind!r}")
        if len(self.gumbel_temperature) != 2 or min(self.gumbel_temperature) <= 0:
            raise ConfigError(
                f"objective.gumbel_temperature: expected two temperatures above 0, got {self.gumbel_temperature}"
            )
        if len(self.anneal_steps) != 2 or self.anneal_steps[0] > self.anneal_steps[1]:
            raise ConfigError(f"objective.anneal_steps: expected a first and a last step, got {self.anneal_steps}")
        _ = self.captioner  # refuses what it cannot sample with

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        return (("pretraining", "generator"),)

    @functools.cached_property
    def captioner(self) -> autoregressive.Objective:
        """Whose parameters are `_sum`."""
        shared = {field.name for field in dataclasses.fields(autoregressive.Objective)}
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return autoregressive.Objective(**{name: value for name, value in own.items() if name in shared})

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        keys = {name: jax.random.fold_in(rng, i) for i, name in enumerate(("params", "dropout", "modality_dropout"), 1)}
        captioner = self.captioner.init(rng, batch)["generator"]
        # Flat, so that a module that is loaded into the captioner (`init_from`) is not added to itself.
        change = traverse_util.flatten_dict(jax.tree.map(jnp.zeros_like, captioner["params"]), sep="/")
        words = self._one_hot(batch[self.target])
        return {
            "pretraining": captioner,
            "discriminator": self.networks["discriminator"].init(keys, batch, words, train=True),
            "generator": {"params": change},
        }

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player == "pretraining":
            return self._likelihood(params[player], collections, batch, rng)
        noise_rng, likelihood_rng, mix_rng, shared, *dropout = jax.random.split(rng, 7)
        dropout = [{"dropout": key, "modality_dropout": shared} for key in dropout]
        fake = self.draw(params, collections, batch, noise_rng, self._temperature(step))
        if player == "discriminator":
            real = self._one_hot(zero_masked(batch, self.target))
            return self._discriminator_loss(params, collections, batch, real, fake, mix_rng, dropout[:2])
        loss, metrics = self._generator_loss(params, collections, batch, fake, dropout[2])
        metrics["words_per_example"] = jnp.mean(jnp.sum(1.0 - fake[..., PADDING], axis=1))
        if self.likelihood_weight:
            nll, (collections, details) = self._likelihood(self._sum(params), collections, batch, likelihood_rng)
            loss, metrics = loss + self.likelihood_weight * nll, metrics | details
        return loss, (collections, metrics)

    def draw(self, params, collections, batch, rng: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One-hot words `[B, T, V]` that a gradient passes, see `unroll`."""
        length, size = self.modality.shape[0], self.modality.vocab_size
        variables = {"params": self._sum(params), **collections["pretraining"]}
        apply = functools.partial(self.captioner.network.apply, variables)
        keys = randomness.example_keys(rng, len(next(iter(batch.values()))))
        noise = jax.vmap(lambda key: jax.random.gumbel(key, (length, size)))(keys)
        return unroll(functools.partial(apply, method="step"), apply(batch, method="init_cache"), noise, temperature)

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """See `autoregressive.Objective.sample`."""
        parameters = self._sum(params, self.strength)
        return self.captioner.sample({"generator": parameters}, {"generator": collections["pretraining"]}, batch, rng)

    def _likelihood(self, parameters, collections, batch, rng):
        loss, (new, metrics) = self.captioner.loss(
            "generator", {"generator": parameters}, {"generator": collections["pretraining"]}, batch, rng
        )
        return loss, ({**collections, "pretraining": new["generator"]}, metrics)

    def _sum(self, params, strength: float = 1.0):
        """The captioner's parameters with the generator's change."""
        change = traverse_util.unflatten_dict(params["generator"], sep="/")
        return jax.tree.map(lambda own, add: own + strength * add, params["pretraining"], change)

    def _temperature(self, step):
        (first, last), (start, stop) = self.anneal_steps, self.gumbel_temperature
        done = jnp.clip((step - first) / max(last - first, 1), 0.0, 1.0)
        return start * (stop / start) ** done

    def _one_hot(self, ids):
        return jax.nn.one_hot(ids, self.modality.vocab_size)
