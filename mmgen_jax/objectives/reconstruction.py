"""Convolutional autoencoder (Masci et al., 2011), with optional denoising (Vincent et al., 2008).

To draw new examples, a Gaussian with full covariance is fitted to the latents by a moving average during training, and
its samples are decoded. That is the simplest ex-post density of Ghosh et al., 2020 (From Variational to Deterministic
Autoencoders), estimated along the way rather than in a pass at the end.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.masks import presence_weights, present, to_range

ERRORS = {"l2": lambda x: x**2, "l1": jnp.abs}


class Network(nn.Module):
    """Encoder, latent and decoder."""

    target_encoder: nn.Module
    generator: nn.Module
    latent_dim: int
    axis_name: str | None
    momentum: float = 0.99

    def setup(self):
        self.latent = nn.Dense(self.latent_dim)
        self.mean = self.variable("latent_stats", "mean", jnp.zeros, self.latent_dim)
        self.second_moment = self.variable("latent_stats", "second_moment", jnp.eye, self.latent_dim)

    def encode(self, target, train: bool = False):
        """`[B, latent_dim]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return self.latent(tokens.values.reshape(target.shape[0], -1).astype(jnp.float32))

    def __call__(self, target, weights=None, train: bool = False):
        """`weights [B]`, with mean 1, of the examples in the latents' statistics; only used in training."""
        latent = self.encode(target, train)
        if train and not self.is_initializing():
            self._observe(jax.lax.stop_gradient(latent), weights[:, None])
        return self.generator(latent, None, train=train)

    def _observe(self, latent, weights):
        moments = jnp.mean(weights * latent, axis=0), (weights * latent).T @ latent / latent.shape[0]
        if self.axis_name:
            moments = jax.lax.pmean(moments, self.axis_name)
        for variable, moment in zip((self.mean, self.second_moment), moments):
            variable.value = self.momentum * variable.value + (1 - self.momentum) * moment

    def generate(self, noise):
        """Decodes `mean + L noise`, where `L L^T` is the latents' covariance."""
        mean = self.mean.value
        covariance = self.second_moment.value - jnp.outer(mean, mean)
        values, vectors = jnp.linalg.eigh(covariance)
        root = vectors * jnp.sqrt(jnp.maximum(values, 0.0))
        return self.generator(mean + noise @ root.T, None)


@dataclasses.dataclass(frozen=True)
class Objective:
    """Reconstruction error of one modality, summed over its elements.

    Args:
      target: the modality to encode and decode; examples that lack it (its mask) do not count.
      error: `l2` or `l1`.
      noise: standard deviation of Gaussian noise on the encoder's input, in units of the [-1, 1] range.
    """

    target_encoder: nn.Module
    generator: nn.Module
    modality: Modality
    target: str
    latent_dim: int = 32
    error: str = "l2"
    noise: float = 0.0
    axis_name: str | None = None

    players: ClassVar[tuple[str, ...]] = ("generator",)

    def __post_init__(self):
        if self.error not in ERRORS:
            raise ValueError(f"objective.error: expected one of {', '.join(ERRORS)}, got {self.error!r}")

    @property
    def network(self) -> Network:
        return Network(self.target_encoder, self.generator, self.latent_dim, self.axis_name)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {"generator": self.network.init({"params": rng, "dropout": rng}, batch[self.target], train=True)}

    def loss(self, player: str, params, extra, batch, rng: jax.Array, step=0):
        noise_rng, dropout_rng = jax.random.split(rng)
        target, weights = present(batch, self.target), presence_weights(batch, self.target, self.axis_name)
        noise = randomness.normal(noise_rng, target.shape[0], target.shape[1:], self.axis_name) if self.noise else 0.0
        output, new = self.network.apply(
            {"params": params["generator"], **extra["generator"]},
            target + self.noise * noise,
            weights,
            train=True,
            rngs={"dropout": dropout_rng},
            mutable=list(extra["generator"]),
        )
        error = ERRORS[self.error](to_range(output) - target)
        loss = jnp.mean(weights * losses.per_example(error))
        return loss, (extra | {"generator": new}, {"error_per_element": loss / error[0].size})

    def sample(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Decoded draws from the Gaussian fitted to the latents."""
        noise = randomness.normal(rng, next(iter(batch.values())).shape[0], (self.latent_dim,), self.axis_name)
        return {self.target: to_range(self._apply(params, extra, noise, method="generate"))}

    def reconstruct(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        return {self.target: to_range(self._apply(params, extra, batch[self.target]))}

    def _apply(self, params, extra, *args, method="__call__"):
        return self.network.apply({"params": params["generator"], **extra["generator"]}, *args, method=method)
