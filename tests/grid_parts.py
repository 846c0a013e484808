"""A small encoder and decoder of pictures of 4 x 4 pixels, for the tests of learned representations."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.patches import depth_to_space, space_to_depth
from mmgen_jax.representations import identity, kl_autoencoder, vq_vae

IMAGE = Modality("image", (4, 4, 1))


class Cells(nn.Module):
    """Each 2 x 2 block of pixels, through a dense layer, as a token."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        cells = space_to_depth(array, (2, 2)).reshape(len(array), 4, -1)
        return Tokens(nn.Dense(8)(cells), jnp.broadcast_to(mask[:, None], (len(array), 4)))


class Pixels(nn.Module):
    """The way back."""

    @nn.compact
    def __call__(self, tokens, condition, train: bool = False):
        return depth_to_space(nn.Dense(4)(tokens).reshape(len(tokens), 2, 2, 4), (2, 2))


def latents(**fields):
    """A grid of 2 x 2 latents with 3 channels."""
    fields = {"of": identity.Representation(IMAGE), "latent_dim": 3} | fields
    return kl_autoencoder.Representation(encoder=Cells(), decoder=Pixels(), **fields)


def codes(**fields):
    """Four codes of 24."""
    fields = {"of": identity.Representation(IMAGE), "codebook_size": 24, "code_dim": 4} | fields
    return vq_vae.Representation(encoder=Cells(), decoder=Pixels(), **fields)


def initial(representation, target):
    """`(params, collections)`."""
    variables = jax.jit(representation.init)(jax.random.key(0), target)
    params = {player: tree["params"] for player, tree in variables.items()}
    return params, {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}
