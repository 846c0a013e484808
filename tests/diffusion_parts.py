"""Small diffusions: what they are made of, and how they are started and differentiated."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.encoders import label
from mmgen_jax.networks.fusion import concat
from mmgen_jax.objectives import diffusion

SHAPE = (4, 4, 1)
IMAGE = Modality("image", SHAPE)
DIGIT = Modality("label", classes=("a", "b", "c"))
RNG = np.random.default_rng(0)
X = np.tanh(RNG.normal(size=(8, *SHAPE))).astype(np.float32)
DIGITS = np.arange(8, dtype=np.int32) % 3
BATCH = {"image": X, "digit": DIGITS, "letter": DIGITS[::-1].copy()}
EXACT = {"generator": {"generator": {"offset": jnp.zeros(())}}}, {"generator": {}}  # params, collections of Exact
PRESENT = np.array([True, False, True, True, False, True, True, True])


class Exact(nn.Module):
    """The best prediction for data from N(mean, std^2): `E[x | z]` and `E[e | z]` of jointly Gaussian variables."""

    mean: float
    std: float
    path: str = "linear"
    prediction: str = "velocity"

    @nn.compact
    def __call__(self, z, time, condition, train: bool = False):
        offset = self.param("offset", nn.initializers.zeros, ())
        a, s, da, ds = diffusion.PATHS[self.path](time.reshape(-1, *[1] * (z.ndim - 1)))
        centred = (z - a * self.mean) / ((a * self.std) ** 2 + s**2)
        x, noise = self.mean + a * self.std**2 * centred, s * centred
        return offset + {"noise": noise, "data": x, "velocity": da * x + ds * noise}[self.prediction]


class Dense(nn.Module):
    """Of z, time and conditions, elementwise mixed by two dense layers."""

    @nn.compact
    def __call__(self, z, time, condition, train: bool = False):
        parts = [z.reshape(len(z), -1), time[:, None], *([] if condition is None else [condition.pooled])]
        hidden = nn.tanh(nn.Dense(16)(jnp.concatenate(parts, axis=-1)))
        return nn.Dense(z[0].size)(hidden).reshape(z.shape)


class Recorder(nn.Module):
    """Remembers the masks of the conditions that it was called with (outside of jit)."""

    calls: ClassVar[list] = []

    @nn.compact
    def __call__(self, z, time, condition, train: bool = False):
        self.calls.append(condition.mask)
        return self.param("scale", nn.initializers.ones, ()) * z


def make(generator=None, conditional=False, **fields):
    if conditional:
        names = ("digit", "letter")
        encoders = {name: label.Encoder(num_classes=3, features=8) for name in names}
        fields["conditioner"] = Conditioner(
            encoders, concat.Fusion(features=8), dict(zip(names, names)), dict.fromkeys(names, DIGIT)
        )
    fields = {"generator": generator or Dense(), "modality": IMAGE, "target": "image"} | fields
    return diffusion.Objective(**fields)


def initial(objective, batch=BATCH, seed=0):
    """`(params, collections)`."""
    variables = jax.jit(objective.init)(jax.random.key(seed), batch)
    params = {player: tree["params"] for player, tree in variables.items()}
    return params, {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}


def value_and_grad(objective, state, batch, player="generator"):
    def loss(own):
        return objective.loss(player, state[0] | {player: own}, state[1], batch, jax.random.key(0))[0]

    return jax.jit(jax.value_and_grad(loss))(state[0][player])


def assert_equal(a, b):
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)
