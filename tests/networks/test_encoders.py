"""Encoders: shapes, masks, independence of examples, gradients, and what each must tell apart."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.networks.encoders.audio.conv_recurrent import spec_augment
from mmgen_jax.networks.encoders.audio.mfcc import standardised

BATCH = 3
CONTEXT = {"vocab_size": 12, "num_classes": 5, "sample_rate": 8000, "frame_rate": 8.0, "dtype": jnp.float32}

# What makes each encoder small, and the number of tokens that it gives.
SIZES = {
    "text.embedding": ({}, 6),
    "text.lstm": ({}, 6),
    "text.conv_lstm": ({"num_convolutions": 1}, 6),
    "text.transformer": ({"num_layers": 1}, 6),
    "image.cnn": ({"channels": (4, 8), "num_blocks": 1}, 16),
    "image.pyramid": ({"channels": (4, 8)}, 64),
    "image.vit": ({"num_layers": 1}, 4),
    "image.mlp": ({"hidden": 8}, 1),
    "image.colour": ({"grid": 2}, 4),
    "image.edge": ({"grid": 2}, 4),
    "image.texture": ({"grid": 2, "frequencies": (0.2,)}, 4),
    "audio.log_mel_cnn": ({"channels": (4, 8), "n_mels": 8}, 3),
    "audio.mfcc": ({"n_mfcc": 5, "n_mels": 8}, 9),
    "audio.recurrent": ({"cell": "gru", "n_mels": 8}, 9),
    "audio.conv_recurrent": ({"channels": (4, 8), "n_mels": 8}, 3),
    "video.frame_lstm": ({"channels": (4, 8)}, 4),
    "video.conv3d": ({"channels": (4, 8), "time_strides": (1, 2)}, 32),
    "video.factorised": ({"space_layers": 1, "time_layers": 1}, 2),
    "trunk": ({"channels": (4, 8), "num_blocks": 1}, 64),
    "label": ({}, 1),
    "vector.mlp": ({"hidden": 8}, 1),
}


def example(kind: str, seed: int = 0):
    rng = np.random.default_rng(seed)
    if kind == "text":
        text = rng.integers(3, 12, (BATCH, 6)).astype(np.int32)
        text[1, 3:] = 0
        return text
    if kind == "label":
        return np.arange(BATCH, dtype=np.int32)
    shapes = {"image": (16, 16, 3), "audio": (1024,), "video": (4, 16, 16, 3), "vector": (5,), "trunk": (4, 16, 16, 3)}
    shape = shapes[kind]
    return rng.uniform(-1, 1, (BATCH, *shape)).astype(np.float32)


@functools.cache
def built(name: str):
    """The encoder, its variables, and its compiled `apply`."""
    encoder = lookup.build("encoders", {"name": name, "features": 8, **SIZES[name][0]}, **CONTEXT)
    variables = jax.jit(encoder.init)(jax.random.key(0), example(name.split(".")[0]), np.ones(BATCH, bool))
    return encoder, variables, jax.jit(encoder.apply)


def test_every_encoder_is_here():
    assert set(SIZES) == set(lookup.available("encoders"))


@pytest.mark.parametrize("name", SIZES)
def test_tokens_and_independence_of_examples(name):
    """Tokens have the stated shape; changing or masking one example leaves the others bitwise as they were."""
    _, variables, apply = built(name)
    assert set(variables) == {"params"}  # no state that one batch leaves to the next
    kind = name.split(".")[0]
    array = example(kind)
    tokens = apply(variables, array, np.ones(BATCH, bool))
    assert tokens.values.shape == (BATCH, SIZES[name][1], 8)
    assert tokens.mask.shape == (BATCH, SIZES[name][1]) and tokens.mask.dtype == bool
    assert np.isfinite(tokens.values).all() and tokens.mask[0].all()

    other = np.array(array)
    other[0] = 0
    changed = apply(variables, other, np.array([False, True, True]))
    np.testing.assert_array_equal(tokens.values[1:], changed.values[1:])
    np.testing.assert_array_equal(tokens.mask[1:], changed.mask[1:])
    assert not changed.mask[0].any() and np.isfinite(changed.values).all()


@pytest.mark.parametrize("name", SIZES)
def test_every_parameter_gets_a_finite_gradient(name):
    """Also with one example that is all zero, as a masked one is: silence and flat images have no finite logarithm."""
    encoder, variables, _ = built(name)
    array = np.array(example(name.split(".")[0]))
    array[0] = 0

    def loss(params):
        values = encoder.apply({"params": params}, array, np.ones(BATCH, bool), train=True).values
        weights = jnp.sin(jnp.arange(values.size)).reshape(values.shape)
        return (weights * values).sum() + (values**2).sum()

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        if "key" in str(path) and "bias" in str(path):  # softmax does not see a constant added to all keys
            continue
        assert np.abs(gradient).max() > 0, path


@pytest.mark.parametrize("name", SIZES)
def test_compute_dtype(name):
    """Tokens are in the encoder's `dtype`, parameters are float32."""
    encoder = lookup.build(
        "encoders", {"name": name, "features": 8, **SIZES[name][0]}, **CONTEXT | {"dtype": jnp.bfloat16}
    )
    array = example(name.split(".")[0])
    tokens, variables = jax.eval_shape(encoder.init_with_output, jax.random.key(0), array, jnp.ones(BATCH, bool))
    assert tokens.values.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", ["text.embedding", "text.lstm", "text.transformer"])
def test_padding_of_any_length_gives_the_same_words(name):
    """A word's token does not depend on how far the text is padded."""
    encoder, variables, apply = built(name)
    text = example("text")[1:2]
    values = apply(variables, np.repeat(text, BATCH, 0), np.ones(BATCH, bool)).values[0, :3]
    if name == "text.transformer":  # it has as many positions as the text was long when it was initialised
        positions = variables["params"]["positions"][:3]
        variables = {"params": variables["params"] | {"positions": positions}}
    short = jax.jit(encoder.apply)(variables, text[:, :3], np.ones(1, bool)).values[0]
    np.testing.assert_allclose(values, short, rtol=1e-4, atol=1e-6)


def test_embedding_pooled_is_the_mean_over_the_words():
    _, variables, apply = built("text.embedding")
    pooling = lookup.build("encoders", {"name": "text.embedding", "features": 8, "pool": True}, **CONTEXT)
    text, mask = example("text"), np.array([True, True, False])
    words, mean = apply(variables, text, mask), pooling.apply(variables, text, mask)
    np.testing.assert_allclose(mean.values[1, 0], words.values[1, :3].mean(0), rtol=1e-5)
    assert mean.mask.tolist() == [[True], [True], [False]] and not mean.values[2].any()


def test_lstm_reads_both_ways():
    """The first word's token changes with the last word, and the last word's with the first."""
    _, variables, apply = built("text.lstm")
    text = example("text")
    first, last = np.array(text), np.array(text)
    first[0, 0], last[0, -1] = text[0, 0] % 8 + 3, text[0, -1] % 8 + 3
    tokens, by_first, by_last = (apply(variables, x, np.ones(BATCH, bool)).values[0] for x in (text, first, last))
    assert np.abs(tokens[-1] - by_first[-1]).max() > 1e-6
    assert np.abs(tokens[0] - by_last[0]).max() > 1e-6


@pytest.mark.parametrize("shape, tokens", [((15, 18, 1), 4 * 5), ((64, 80), 16), ((8, 16, 12, 1), 4 * 4 * 3)])
def test_trunk_reads_grids_of_any_rank_and_an_image_as_image_cnn_does(shape, tokens):
    x, mask = jnp.zeros((1, *shape)), jnp.ones(1, bool)
    trunk, cnn = (lookup.build("encoders", {"name": n, "channels": (4, 8)}) for n in ("trunk", "image.cnn"))
    given, variables = jax.eval_shape(trunk.init_with_output, jax.random.key(0), x, mask)
    assert given.values.shape == (1, tokens, 128)
    if len(shape) == 3:
        assert jax.eval_shape(cnn.init, jax.random.key(0), x, mask) == variables


def test_image_cnn_takes_odd_sizes():
    encoder, _, _ = built("image.cnn")
    tokens, _ = jax.eval_shape(
        encoder.init_with_output, jax.random.key(0), jnp.zeros((1, 15, 18, 1)), jnp.ones(1, bool)
    )
    assert tokens.values.shape == (1, 4 * 5, 8)


def test_batch_norm_is_there_on_request():
    encoder = lookup.build(
        "encoders", {"name": "image.cnn", "features": 8, "channels": (4,), "norm": "batch"}, **CONTEXT
    )
    variables = jax.eval_shape(encoder.init, jax.random.key(0), example("image"), np.ones(BATCH, bool))
    assert set(variables) == {"params", "batch_stats"}


@pytest.mark.parametrize("name", ["image.vit", "video.factorised"])
def test_patches_must_divide_the_image(name):
    encoder = lookup.build("encoders", {"name": name, "patch_size": 7}, **CONTEXT)
    with pytest.raises(ValueError, match="patch_size: expected a divisor of the image's 16 × 16 pixels, got 7"):
        encoder.init(jax.random.key(0), example(name.split(".")[0]), np.ones(BATCH, bool))


def test_vit_stem():
    """A convolutional stem gives the same grid; patches that it cannot halve to, and other names, are refused."""
    images = np.zeros((1, 24, 24, 3), np.float32)

    def shape(**fields):
        encoder = lookup.build("encoders", {"name": "image.vit", **fields}, **CONTEXT)
        return jax.eval_shape(encoder.init_with_output, jax.random.key(0), images, jnp.ones(1, bool))[0].values.shape

    assert shape(stem="conv", patch_size=4) == shape(stem="linear", patch_size=4) == (1, 36, 128)
    for stem, patch_size in (("conv", 6), ("dense", 8)):
        with pytest.raises(ValueError, match=f"stem: expected 'linear', or 'conv'.* got '{stem}' and {patch_size}"):
            shape(stem=stem, patch_size=patch_size)


def test_tubelets_must_divide_the_video():
    encoder = lookup.build("encoders", {"name": "video.factorised", "tubelet_frames": 3}, **CONTEXT)
    with pytest.raises(ValueError, match="tubelet_frames: expected a divisor of the 4 frames, got 3"):
        encoder.init(jax.random.key(0), example("video"), np.ones(BATCH, bool))


def test_a_sequence_of_vectors_gives_a_token_each():
    """Each token is of its own vector, so a sequence of one is a vector."""
    _, variables, apply = built("vector.mlp")
    path = np.random.default_rng(0).normal(size=(BATCH, 4, 5)).astype(np.float32)
    tokens = apply(variables, path, np.array([True, False, True]))
    assert tokens.values.shape == (BATCH, 4, 8) and tokens.mask.all(1).tolist() == [True, False, True]
    one = apply(variables, path[:, 2], np.ones(BATCH, bool)).values
    np.testing.assert_allclose(tokens.values[:, 2:3], one, rtol=1e-5, atol=1e-6)


def test_unknown_recurrent_cell():
    encoder = lookup.build("encoders", {"name": "audio.recurrent", "cell": "rnn"}, **CONTEXT)
    with pytest.raises(ValueError, match="'rnn' does not exist; the cells are lstm, gru"):
        encoder.init(jax.random.key(0), example("audio"), np.ones(BATCH, bool))


def test_cell_tokens_keep_the_layout():
    """The tokens' mean tells a red-left image from a red-right one, though their histograms are equal."""
    _, variables, apply = built("image.colour")
    image = np.full((BATCH, 16, 16, 3), -1, np.float32)
    image[0, :, :8, 0] = 1
    image[1, :, 8:, 0] = 1
    mean = apply(variables, image, np.ones(BATCH, bool)).values.mean(axis=1)
    assert np.abs(mean[0] - mean[1]).max() > 0.05


def test_spec_augment_masks_spans_with_the_mean_and_nothing_at_zero_width():
    spectrogram = jnp.asarray(np.random.default_rng(0).normal(size=(30, 20)), jnp.float32)
    np.testing.assert_array_equal(spec_augment(jax.random.key(0), spectrogram, 0, 0), spectrogram)
    total = 0
    for seed in range(8):
        masked = np.asarray(spec_augment(jax.random.key(seed), spectrogram, 6, 4))
        changed = masked != np.asarray(spectrogram)
        frames, bands = changed.all(1), changed.all(0)
        assert frames.sum() <= 12 and bands.sum() <= 8  # two spans of each
        np.testing.assert_array_equal(changed, frames[:, None] | bands)
        np.testing.assert_allclose(masked[changed], spectrogram.mean(), atol=1e-6)
        total += np.array([frames.sum(), bands.sum()])
    assert (total > 8).all()  # of 16 spans of 0 to 6 frames and of 0 to 4 bands


def test_mfcc_frames_have_about_unit_scale():
    """The constants bring cepstra of a tone and of noise to a deviation near 1, and silence to a few units."""
    time = np.arange(4000) / 8000
    sounds = [np.zeros(4000), 0.5 * np.sin(2 * np.pi * 440 * time), np.random.default_rng(0).normal(0, 0.1, 4000)]
    frames = standardised(np.stack(sounds).astype(np.float32), 8000, 13, 9, n_mels=40)
    assert frames.shape == (3, 32, 39)
    assert np.abs(frames).max() < 8 and 0.2 < np.std(frames[1:, :, :13]) < 3
