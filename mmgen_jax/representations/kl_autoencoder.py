"""The autoencoder around latent diffusion (Rombach et al., 2022): an image to and from a small grid of latents.

Departs from the paper: no adversarial or perceptual loss; diffusion learns the posterior's means, each channel brought
to mean 0 and variance 1 by running statistics.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.generators.grid import doublings
from mmgen_jax.representations.vq_vae import num_tokens


def grid_shape(encoder: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Sides of the grid of tokens that an encoder gives for an image of `shape`; nothing is computed."""
    num = doublings(num_tokens(encoder, shape), *shape[:2])
    return shape[0] >> num, shape[1] >> num


class Autoencoder(nn.Module):
    """An image encoder, a diagonal Gaussian per cell of its grid, and a decoder from that grid.

    Args:
      channels: of the latents.
      momentum: of the running mean and second moment of each channel.
    """

    target_encoder: nn.Module
    target_decoder: nn.Module
    channels: int
    axis_name: str | None = None
    momentum: float = 0.99

    def setup(self):
        self.posterior = nn.Dense(2 * self.channels)
        self.mean = self.variable("latent_stats", "mean", jnp.zeros, self.channels)
        self.second_moment = self.variable("latent_stats", "second_moment", jnp.ones, self.channels)

    def distribution(self, target, train: bool = False):
        """Mean and log-variance, each `[B, N, channels]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return jnp.split(self.posterior(tokens.values.astype(jnp.float32)), 2, axis=-1)

    def __call__(self, target, weights, noise, train: bool = False):
        """`(output [B, H, W, C], mean, log_var)`.

        Args:
          weights: `[B]` with mean 1, of the examples in the statistics.
          noise: standard normal, `[B, h, w, channels]`.
        """
        mean, log_var = self.distribution(target, train)
        if train and not self.is_initializing():
            self._observe(jax.lax.stop_gradient(mean), weights[:, None, None])
        latent = mean + jnp.exp(0.5 * log_var) * noise.reshape(mean.shape)
        return self.target_decoder(latent, None, train=train), mean, log_var

    def _observe(self, latent, weights):
        moments = [jnp.mean(weights * power, axis=(0, 1)) for power in (latent, latent**2)]
        moments = jax.lax.pmean(moments, self.axis_name) if self.axis_name else moments
        for variable, moment in zip((self.mean, self.second_moment), moments):
            variable.value = self.momentum * variable.value + (1 - self.momentum) * moment

    def _scale(self):
        return jnp.sqrt(jnp.maximum(self.second_moment.value - self.mean.value**2, 1e-8))

    def encode(self, target):
        """`[B, h, w, channels]`, normalised posterior means."""
        latent = (self.distribution(target)[0] - self.mean.value) / self._scale()
        return latent.reshape(len(target), *grid_shape(self.target_encoder, target.shape[1:]), self.channels)

    def decode(self, latent):
        """The inverse: `[B, h, w, channels] -> [B, H, W, C]`, unbounded."""
        latent = latent * self._scale() + self.mean.value
        return self.target_decoder(latent.reshape(len(latent), -1, self.channels), None)
