"""Word-region attention discriminator: every word attends to the regions of the picture that show it.

Words (the conditions' tokens, of any modality) and regions (the cells of the coarsest grid) are mapped to vectors of
the same length. Each word `w` attends to the regions; `c(w)` is the mean of the regions under this attention.

    logit = psi(h) + mean over words of <w, c(w)>

The attention follows the matching model of AttnGAN (DAMSM, Xu et al., 2018) and the word-level discriminator of
ControlGAN (Li et al., 2019).

Departs from the papers: the match is a term of the discriminator's own logit and trained with its loss, where AttnGAN
pre-trains a matching model and ControlGAN has a binary label for each word; all words have the same weight; inner
products are divided by the square root of the vectors' length, where the papers use cosines with tuned temperatures.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators.conv import Trunk
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join


class Discriminator(nn.Module):
    """Logits `[B]`; further fields as in `conv.Discriminator`.

    The logit of an example without any token is `psi(h)`. The regions of a clip are cells of time and space.

    Args:
      features: length of the vectors of words and regions.

    Raises:
      ConfigError: there are no conditions.
    """

    width: Size = 64
    max_width: Size = 512
    norm: str = "none"
    spectral_norm: bool = False
    features: Size = 64
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        if condition is None:
            raise ConfigError("discriminators/word_region: needs conditions, got no encoders; use discriminators/conv")
        trunk = Trunk(self.width, self.max_width, self.norm, self.spectral_norm, dtype=self.dtype)
        x = trunk(join(target, condition), train)
        x = x.reshape(len(x), -1, x.shape[-1]).astype(jnp.float32)

        def dense(features, x, name):
            return blocks.spectral_normalise(nn.Dense(features, name=name), train, self.spectral_norm)(x)

        def realism():
            return dense(1, x.reshape(len(x), -1), "realism")[:, 0]

        if condition.tokens is None or condition.mask is None:
            return realism()
        regions = dense(self.features, x, "regions")
        words = dense(self.features, condition.tokens.astype(jnp.float32), "words")
        scale = self.features**-0.5
        attention = nn.softmax(scale * jnp.einsum("bnd,brd->bnr", words, regions), axis=-1)
        agreement = scale * jnp.einsum("bnr,brd,bnd->bn", attention, regions, words)
        num_words = jnp.maximum(condition.mask.sum(-1), 1)
        match = jnp.where(condition.mask, agreement, 0).sum(-1) / num_words
        return realism() + match
