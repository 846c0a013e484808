"""Generator of clips: a code for each frame, then each frame by a network of images (TGAN, Saito et al., 2017).

All frames share the parameters of the image network and see the clip's latent, so that a clip shows one content. The
image network is `generators/conv`, whose two-dimensional convolutions cost less than those of `conv` on a clip.

Departs from the paper: the codes come from two dense layers in place of one-dimensional transposed convolutions; each
frame also sees the conditions.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, not_empty
from mmgen_jax.networks.generators import conv
from mmgen_jax.networks.layers.aligned import to_grid

OF_A_FRAME = ("width", "max_width", "norm", "conditions_at", "batch_conditions", "input_bias", "init_std", "dtype")


class Generator(conv.Generator):
    """`[B, Z] -> [B, T, H, W, C]`, unbounded; the further fields are those of `generators/conv`, for a frame's network.

    Args:
      shape: `(T, H, W, C)`.
      features: length of the code of each frame.

    Raises:
      ConfigError: a shape without frames; see also `generators/conv`.
    """

    features: Size = 64

    def __post_init__(self):
        if len(self.shape) != 4:
            raise ConfigError(f"generators/temporal: draws clips [T, H, W, C], got shape {tuple(self.shape)}")
        super().__post_init__()

    @nn.compact
    def __call__(self, latent: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        num = self.shape[0]
        codes = nn.relu(nn.Dense(2 * self.features, dtype=self.dtype)(not_empty(latent, "temporal").astype(self.dtype)))
        codes = nn.Dense(num * self.features, dtype=self.dtype)(codes).reshape(-1, self.features)
        latents = jnp.concatenate([jnp.repeat(latent, num, axis=0), codes.astype(latent.dtype)], axis=-1)
        fields = {name: getattr(self, name) for name in OF_A_FRAME}
        frames = conv.Generator(self.shape[1:], **fields, name="frame")(latents, of_frames(condition, num), train)
        return frames.reshape(-1, *self.shape)


def of_frames(condition: Condition | None, num: int) -> Condition | None:
    """The condition of each of `num` frames, `[B * num, …]`; an aligned clip gives each frame its own."""
    if condition is None:
        return None
    repeated = {
        name: None if value is None else jnp.repeat(value, num, axis=0)
        for name, value in (("tokens", condition.tokens), ("mask", condition.mask), ("pooled", condition.pooled))
    }
    aligned = {}
    for name, source in condition.aligned.items():
        clip = to_grid(source, (num, *source.shape[-3:-1]), name)
        aligned[name] = clip.reshape(-1, *clip.shape[2:])
    return Condition(**repeated, aligned=aligned)
