"""Latent diffusion: the autoencoder, its latents, and the two stages of a run."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffusion_parts import (
    BATCH,
    PRESENT,
    X,
    assert_equal,
    initial,
    make,
)
from tiny import Training, shrink

from mmgen_jax.config import schema
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.generators import unet
from mmgen_jax.networks.layers.convolution import depth_to_space, space_to_depth


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


def latent(**fields):
    return make(target_encoder=Cells(), target_decoder=Pixels(), latent_dim=3, **fields)


def test_latents_are_normalised_by_channel_and_decode_to_what_they_came_from():
    objective = latent()
    params, extra = initial(objective)
    step = jax.jit(lambda extra: objective.loss("autoencoder", params, extra, BATCH, jax.random.key(0))[1][0])
    for _ in range(1200):
        extra = step(extra)
    variables = {"params": params["autoencoder"], **extra["autoencoder"]}
    latents = objective.autoencoder.apply(variables, X, method="encode")
    assert latents.shape == (8, *objective.shape) == (8, 2, 2, 3)
    np.testing.assert_allclose(np.mean(latents, axis=(0, 1, 2)), np.zeros(3), atol=1e-3)
    np.testing.assert_allclose(np.std(latents, axis=(0, 1, 2)), np.ones(3), atol=1e-3)
    mean, _ = objective.autoencoder.apply(variables, X, method="distribution")
    decoded = Pixels().apply({"params": params["autoencoder"]["target_decoder"]}, mean, None)
    reconstructed = objective.reconstruct(params, extra, {"image": X}, jax.random.key(0))["image"]
    np.testing.assert_allclose(reconstructed, np.tanh(decoded), atol=1e-5)


def test_the_loss_of_the_autoencoder_is_the_error_and_the_weighted_divergence():
    state = initial(latent())
    loss, (_, metrics) = latent(kl_weight=0.25).loss("autoencoder", *state, BATCH, jax.random.key(0))
    np.testing.assert_allclose(loss, metrics["error_per_element"] + 0.25 * metrics["kl_per_element"], rtol=1e-6)
    variables = {"params": state[0]["autoencoder"], **state[1]["autoencoder"]}
    mean, log_var = latent().autoencoder.apply(variables, X, method="distribution")
    kl = 0.5 * np.mean(np.exp(log_var) + mean**2 - 1 - log_var)
    np.testing.assert_allclose(metrics["kl_per_element"], kl, rtol=1e-5)


def test_pixels_have_nothing_to_reconstruct_from():
    assert hasattr(latent(), "reconstruct") and not hasattr(make(), "reconstruct")


@pytest.mark.parametrize("player", ["autoencoder", "generator"])
def test_the_loss_does_not_depend_on_the_number_of_devices(player):
    batch = BATCH | {"image/mask": PRESENT}
    fields = {"conditional": True, "condition_dropout": 0.5}
    state = initial(latent(**fields), batch)
    expected, (extra, _) = latent(**fields).loss(player, *state, batch, jax.random.key(0))
    objective = latent(**fields, axis_name="data")
    halves = jax.tree.map(lambda rows: rows.reshape(2, 4, *rows.shape[1:]), batch)
    losses, (extras, _) = jax.vmap(
        lambda half: objective.loss(player, *state, half, jax.random.key(0)), axis_name="data"
    )(halves)
    np.testing.assert_allclose(losses.mean(), expected, rtol=1e-5)
    for one, both in zip(jax.tree.leaves(extra), jax.tree.leaves(extras), strict=True):
        np.testing.assert_allclose(both[0], one, rtol=1e-5, atol=1e-7)


def test_one_run_trains_the_autoencoder_and_then_the_diffusion_of_its_latents():
    config = schema.base()
    config.data = {"name": "scenes", "names": ("text", "image")}
    config.encoders = {"text": {"name": "text.embedding"}}
    config.fusion = {"name": "concat"}
    config.target_encoder = {"name": "image.cnn", "channels": (16, 16)}
    config.target_decoder = {"name": "grid"}
    config.generator = {"name": "unet", "channels": (16,), "patch_size": 1}
    config.objective = {"name": "diffusion", "target": "image", "condition_dropout": 0.1}
    config.optimizers = {"autoencoder": {"lr": 1e-3}, "generator": {"lr": 1e-3, "ema_decay": 0.9}}
    config = shrink(config, steps=4).unlock()
    config.optimizers.autoencoder.stop_step = config.optimizers.generator.start_step = 2
    config.parallel.num_devices = 1
    training = Training(config.lock())
    states = [training.init()] + [training.run(steps)[0] for steps in (2, 4)]
    first, second, last = ((state.params, state.extra) for state in states)
    for before, after, moving, still in (
        (first, second, "autoencoder", "generator"),
        (second, last, "generator", "autoencoder"),
    ):
        for a, b in zip(before, after):
            assert_equal(a[still], b[still])
        changed = [
            not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (before[0][moving], after[0][moving])))
        ]
        assert all(changed) and len(changed) > 10
    assert "autoencoder" not in states[-1].ema


def test_the_unet_takes_latents():
    generator = unet.Generator(channels=(16,), patch_size=1, features=16)
    objective = latent(sampling_steps=2)
    objective = dataclasses.replace(objective, generator=generator)
    sample = jax.jit(objective.sample)(*initial(objective), BATCH, jax.random.key(0))["image"]
    assert sample.shape == X.shape and np.isfinite(sample).all()
