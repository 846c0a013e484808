"""Codes of a picture, as a family of sequences reads them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffusion_parts import X
from grid_parts import codes, initial, latents

from mmgen_jax.modalities.space import Discrete
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.representations import vq_vae

ONES = np.ones(8, np.float32)


def trained():
    """`(representation, params, collections)`, its codebook filled by two steps."""
    representation = codes()
    params, collections = initial(representation, X)
    for number in range(2):
        key = jax.random.key(number)
        _, (collections, metrics) = representation.loss("tokenizer", params, collections, X, ONES, key)
    assert set(metrics) == {"error_per_element", "code_distance", "codebook_perplexity"}
    return representation, params, collections


@pytest.mark.slow
def test_a_picture_is_a_row_of_codes_and_back():
    representation, params, collections = trained()
    assert representation.players == ("tokenizer",) and representation.space == Discrete(4, 24)
    assert representation.space.end is None and representation.space.num_ids == 25
    ids = representation.encode(params, collections, X)
    assert ids.shape == (8, 4) and ids.dtype == jnp.int32 and ids.min() >= 0 and ids.max() < 24
    assert len(np.unique(ids)) > 2
    pictures = representation.decode(params, collections, ids)
    variables = {"params": params["tokenizer"], **collections["tokenizer"]}
    output, *_ = representation.network.apply(variables, X, ONES)
    np.testing.assert_allclose(pictures, np.tanh(output), atol=1e-5)


@pytest.mark.slow
def test_the_loss_is_the_error_and_the_commitment():
    _, params, collections = trained()
    loss, (_, metrics) = codes(commitment=0.5).loss("tokenizer", params, collections, X, ONES, jax.random.key(9))
    np.testing.assert_allclose(loss, metrics["error_per_element"] + 0.5 * metrics["code_distance"], rtol=1e-6)


class Rows(nn.Module):
    """A grid's cells as tokens."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        values = nn.Dense(8)(array.reshape(len(array), 4, -1))
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))


class Grid(nn.Module):
    """The way back."""

    @nn.compact
    def __call__(self, tokens, condition, train: bool = False):
        return nn.Dense(3)(tokens).reshape(len(tokens), 2, 2, 3)


@pytest.mark.slow
def test_it_can_stand_on_latents():
    """Its loss is the autoencoder's for that player; a code leads to latents, which lead to a picture."""
    inner = latents()
    outer = vq_vae.Representation(encoder=Rows(), decoder=Grid(), of=inner, codebook_size=8, code_dim=3)
    assert outer.players == ("autoencoder", "tokenizer") and outer.space == Discrete(4, 8)
    params, collections = initial(outer, X)
    assert set(params) == {"autoencoder", "tokenizer"}
    key = jax.random.key(0)
    loss, _ = outer.loss("autoencoder", params, collections, X, ONES, key)
    assert loss == inner.loss("autoencoder", params, collections, X, ONES, key)[0]
    assert np.isfinite(outer.loss("tokenizer", params, collections, X, ONES, key)[0])
    ids = outer.encode(params, collections, X)
    assert ids.shape == (8, 4) and outer.decode(params, collections, ids).shape == X.shape


def test_what_it_cannot_stand_on_is_refused():
    with pytest.raises(ValueError, match=r"^representation 'vq_vae': needs values on a grid .*, got 4 ids of 24"):
        codes(of=codes())
