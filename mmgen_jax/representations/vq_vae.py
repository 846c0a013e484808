"""Vector-quantised autoencoder from a grid to codes (VQ-VAE, van den Oord et al., 2017).

The codebook is updated by exponential moving averages (van den Oord et al., appendix A.1), without a gradient. A code
that is hardly used is replaced by a random encoder output of the batch (codebook restart, Dhariwal et al., 2020,
Jukebox). The first step initialises the codebook in the same way, because all codes are unused before it.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Rate, Size
from mmgen_jax.modalities.space import Discrete
from mmgen_jax.networks.layers import mapped
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply_train, init_keys
from mmgen_jax.representations.grid import num_tokens
from mmgen_jax.representations.learned import Learned

TINY = 1e-8


class VectorQuantizer(nn.Module):
    """Replaces each vector by the nearest vector of the codebook.

    Args:
      num_codes: size of the codebook.
      features: length of a code's vector.
      decay: of the moving averages, per training step.
      restart_below: a code is restarted when its usage (the share of vectors to which this code is the nearest) is
        below `restart_below / num_codes`.
    """

    num_codes: int
    features: int
    decay: float = 0.99
    restart_below: float = 0.1

    def setup(self):
        # Moving averages for each code: the share of all vectors that are nearest to the code, and the sum of these
        # vectors divided by the number of all vectors.
        self.usage = self.variable("codebook", "usage", jnp.zeros, self.num_codes)
        self.sums = self.variable("codebook", "sums", jnp.zeros, (self.num_codes, self.features))

    @property
    def codes(self) -> jax.Array:
        """The codebook `[num_codes, features]`."""
        return self.sums.value / jnp.maximum(self.usage.value, TINY)[:, None]

    def nearest(self, vectors: jax.Array) -> jax.Array:
        """The index of the nearest code, `[..., features] -> [...] int32`."""
        distances = jnp.sum(self.codes**2, axis=-1) - 2 * vectors @ self.codes.T  # |code - vector|^2 - |vector|^2
        return jnp.argmin(distances, axis=-1).astype(jnp.int32)

    def __call__(self, vectors: jax.Array, weights: jax.Array, train: bool = False):
        """Quantises vectors `[B, N, features]`, with the straight-through gradient; `train` also updates the codebook.

        Args:
          weights: `[B]` with mean 1, weights of the examples in the moving averages and the perplexity.
          train: updates the codebook; restarts draw from the rng `codebook`.

        Returns:
          `(quantised, distance, perplexity)`: `quantised [B, N, features]`; `distance [B, N]`, the squared distance of
          each vector to its code, averaged over features, with a gradient to the vectors; `perplexity []`, of the usage
          of the codes in this batch, in [1, num_codes].
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
        # A drawn vector of a masked example (weight 0) is not used: its code is restarted in a later step.
        dead = (self.usage.value * self.num_codes < self.restart_below) & (weight > 0)
        self.sums.value = jnp.where(dead[:, None], drawn / self.num_codes, self.sums.value)
        self.usage.value = jnp.where(dead, 1.0 / self.num_codes, self.usage.value)

    def _draw(self, flat: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`num_codes` random rows of the global batch and their weights, the same on every device."""
        num = len(flat)
        rows = jax.random.randint(self.make_rng("codebook"), (self.num_codes,), 0, num * mapped.size())
        if mapped.axis() is None:
            return flat[rows], weights[rows]
        rows = rows - num * mapped.index()
        here = (rows >= 0) & (rows < num)
        rows = jnp.clip(rows, 0, num - 1)
        return mapped.total((jnp.where(here[:, None], flat[rows], 0), jnp.where(here, weights[rows], 0)))

    def lookup(self, ids: jax.Array) -> jax.Array:
        """The vectors of codes, `[...] int32 -> [..., features]`."""
        return self.codes[ids]


class VQVAE(nn.Module):
    """An encoder, the quantiser, and a decoder from a grid of codes (`generators/grid.py`).

    Args:
      target_encoder: `(grid [B, *grid, C], mask [B]) -> Tokens [B, N, D]`.
      target_decoder: `(vectors [B, N, code_dim], None) -> [B, *grid, C]`.
      num_codes: size of the codebook.
      code_dim: length of a code's vector; the encoder's tokens are projected to this length (Yu et al., 2022).
      decay: of the codebook's moving averages.
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
        """The encoder's vectors before quantisation, `[B, N, code_dim]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return self.projection(tokens.values.astype(jnp.float32))

    def encode(self, target: jax.Array) -> jax.Array:
        """`[B, *grid, C]` to codes `[B, N] int32` in [0, num_codes)."""
        return self.quantizer.nearest(self.vectors(target))

    def decode(self, ids: jax.Array) -> jax.Array:
        """Codes `[B, N]` to the target's grid `[B, *grid, C]`, unbounded."""
        return self.target_decoder(self.quantizer.lookup(ids), None)

    def __call__(self, target: jax.Array, weights: jax.Array, train: bool = False):
        """`(output of the target's shape, distance [B, N], perplexity [])`; see `VectorQuantizer`."""
        quantised, distance, perplexity = self.quantizer(self.vectors(target, train), weights, train)
        return self.target_decoder(quantised, None, train=train), distance, perplexity


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation(Learned):
    """Codes of a grid, from the player `tokenizer`; further fields in `Learned`.

    Args:
      codebook_size: number of codes.
      code_dim: length of a code's vector.
      codebook_decay: decay of the codebook's moving averages, per training step.
      commitment: weight of the commitment loss, the squared distance per element between the encoder's vectors and
        their codes; the squared error per element has weight 1.
    """

    codebook_size: Size = 256
    code_dim: Size = 16
    codebook_decay: Rate = 0.99
    commitment: NotNegative = 0.25

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
        """Squared error per element plus the commitment loss; `weights [B]` are those of the examples, with mean 1."""
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
