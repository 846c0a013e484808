"""Vector quantisation, and the autoencoder around it that turns a grid into codes (VQ-VAE, van den Oord et al., 2017).

The codes follow the encoder by moving averages (van den Oord et al., appendix A.1) and take no gradient. A code that is
hardly used is put on a random vector of the batch (Dhariwal et al., 2020, Jukebox), which is also how the codebook
begins: unused codes are all that it has before the first step.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.modalities.space import Discrete
from mmgen_jax.networks.layers import mapped
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply_train, init_keys
from mmgen_jax.representations.grid import num_tokens
from mmgen_jax.representations.learned import Learned

TINY = 1e-8


class VectorQuantizer(nn.Module):
    """The nearest of `num_codes` codes to each vector.

    Args:
      features: length of a code.
      decay: of the moving averages, per training step.
      restart_below: a code is put elsewhere when its share of the vectors is below this part of `1 / num_codes`.
    """

    num_codes: int
    features: int
    decay: float = 0.99
    restart_below: float = 0.1

    def setup(self):
        # Moving averages over all vectors: of which code is nearest, and of the vectors where it is.
        self.usage = self.variable("codebook", "usage", jnp.zeros, self.num_codes)
        self.sums = self.variable("codebook", "sums", jnp.zeros, (self.num_codes, self.features))

    @property
    def codes(self) -> jax.Array:
        """`[num_codes, features]`."""
        return self.sums.value / jnp.maximum(self.usage.value, TINY)[:, None]

    def nearest(self, vectors: jax.Array) -> jax.Array:
        """`[..., features] -> [...] int32`."""
        distances = jnp.sum(self.codes**2, axis=-1) - 2 * vectors @ self.codes.T  # less |vector|^2
        return jnp.argmin(distances, axis=-1).astype(jnp.int32)

    def __call__(self, vectors: jax.Array, weights: jax.Array, train: bool = False):
        """`[B, N, features]` to their codes, through which the gradient passes unchanged, and two metrics.

        Args:
          weights: `[B]` with mean 1, of the examples. With `train` the codebook is updated, restarts being drawn from
            the rng `codebook`.

        Returns:
          `(quantised [B, N, features], squared distance of each vector to its code, a mean over features [B, N],
          perplexity of the codes' use in this batch)`.
        """
        weights = jnp.broadcast_to(weights[:, None], vectors.shape[:2])
        flat, weights = jax.lax.stop_gradient(vectors).reshape(-1, self.features), weights.reshape(-1)
        update = train and not self.is_initializing()
        if update:
            self._restart(flat, weights)
        ids = self.nearest(flat)
        quantised = self.codes[ids].reshape(vectors.shape)
        one_hot = jax.nn.one_hot(ids, self.num_codes) * weights[:, None]
        moments = mapped.mean((jnp.mean(one_hot, axis=0), one_hot.T @ flat / len(flat)))
        if update:
            for variable, moment in zip((self.usage, self.sums), moments):
                variable.value = self.decay * variable.value + (1 - self.decay) * moment
        perplexity = jnp.exp(-jnp.sum(jax.scipy.special.xlogy(moments[0], moments[0])))
        distance = jnp.mean((vectors - quantised) ** 2, axis=-1)
        return vectors + jax.lax.stop_gradient(quantised - vectors), distance, perplexity

    def _restart(self, flat: jax.Array, weights: jax.Array) -> None:
        drawn, weight = self._draw(flat, weights)
        # A vector of a masked example is none: such a code waits for the next step.
        dead = (self.usage.value * self.num_codes < self.restart_below) & (weight > 0)
        self.sums.value = jnp.where(dead[:, None], drawn / self.num_codes, self.sums.value)
        self.usage.value = jnp.where(dead, 1.0 / self.num_codes, self.usage.value)

    def _draw(self, flat: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`num_codes` rows of the global batch, the same on every device."""
        num = len(flat)
        rows = jax.random.randint(self.make_rng("codebook"), (self.num_codes,), 0, num * mapped.size())
        if mapped.axis() is None:
            return flat[rows], weights[rows]
        rows = rows - num * mapped.index()
        here = (rows >= 0) & (rows < num)
        rows = jnp.clip(rows, 0, num - 1)
        return mapped.total((jnp.where(here[:, None], flat[rows], 0), jnp.where(here, weights[rows], 0)))

    def lookup(self, ids: jax.Array) -> jax.Array:
        """`[...] int32 -> [..., features]`."""
        return self.codes[ids]


class VQVAE(nn.Module):
    """An encoder, the quantiser, and a decoder from a grid of codes (`generators/grid.py`).

    Args:
      num_codes, code_dim: of the codebook; the encoder's tokens are projected to `code_dim` (Yu et al., 2022).
    """

    target_encoder: nn.Module
    target_decoder: nn.Module
    num_codes: int
    code_dim: int
    decay: float = 0.99

    def setup(self):
        self.projection = nn.Dense(self.code_dim)
        self.quantizer = VectorQuantizer(self.num_codes, self.code_dim, self.decay)

    def vectors(self, target: jax.Array, train: bool = False) -> jax.Array:
        """`[B, N, code_dim]` float32, before quantisation."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return self.projection(tokens.values.astype(jnp.float32))

    def encode(self, target: jax.Array) -> jax.Array:
        """`[B, N] int32` in [0, num_codes)."""
        return self.quantizer.nearest(self.vectors(target))

    def decode(self, ids: jax.Array) -> jax.Array:
        """The inverse: `[B, N]` to the target's grid, unbounded."""
        return self.target_decoder(self.quantizer.lookup(ids), None)

    def __call__(self, target: jax.Array, weights: jax.Array, train: bool = False):
        """`(output like the target, distance [B, N], perplexity)`; see `VectorQuantizer`."""
        quantised, distance, perplexity = self.quantizer(self.vectors(target, train), weights, train)
        return self.target_decoder(quantised, None, train=train), distance, perplexity


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation(Learned):
    """Codes of a grid, by the player `tokenizer`; see `Learned`.

    Args:
      codebook_size, code_dim, codebook_decay: of the quantiser.
      commitment: weight of the distance between the encoder's vectors and their codes, beside the squared error of an
        element.
    """

    codebook_size: int = 256
    code_dim: int = 16
    codebook_decay: float = 0.99
    commitment: float = 0.25

    own_player: ClassVar[str] = "tokenizer"

    @functools.cached_property
    def space(self) -> Discrete:
        return Discrete(num_tokens(self.encoder, self.grid.shape), self.codebook_size)

    @property
    def network(self) -> VQVAE:
        return VQVAE(self.encoder, self.decoder, self.codebook_size, self.code_dim, self.codebook_decay)

    def init(self, rng: jax.Array, target: jax.Array) -> dict[str, Any]:
        grid = self.zeros(len(target))
        own = self.network.init(init_keys(rng), grid, jnp.ones(len(target)), train=True)
        return {**self.of.init(rng, target), self.own_player: own}

    def loss(self, player: str, params, collections, target: jax.Array, weights: jax.Array, rng: jax.Array):
        """Squared error per element, and the commitment; `weights [B]`, with mean 1, of the examples."""
        if player != self.own_player:
            return self.of.loss(player, params, collections, target, weights, rng)
        dropout_rng, codebook_rng = jax.random.split(rng)
        grid = self.of.encode(params, collections, target)
        rngs = {"dropout": dropout_rng, "codebook": codebook_rng}
        (output, distance, perplexity), collections = apply_train(
            self.network, player, params, collections, grid, weights, rngs=rngs
        )
        output = self.in_range(output)
        error = losses.per_example((output - grid) ** 2) / grid[0].size
        error, distance = jnp.mean(weights * error), jnp.mean(weights * jnp.mean(distance, axis=-1))
        metrics = {"error_per_element": error, "code_distance": distance, "codebook_perplexity": perplexity}
        return error + self.commitment * distance, (collections, metrics)
