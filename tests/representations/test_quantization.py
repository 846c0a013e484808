"""The quantiser against closed forms, and the images that its tokens stand for."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import mapped_by

from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.encoders.image import cnn
from mmgen_jax.networks.generators import grid
from mmgen_jax.representations.grid import num_tokens
from mmgen_jax.representations.vq_vae import VQVAE, VectorQuantizer

K, D = 6, 3
RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(K, D)).astype(np.float32)
VECTORS = RNG.normal(size=(8, 5, D)).astype(np.float32)
ONES = np.ones(8, np.float32)


def codebook(codes, usage=None):
    usage = np.full(len(codes), 1 / len(codes), np.float32) if usage is None else np.asarray(usage, np.float32)
    return {"codebook": {"usage": usage, "sums": codes * usage[:, None]}}


def train(variables, vectors=VECTORS, weights=ONES, rng=0, **fields):
    """`((quantised, distance, perplexity), codebook)` of one step."""
    quantizer = VectorQuantizer(K, D, **fields)
    rngs = {"codebook": jax.random.key(rng)}
    return quantizer.apply(variables, vectors, weights, train=True, rngs=rngs, mutable=["codebook"])


def codes_of(variables):
    return np.asarray(VectorQuantizer(K, D).bind(variables).codes)


def test_the_nearest_code():
    ids = VectorQuantizer(K, D).apply(codebook(CODES), VECTORS, method="nearest")
    distances = np.linalg.norm(VECTORS[:, :, None] - CODES, axis=-1)
    np.testing.assert_array_equal(ids, distances.argmin(-1))
    quantised, distance, perplexity = VectorQuantizer(K, D).apply(codebook(CODES), VECTORS, ONES)
    np.testing.assert_allclose(quantised, CODES[ids], atol=1e-6)
    np.testing.assert_allclose(distance, distances.min(-1) ** 2 / D, rtol=1e-4)
    share = np.bincount(np.ravel(ids), minlength=K) / ids.size
    np.testing.assert_allclose(perplexity, np.exp(-np.sum(share * np.log(share))), rtol=1e-5)


def test_the_gradient_passes_straight_through():
    towards = RNG.normal(size=VECTORS.shape)

    def loss(vectors):
        return jnp.sum(VectorQuantizer(K, D).apply(codebook(CODES), vectors, ONES)[0] * towards)

    np.testing.assert_allclose(jax.grad(loss)(VECTORS), towards, rtol=1e-6)


def test_codes_are_moving_averages_of_their_vectors():
    usage = np.linspace(1, 2, K) / np.linspace(1, 2, K).sum()
    _, new = train(codebook(CODES, usage), decay=0.9, restart_below=0.0)
    ids = np.linalg.norm(VECTORS[:, :, None] - CODES, axis=-1).argmin(-1)
    one_hot = np.eye(K)[ids.ravel()]
    np.testing.assert_allclose(new["codebook"]["usage"], 0.9 * usage + 0.1 * one_hot.mean(0), rtol=1e-5)
    sums = 0.9 * CODES * usage[:, None] + 0.1 * one_hot.T @ VECTORS.reshape(-1, D) / len(one_hot)
    np.testing.assert_allclose(new["codebook"]["sums"], sums, rtol=1e-4, atol=1e-6)
    state = codebook(CODES)
    step = jax.jit(lambda state: train(state, decay=0.9, restart_below=0.0)[1])
    for _ in range(300):
        state = step(state)
    codes, ids = codes_of(state), VectorQuantizer(K, D).apply(state, VECTORS, method="nearest")
    for k in np.unique(ids):  # a fixed point of k-means
        np.testing.assert_allclose(codes[k], VECTORS[np.asarray(ids) == k].mean(0), atol=1e-3)


def test_an_unused_code_restarts_on_a_vector_of_the_batch_and_a_used_one_stays():
    usage = np.array([0.3, 0.3, 0.3, 0.1, 0.0, 0.01], np.float32)
    _, new = train(codebook(CODES, usage), decay=1.0, restart_below=0.1)
    moved = np.abs(codes_of(new) - CODES).max(-1) > 1e-6
    np.testing.assert_array_equal(moved, [False] * 4 + [True] * 2)
    flat = VECTORS.reshape(-1, D)
    for code in codes_of(new)[4:]:
        assert np.abs(flat - code).sum(-1).min() < 1e-5
    np.testing.assert_allclose(new["codebook"]["usage"][4:], 1 / K)


def test_the_codebook_begins_as_vectors_of_the_first_batch():
    quantizer = VectorQuantizer(K, D)
    variables = quantizer.init(jax.random.key(0), VECTORS, ONES, train=True)
    assert not np.any(variables["codebook"]["usage"])  # what initialises is no batch
    (_, _, perplexity), new = train(variables, decay=1.0)
    assert all(np.abs(VECTORS.reshape(-1, D) - code).sum(-1).min() < 1e-5 for code in codes_of(new))
    assert perplexity > 2


def test_masked_examples_leave_no_trace():
    weights = np.array([0, 2, 0, 2, 2, 0, 2, 0], np.float32)
    spoiled = np.where(weights[:, None, None] > 0, VECTORS, 100.0).astype(np.float32)
    (_, _, expected), codes = train(codebook(CODES), weights=weights)
    (_, _, perplexity), other = train(codebook(CODES), spoiled, weights)
    jax.tree.map(np.testing.assert_array_equal, codes, other)
    assert perplexity == expected
    state = codebook(0 * CODES, np.zeros(K))
    for rng in range(10):
        _, state = train(state, spoiled, weights, rng)
        assert np.abs(state["codebook"]["sums"]).max() < 10


@pytest.mark.slow
def test_the_codebook_does_not_depend_on_how_the_batch_is_spread():
    usage = np.array([0.3, 0.3, 0.3, 0.1, 0.0, 0.01], np.float32)
    (_, _, expected), whole = train(codebook(CODES, usage))
    parts = VECTORS.reshape(4, 2, 5, D)

    def part(vectors):
        return train(codebook(CODES, usage), vectors, ONES[:2])

    (_, _, perplexity), spread = mapped_by(jax.vmap, part)(parts)
    np.testing.assert_allclose(perplexity, np.full(4, expected), rtol=1e-5)
    for got, one in zip(jax.tree.leaves(spread), jax.tree.leaves(whole)):
        np.testing.assert_allclose(got, np.broadcast_to(one, got.shape), rtol=1e-5, atol=1e-7)


class Patches(nn.Module):
    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        values = array.reshape(len(array), 4, -1)
        return Tokens(nn.Dense(4)(values), jnp.broadcast_to(mask[:, None], values.shape[:2]))


@pytest.mark.slow
def test_an_image_through_its_tokens_and_back():
    network = VQVAE(Patches(), grid.Generator((4, 4, 1), width=4, max_width=4), num_codes=K, code_dim=D)
    images = RNG.uniform(-1, 1, (8, 4, 4, 1)).astype(np.float32)
    variables = jax.jit(functools.partial(network.init, train=True))(jax.random.key(0), images, ONES)
    _, new = network.apply(
        variables, images, ONES, train=True, rngs={"codebook": jax.random.key(1)}, mutable=["codebook"]
    )
    variables = variables | new
    ids = network.apply(variables, images, method="encode")
    assert ids.shape == (8, 4) and ids.dtype == jnp.int32 and len(np.unique(ids)) > 2
    output, *_ = network.apply(variables, images, ONES)
    np.testing.assert_allclose(network.apply(variables, ids, method="decode"), output, atol=1e-5)


@pytest.mark.parametrize("shape, channels, expected", [((28, 28, 1), (8, 8), 49), ((32, 16, 3), (8,), 128)])
def test_the_grid_comes_from_the_encoder_and_gives_the_image(shape, channels, expected):
    encoder = cnn.Encoder(features=8, channels=channels)
    assert num_tokens(encoder, shape) == expected
    decoder = grid.Generator(shape, width=4, max_width=8)
    tokens = jax.ShapeDtypeStruct((2, expected, 8), np.float32)
    output, _ = jax.eval_shape(decoder.init_with_output, jax.random.key(0), tokens)
    assert output.shape == (2, *shape)


def test_tokens_that_are_no_grid_of_the_image_are_refused():
    with pytest.raises(ValueError, match=r"expected one of 784, 196, 49 tokens.*got 64"):
        grid.doublings(64, 28, 28)
