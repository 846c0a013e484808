"""Latent diffusion: a diffusion of what `kl_autoencoder` gives, and the two stages of a run."""

import dataclasses

import jax
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
from grid_parts import latents
from tiny import Training, mapped_by, shrink

from mmgen_jax.config import schema
from mmgen_jax.networks.generators import unet


def latent(**fields):
    return make(representation=latents(), **fields)


def test_it_models_the_latents_and_gives_pictures():
    objective = latent()
    assert objective.players == ("autoencoder", "generator") and objective.stages == (("autoencoder", "generator"),)
    state = initial(objective)
    encoded = objective.encode_target(*state, BATCH)
    assert encoded.shape == (8, 2, 2, 3)
    reconstructed = objective.reconstruct(*state, {"image": X}, jax.random.key(0))["image"]
    np.testing.assert_array_equal(reconstructed, objective.representation.decode(*state, encoded))
    loss, (_, metrics) = objective.loss("autoencoder", *state, BATCH, jax.random.key(0))
    expected, _ = objective.representation.loss("autoencoder", *state, X, np.ones(8, np.float32), jax.random.key(0))
    assert loss == expected and set(metrics) == {"error_per_element", "kl_per_element", "active_dimensions"}


@pytest.mark.slow
def test_the_diffusion_does_not_train_the_autoencoder():
    objective = latent()
    params, collections = initial(objective)
    grads = jax.grad(lambda params: objective.loss("generator", params, collections, BATCH, jax.random.key(0))[0])(
        params
    )
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(grads["autoencoder"]))
    assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(grads["generator"]))


def test_pixels_have_nothing_to_reconstruct_from():
    assert "reconstruct" in latent().abilities and "reconstruct" not in make().abilities


@pytest.mark.slow
@pytest.mark.parametrize("player", ["autoencoder", "generator"])
def test_the_loss_does_not_depend_on_the_number_of_devices(player):
    batch = BATCH | {"image/mask": PRESENT}
    fields = {"conditional": True, "condition_dropout": 0.5}
    state = initial(latent(**fields), batch)
    expected, (collections, _) = latent(**fields).loss(player, *state, batch, jax.random.key(0))
    objective = latent(**fields)
    halves = jax.tree.map(lambda rows: rows.reshape(2, 4, *rows.shape[1:]), batch)
    losses, (spread, _) = mapped_by(jax.vmap, lambda half: objective.loss(player, *state, half, jax.random.key(0)))(
        halves
    )
    np.testing.assert_allclose(losses.mean(), expected, rtol=1e-5)
    for one, both in zip(jax.tree.leaves(collections), jax.tree.leaves(spread), strict=True):
        np.testing.assert_allclose(both[0], one, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_one_run_trains_the_autoencoder_and_then_the_diffusion_of_its_latents():
    config = schema.base()
    config.data = {"name": "scenes", "names": ("text", "image")}
    config.encoders = {"text": {"name": "text.embedding"}}
    config.fusion = {"name": "concat"}
    config.representation = {
        "name": "kl_autoencoder",
        "encoder": {"name": "image.cnn", "channels": (16, 16)},
        "decoder": {"name": "grid"},
    }
    config.generator = {"name": "unet", "channels": (16,), "patch_size": 1}
    config.objective = {"name": "diffusion", "target": "image", "condition_dropout": 0.1}
    config.optimizers = {"autoencoder": {"lr": 1e-3}, "generator": {"lr": 1e-3, "ema_decay": 0.9}}
    config = shrink(config, steps=4).unlock()
    config.optimizers.autoencoder.stop_step = config.optimizers.generator.start_step = 2
    config.parallel.num_devices = 1
    training = Training(config.lock())
    states = [training.init()] + [training.run(steps)[0] for steps in (2, 4)]
    first, second, last = ((state.params, state.collections) for state in states)
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


@pytest.mark.slow
def test_the_unet_takes_latents():
    generator = unet.Generator(channels=(16,), patch_size=1, features=16)
    objective = latent(sampling_steps=2)
    objective = dataclasses.replace(objective, generator=generator)
    sample = jax.jit(objective.sample)(*initial(objective), BATCH, jax.random.key(0))["image"]
    assert sample.shape == X.shape and np.isfinite(sample).all()
