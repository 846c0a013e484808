"""Adversarial generation of text after maximum-likelihood pre-training (Kusner & Hernandez-Lobato, 2016; Nie et al.,
2019).

Three players train in the phases of one run:

    pretraining      the captioner's parameters, by maximum likelihood, in the steps [0, stop_step)
    discriminator    from a step before that `stop_step` on, so that the generator meets a trained discriminator
    generator        a change, added to the captioner's parameters, from `start_step` (= that `stop_step`) on

A player trains its own parameters only, so the generator cannot train the parameters of `pretraining`. The generator's
own parameters are therefore a change of the same shapes, 0 at first, which is added to the captioner's parameters. The
gradient for the change is the gradient for the sum, and the captioner's own parameters stay fixed. Each phase is then a
static set of players, each with its own optimizer and schedule. A single player with `lax.cond` on the step would have
a single optimizer, and would need the steps of the phases a second time. Weight decay of the generator pulls the sum
towards the captioner, and `strength=0` samples from the captioner. The captioner has no `ema_decay`, because the change
is learned for the captioner's last parameters.

In training, the generator draws texts word by word, as in sampling and without dropout. Each word is fed back as a row
that is one-hot in value and has the gradient of a softmax (straight-through Gumbel-softmax, Jang et al., 2017). Real
texts are one-hot rows too, so the discriminator can tell drawn texts from real ones by their words only.

Departs from Nie et al.: no relational memory, no relativistic loss, rows that are one-hot in value (theirs are the
softmax itself), one embedded representation in the discriminator instead of several; the likelihood stays a term of
the generator's loss.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util

from mmgen_jax.config.ranges import Count, NotNegative, Positive, Real, Size, Steps, TopShare
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
    """Differentiable one-hot words `[B, T, V]`, drawn as by `decoding.draw`: the words, END, then padding.

    Args:
      step, cache: the model of the next word, see `decoding`.
      noise: `[B, T, V]`, standard Gumbel; the argmax of logits plus noise is a draw from the softmax of the logits.
      temperature: of the softmax whose gradient the words have; the drawn words do not depend on the temperature.
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
    """A captioner, its adversarial change (the generator), and the discriminator; see also `WithDiscriminator`.

    Args:
      generator: the network of the captioner, a model of the next word (`generators/transformer.py`, `recurrent.py`).
      likelihood_weight: weight of the negative log-likelihood per token in the generator's loss.
      gumbel_temperature: temperatures of the Gumbel-softmax at the first and at the last step of `anneal_steps`.
      anneal_steps: the steps of the run between which the temperature changes geometrically.
      strength: factor of the generator's change in sampling; 0 samples from the pre-trained captioner.
      temperature, top_k, top_p, beam_size, length_penalty: of sampling, see `autoregressive.Objective`.

    Raises:
      ConfigError: the target is no text, or a field is out of range.
    """

    generator: nn.Module
    likelihood_weight: NotNegative = 0.1
    gumbel_temperature: tuple[Positive, Positive] = (1.0, 1.0)
    anneal_steps: tuple[Steps, Steps] = (0, 0)
    strength: NotNegative = 1.0
    temperature: NotNegative = 1.0
    top_k: Count = 0
    top_p: TopShare = 1.0
    beam_size: Size = 1
    length_penalty: Real = 1.0

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("pretraining", "discriminator", "generator")
    generator_form: ClassVar[str] = "ids"
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
        _ = self.captioner  # raises for sampling fields out of range

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        return (("pretraining", "generator"),)

    @functools.cached_property
    def captioner(self) -> autoregressive.Objective:
        """The objective of the captioner; its methods take the parameters of `_sum`."""
        shared = {field.name for field in dataclasses.fields(autoregressive.Objective)}
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return autoregressive.Objective(**{name: value for name, value in own.items() if name in shared})

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        keys = {name: jax.random.fold_in(rng, i) for i, name in enumerate(("params", "dropout", "modality_dropout"), 1)}
        captioner = self.captioner.init(rng, batch)["generator"]
        # The change is a flat dict, in which `init_from` finds no module. In a tree of modules, `init_from` would load
        # pre-trained parameters into the change as well, and the sum would contain these parameters twice.
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
        metrics["words_per_example"] = jnp.mean(jnp.sum(1.0 - fake[..., PADDING], axis=1))  # of the drawn captions
        if self.likelihood_weight:
            nll, (collections, details) = self._likelihood(self._sum(params), collections, batch, likelihood_rng)
            loss, metrics = loss + self.likelihood_weight * nll, metrics | details
        return loss, (collections, metrics)

    def draw(self, params, collections, batch, rng: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """Differentiable one-hot words `[B, T, V]` of the generator, see `unroll`."""
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
        """The captioner's parameters plus `strength` times the generator's change."""
        change = traverse_util.unflatten_dict(params["generator"], sep="/")
        return jax.tree.map(lambda own, add: own + strength * add, params["pretraining"], change)

    def _temperature(self, step):
        (first, last), (start, stop) = self.anneal_steps, self.gumbel_temperature
        done = jnp.clip((step - first) / max(last - first, 1), 0.0, 1.0)
        return start * (stop / start) ** done

    def _one_hot(self, ids):
        return jax.nn.one_hot(ids, self.modality.vocab_size)
