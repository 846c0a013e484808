"""The network of a multimodal VAE: an encoder and a decoder for each target, and the network of a joint posterior."""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import masked_mean
from mmgen_jax.objectives.parts.posteriors import Experts


class Attention(nn.Module):
    """Features `{name: [B, D]}` to one normal: the modalities attend to each other, and their mean is projected."""

    features: int
    num_heads: int
    latent_dim: int

    @nn.compact
    def __call__(self, hidden: Mapping[str, jax.Array], present: jax.Array) -> tuple[jax.Array, jax.Array]:
        tokens = [nn.Dense(self.features, name=f"project_{name}")(x) for name, x in hidden.items()]
        x = jnp.where(present[..., None], jnp.stack(tokens, axis=1), 0)  # [B, M, F]
        attend = nn.MultiHeadDotProductAttention(self.num_heads, qkv_features=self.features)
        x = x + attend(nn.LayerNorm()(x), mask=present[:, None, None])
        x = x + nn.Dense(self.features)(nn.silu(nn.Dense(2 * self.features)(nn.LayerNorm()(x))))
        pooled = masked_mean(nn.LayerNorm()(x), present)
        mean, log_var = jnp.split(nn.Dense(2 * self.latent_dim)(pooled), 2, axis=-1)
        return mean, log_var


class Network(nn.Module):
    """Encoders, decoders, and the mean and log-variance of each posterior.

    Args:
      encoders: `{target: (array [B, *shape], mask [B]) -> Tokens}`.
      decoders: `{target: (latent [N, latent_dim + private_dim], None) -> output [N, …]}`.
      joint_encoders: encoders of the joint posterior, as `encoders`; {} for other posteriors.
      latent_dim, private_dim: lengths of the shared latent and of each target's private one.
      attention: the network of the posterior `attention`, else None.
    """

    encoders: Mapping[str, nn.Module]
    decoders: Mapping[str, nn.Module]
    joint_encoders: Mapping[str, nn.Module]
    latent_dim: int
    private_dim: int = 0
    attention: nn.Module | None = None

    def setup(self):
        self.heads = {name: nn.Dense(2 * (self.latent_dim + self.private_dim)) for name in self.encoders}
        if self.joint_encoders:
            self.joint_head = nn.Dense(2 * self.latent_dim)
        if self.private_dim:
            shape = (len(self.encoders), self.private_dim)
            self.auxiliary_log_scale = self.param("auxiliary_log_scale", nn.initializers.zeros, shape)

    def encode(self, arrays: Mapping[str, jax.Array], present: jax.Array, train: bool = False):
        """`(Experts, private)`: private is `{target: (mean, log_var)}`, each `[B, private_dim]`.

        Args:
          arrays: `{target: [B, *shape]}`, zero where masked.
          present: `[B, M] bool`, in the order of the targets.
        """
        hidden = self._hidden(self.encoders, arrays, present, train)
        parameters = [jnp.split(self.heads[name](x), 2, axis=-1) for name, x in hidden.items()]
        mean, log_var = (jnp.stack(values, axis=1) for values in zip(*parameters))  # [B, M, Z + P]
        size = self.latent_dim
        private = {name: (mean[:, i, size:], log_var[:, i, size:]) for i, name in enumerate(hidden)}
        fused = None
        if self.joint_encoders:
            own = self._hidden(self.joint_encoders, arrays, present, train)
            mean_of_all, log_var_of_all = jnp.split(
                self.joint_head(jnp.concatenate(list(own.values()), -1)), 2, axis=-1
            )
            fused = mean_of_all, log_var_of_all
        elif self.attention is not None:
            fused = self.attention(hidden, present)
        return Experts(mean[..., :size], log_var[..., :size], present, fused), private

    def decode(self, latents: Mapping[str, jax.Array], train: bool = False) -> dict[str, jax.Array]:
        """Outputs `{target: [N, …]}` float32 from latents `{target: [N, latent_dim + private_dim]}`."""
        return {name: self.decoders[name](z, None, train=train).astype(jnp.float32) for name, z in latents.items()}

    def auxiliary(self, noise: Mapping[str, jax.Array], train: bool = False) -> dict[str, jax.Array]:
        """Private latents `{target: […, private_dim]}` of the auxiliary prior, from standard normal noise."""
        names = list(self.encoders)
        return {name: x * jnp.exp(self.auxiliary_log_scale[names.index(name)]) for name, x in noise.items()}

    def __call__(self, arrays, present, train: bool = False):
        """Applies every part, to initialise all."""
        experts, _ = self.encode(arrays, present, train)
        latent = jnp.pad(experts.mean[:, 0], ((0, 0), (0, self.private_dim)))
        return self.decode(dict.fromkeys(self.decoders, latent), train)

    def _hidden(self, encoders, arrays, present, train) -> dict[str, jax.Array]:
        """Features `{target: [B, D]}` float32: the tokens of an encoder one after another."""
        found = {}
        for i, (name, encoder) in enumerate(encoders.items()):
            tokens = encoder(arrays[name], present[:, i], train=train)
            values = jnp.where(tokens.mask[..., None], tokens.values, 0)
            found[name] = values.reshape(len(values), -1).astype(jnp.float32)
        return found
