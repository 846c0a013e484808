"""Two discriminators of clips: of each frame as a picture, and of the clip as a whole (MoCoGAN, Tulyakov et al., 2018).

The logits of the frames see the look alone, the logit of the clip also the motion. The conditions enter both, by
projection (Miyato & Koyama, 2018).

Departs from the paper: every frame is judged, instead of one drawn frame; the clip's logit is repeated as often as
there are frames, so that both discriminators have the same weight in a mean over logits; the paper adds a classifier of
the conditions instead of the projection.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators import conv, projection
from mmgen_jax.networks.generators.temporal import of_frames


class Discriminator(nn.Module):
    """Logits `[B, 2 T]` of clips `[B, T, H, W, C]`: those of the frames, then that of the clip, T times.

    Fields as in `conv.Discriminator`, alike for both networks.

    Raises:
      ConfigError: a target that is no clip.
    """

    width: Size = 64
    max_width: Size = 512
    norm: str = "none"
    spectral_norm: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        if target.ndim != 5:
            raise ConfigError(
                f"discriminators/frame_and_clip: judges clips [B, T, H, W, C], got shape {list(target.shape)}; use "
                "discriminators/conv"
            )
        num = target.shape[1]
        network = conv.Discriminator if condition is None else projection.Discriminator
        fields = {"norm": self.norm, "spectral_norm": self.spectral_norm, "dtype": self.dtype}
        of_frame = network(self.width, self.max_width, **fields, name="frame")
        of_clip = network(self.width, self.max_width, **fields, name="clip")
        frames = target.reshape(-1, *target.shape[2:])
        looks = of_frame(frames, of_frames(condition, num), train).reshape(-1, num)
        motion = of_clip(target, condition, train)
        return jnp.concatenate([looks, jnp.repeat(motion[:, None], num, axis=1)], axis=1)
