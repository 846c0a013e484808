"""Likelihoods of a target given the output of its decoder, in nats per example.

bernoulli     each value in [-1, 1] stands for a probability, and is drawn as -1 or 1 (`observed`)
gaussian      independent normals around the output, with one standard deviation
laplace       the same with the Laplace distribution and its scale
categorical   one class; the output holds its logits
text          the words of a text up to its end, independent given the output `[L, V]`, which holds their logits
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses

OF_VALUES = ("bernoulli", "gaussian", "laplace")
NAMES = (*OF_VALUES, "categorical", "text")


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """`p(target | output)`; the decoder's output is `[B, *space.shape]`, or `[B, length, number of ids]`.

    Args:
      name: one of `NAMES`.
      space: of the target.
      scale: standard deviation (`gaussian`) or scale (`laplace`), in units of the target's values.
    """

    name: str
    space: Continuous | Discrete
    scale: float = 1.0

    def observed(self, target: jax.Array, rng: jax.Array) -> jax.Array:
        """The target as the model sees it: with `bernoulli` drawn as -1 or 1, else unchanged.

        The ELBO is a bound for binary targets only: grey values are drawn as binary in each step (dynamic binarisation,
        Salakhutdinov & Murray, 2008).
        """
        if self.name != "bernoulli":
            return target
        return jnp.where(randomness.uniform(rng, len(target), target.shape[1:]) < (target + 1.0) / 2.0, 1.0, -1.0)

    def nll(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """Negative log-likelihood `[B]` in nats."""
        if isinstance(self.space, Discrete):
            log_p = jax.nn.log_softmax(output.astype(jnp.float32).reshape(len(output), *self._logits))
            ids = target.reshape(len(target), self.space.length)
            nll = -jnp.take_along_axis(log_p, ids[..., None], axis=-1)[..., 0]  # [B, L]
            return jnp.sum(nll * (_up_to_end(ids, self.space.end) if self.name == "text" else 1.0), axis=1)
        target = target.reshape(output.shape)
        if self.name == "bernoulli":
            return losses.per_example(losses.bernoulli_nll(output, target))
        nll = {"gaussian": losses.gaussian_nll, "laplace": losses.laplace_nll}[self.name]
        return losses.per_example(nll(output, target, self.scale))

    def mean(self, output: jax.Array) -> jax.Array:
        """The mean of the likelihood, in the target's space; of ids, the most probable ones, padded after the end."""
        if isinstance(self.space, Discrete):
            ids = jnp.argmax(output.reshape(len(output), *self._logits), axis=-1).astype(jnp.int32)
            return jnp.where(_up_to_end(ids, self.space.end), ids, PADDING) if self.name == "text" else ids
        if self.name == "bernoulli":
            return 2.0 * jax.nn.sigmoid(output) - 1.0
        return jnp.clip(output, -1.0, 1.0) if self.space.bounded else output

    @property
    def _logits(self) -> tuple[int, int]:
        assert isinstance(self.space, Discrete)
        return self.space.length, self.space.size


def create(name: str, space: Continuous | Discrete, scale: float, where: str) -> Likelihood:
    """The likelihood of a space; `name` "" is the usual one: gaussian, categorical or text.

    Raises:
      ConfigError: no such likelihood, or one of another space.
    """
    if isinstance(space, Continuous):
        allowed = OF_VALUES if space.bounded else OF_VALUES[1:]
        name = name or "gaussian"
    else:
        allowed = ("categorical",) if space.end is None else ("text",)
        name = name or allowed[0]
    if name not in allowed:
        raise ConfigError(f"{where}: expected one of {', '.join(allowed)} for {space}, got {name!r}")
    return Likelihood(name, space, scale)


def _up_to_end(ids: jax.Array, end: int | None) -> jax.Array:
    """`[B, L] bool`: the places of the words and of the first END after them; all places where there is no END."""
    before = jnp.cumsum(ids == end, axis=1) - (ids == end)
    return before == 0
