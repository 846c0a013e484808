"""Generator of clips with separate latents of content and motion (MoCoGAN, Tulyakov et al., 2018).

The latent is `[content, motion noise of the first frame, …, of the last frame]`. The content is the same for all
frames. A GRU maps the motion noise to a motion code for each frame. Each frame is drawn by the image network
`generators/conv` from content, code and conditions.

Departs from the paper: the number of frames is fixed, because the latent of a clip has one length; classes and texts
enter by the pooled conditions, with the content; the GRU also sees the conditions, which may tell the motion.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, not_empty, pooled_of
from mmgen_jax.networks.generators import conv
from mmgen_jax.networks.generators.temporal import OF_A_FRAME, of_frames


class Generator(conv.Generator):
    """`[B, Z] -> [B, T, H, W, C]`, unbounded; the further fields are those of `generators/conv`, for a frame's network.

    Args:
      shape: `(T, H, W, C)`.
      noise_dim: length of the motion noise of a frame; the content has the other `Z - T * noise_dim` values.
      motion_dim: length of the motion code of a frame.

    Raises:
      ConfigError: a shape without frames, or a latent without values for the content; see also `generators/conv`.
    """

    noise_dim: Size = 8
    motion_dim: Size = 16

    def __post_init__(self):
        if len(self.shape) != 4:
            raise ConfigError(f"generators/mocogan: draws clips [T, H, W, C], got shape {tuple(self.shape)}")
        super().__post_init__()

    @nn.compact
    def __call__(self, latent: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        num, used = self.shape[0], self.shape[0] * self.noise_dim
        latent = not_empty(latent, "mocogan")
        if latent.shape[-1] <= used:
            raise ConfigError(
                f"generators/mocogan.noise_dim: {num} frames take {used} values of the latent, and the content needs "
                f"others; raise objective.latent_dim above {used}, got {latent.shape[-1]}"
            )
        content, noise = latent[:, :-used], latent[:, -used:].reshape(-1, num, self.noise_dim)
        pooled = pooled_of(condition)
        if pooled is not None:
            noise = jnp.concatenate([noise, jnp.repeat(pooled[:, None], num, axis=1).astype(noise.dtype)], axis=-1)
        codes: Any = nn.RNN(nn.GRUCell(self.motion_dim, dtype=self.dtype), name="motion")(noise)
        latents = jnp.concatenate([jnp.repeat(content[:, None], num, axis=1), codes.astype(content.dtype)], axis=-1)
        fields = {name: getattr(self, name) for name in OF_A_FRAME}
        network = conv.Generator(self.shape[1:], **fields, name="frame")
        frames = network(latents.reshape(-1, latents.shape[-1]), of_frames(condition, num), train)
        return frames.reshape(-1, *self.shape)
