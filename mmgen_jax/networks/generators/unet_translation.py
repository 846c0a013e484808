"""The residual U-Net of `unet`, in a single pass from aligned sources to a target on the same grid.

This U-Net is the regression baseline of SR3 (Saharia et al., 2021) and Palette (Saharia et al., 2022): their denoiser
without noise and time.

Departs from these papers as `unet` departs from DDPM; a latent, if any, is concatenated to the pooled conditions.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.translation import sources_of, vector_of
from mmgen_jax.networks.layers.unet import UNet


class Generator(UNet, kw_only=True):
    """`latent [B, Z]` or None, and aligned sources, to `[B, *shape]`, unbounded; other fields as in `layers/unet.py`.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`.

    Raises:
      ConfigError: there are no aligned sources, or the fields do not fit the shape.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        x = sources_of(condition, self.shape[:-1], "unet_translation")
        vector = vector_of(latent, condition)
        if vector is not None:
            vector = nn.silu(nn.Dense(self.features, dtype=self.dtype, name="vector")(vector.astype(jnp.float32)))
        return self.run(x, vector, condition, self.shape[-1], train)
