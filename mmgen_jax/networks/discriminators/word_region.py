"""Word-region attention discriminator: every word looks for the part of the picture that shows it.

Word and regions (the cells of the coarsest grid) are mapped to vectors of one length; a word attends to the regions,
and agrees with what it finds as far as their inner product goes (after the attention of AttnGAN's matching model, Xu et
al., 2018, and ControlGAN's word-level discriminator, Li et al., 2019). `logit = psi(h) + mean over words of <w, c(w)>`.

Departs from the papers: one logit of the discriminator itself, trained with its loss, rather than a matching model that
is trained before, or a binary label for each word; words count alike; inner products divided by the root of their
length rather than cosines with fitted temperatures. What the conditions give as tokens are the words, so that any
modality can be searched for.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators.conv import Trunk
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join


class Discriminator(nn.Module):
    """As `projection.Discriminator`, from the conditions' tokens instead of their pooled vector.

    An example without any token has the logit psi(h) alone. The regions of a clip are cells of time and space.

    Args:
      features: length of the vectors of words and regions.
    """

    width: int = 64
    max_width: int = 512
    norm: str = "none"
    spectral_norm: bool = False
    features: int = 64
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        if condition is None:
            raise ConfigError("discriminators/word_region: needs conditions, got no encoders; use 'conv'")
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
