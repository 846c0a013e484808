"""Super-resolution of clips: each frame from a window of frames, by a sub-pixel layer (VESPCN, Caballero et al., 2017).

The first convolution spans the time of the window (early fusion), the following ones each frame's own features. The
output is added to the bicubic enlargement. With `own_frame` the window holds the frame itself again and again: the same
network with the same number of parameters on one frame, the control for the gain from other frames.

Departs from the paper: frames are not warped by an estimated motion before the fusion; residual blocks, as in EDSR (Lim
et al., 2017); all frames of a clip are enlarged; beyond its ends, the clip continues with its first and last frame.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.translation import vector_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.patches import depth_to_space


class Generator(nn.Module):
    """`latent [B, Z]` or None, and an aligned small clip, to `[B, T, H, W, C]`; use `objective.output="linear"`.

    Args:
      shape: `(T, H, W, C)`.
      source: the aligned clip with the target's frames and channels, its sides divided by one whole number.
      window: frames that each frame is drawn from, odd: the frame and as many before as after it.
      own_frame: whether the window holds the frame itself only, instead of its neighbours.
      width: channels of every block.
      num_blocks: residual blocks of two convolutions.

    Raises:
      ConfigError: no such source, or further sources; a source of another number of frames or channels, sides that are
        no multiple of the source's, or an even `window`.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    source: str = "small"
    window: Size = 5
    own_frame: bool = False
    width: Size = 64
    num_blocks: Depth = 4
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        source, factor = self._source(condition)
        num_frames, height, width, channels = source.shape[1:]
        half = self.window // 2
        if self.own_frame:
            windows = jnp.repeat(source[:, :, None], self.window, axis=2)
        else:
            padded = jnp.pad(source, ((0, 0), (half, half), *[(0, 0)] * 3), mode="edge")
            windows = jnp.stack([padded[:, i : i + num_frames] for i in range(self.window)], axis=2)
        # [B T, H, W, window C]: a convolution over the window's time and space is one over space with more channels.
        x = jnp.moveaxis(windows, 2, -2).reshape(-1, height, width, self.window * channels).astype(self.dtype)
        x = convolution.Conv(self.width, 3, dtype=self.dtype, name="input")(x)
        vector = vector_of(latent, condition)
        if vector is not None:
            vector = nn.Dense(2 * self.width, dtype=self.dtype, name="vector")(vector)
            x = blocks.film(x, *jnp.split(jnp.repeat(vector, num_frames, axis=0), 2, -1))
        for _ in range(self.num_blocks):
            h = nn.relu(convolution.Conv(self.width, 3, dtype=self.dtype)(x))
            x = x + convolution.Conv(self.width, 3, dtype=self.dtype)(h)
        # Small initial values: the first output is nearly the enlarged source.
        small = nn.initializers.normal(1e-3)
        x = convolution.Conv(channels * factor**2, 3, dtype=self.dtype, kernel_init=small, name="output")(nn.relu(x))
        x = depth_to_space(x, (factor, factor)).reshape(-1, *self.shape)
        return x.astype(jnp.float32) + jax.image.resize(source, x.shape, "cubic")

    def _source(self, condition: Condition | None) -> tuple[jax.Array, int]:
        """The small clip `[B, T, H / f, W / f, C]`, and the factor f."""
        if len(self.shape) != 4:
            raise ConfigError(f"generators/clip_subpixel: draws clips [T, H, W, C], got shape {tuple(self.shape)}")
        if self.window % 2 == 0:
            raise ConfigError(f"generators/clip_subpixel.window: expected an odd number of frames, got {self.window}")
        aligned = condition.aligned if condition is not None else {}
        if self.source not in aligned:
            raise ConfigError(
                f"generators/clip_subpixel.source: {self.source!r} is no aligned source; config.aligned has: "
                + (", ".join(aligned) or "none")
            )
        if len(aligned) > 1:
            raise ConfigError(
                f"generators/clip_subpixel: reads the aligned source {self.source!r} alone, got {', '.join(aligned)}; "
                "take the others out of config.aligned, or read them by encoders"
            )
        source, (num, height, width, channels) = aligned[self.source], self.shape
        factor = height // source.shape[2] if source.ndim == 5 else 0
        if not factor or (num, source.shape[2] * factor, source.shape[3] * factor, channels) != (
            source.shape[1],
            height,
            width,
            source.shape[4],
        ):
            raise ConfigError(
                f"generators/clip_subpixel.source: expected a clip with the frames and channels of the target "
                f"{list(self.shape)} and its sides divided by one whole number, got {self.source!r} "
                f"{list(source.shape[1:])}"
            )
        return source.astype(jnp.float32), factor
