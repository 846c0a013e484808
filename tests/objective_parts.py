"""Objectives on linear networks of a sound with four samples."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.encoders import label
from mmgen_jax.networks.fusion import concat
from mmgen_jax.objectives import adversarial, recognition

SIZE, LATENT = 4, 2
SOUND = Modality("audio", (SIZE,), sample_rate=SIZE)
DIGIT = Modality("label", classes=("a", "b", "c"))
RNG = np.random.default_rng(0)
X = np.tanh(RNG.normal(size=(6, SIZE))).astype(np.float32)
GRID = X[..., None]  # what the families model
PRESENT = np.array([True, False, True, True, False, True])


class Encoder(nn.Module):
    """The array itself as one token."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        return Tokens(array.reshape(len(array), 1, -1), mask[:, None])


class Generator(nn.Module):
    """Linear in the latent and the conditions."""

    @nn.compact
    def __call__(self, latent, condition, train: bool = False):
        x = latent if condition is None else jnp.concatenate([latent, condition.pooled], axis=-1)
        return nn.Dense(SIZE)(x)[..., None]  # a sound's grid has a channel axis


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, target, condition, train: bool = False):
        flat = target.reshape(len(target), -1)
        x = flat if condition is None else jnp.concatenate([flat, condition.pooled], axis=-1)
        return nn.Dense(1)(nn.leaky_relu(nn.Dense(8)(x)))[:, 0]


def conditioner():
    encoders = {"digit": label.Encoder(num_classes=3, features=8)}
    return Conditioner(encoders, concat.Fusion(features=8), reads={"digit": "digit"}, modalities={"digit": DIGIT})


def make(family, conditional=False, **fields):
    given = {"modality": SOUND, "target": "sound", "generator": Generator()}
    if family is recognition:
        return recognition.Objective(conditioner=conditioner(), modality=DIGIT, target="digit", **fields)
    if conditional:
        given["conditioner"] = conditioner()
    given |= {"discriminator": Discriminator()} if family is adversarial else {"target_encoder": Encoder()}
    return family.Objective(**given, latent_dim=LATENT, **fields)


def initial(objective, batch, seed=0):
    """`(params, collections)`."""
    variables = jax.jit(objective.init)(jax.random.key(seed), batch)
    params = {player: tree["params"] for player, tree in variables.items()}
    return params, {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}


def loss_of(objective, batch, player="generator", seed=0, step=0, state=None):
    params, collections = state or initial(objective, batch)
    value, (_, metrics) = objective.loss(player, params, collections, batch, jax.random.key(seed), step)
    return float(value), {name: float(metric) for name, metric in metrics.items()}
