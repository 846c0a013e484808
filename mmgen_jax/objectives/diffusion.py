"""Diffusion: a network learns the velocity that carries noise to data, and sampling follows it.

Between noise e (time 0) and data x (time 1) stands `z = a(t) x + s(t) e`. On the `linear` path that is flow matching
with the optimal-transport path (Lipman et al., 2023), also called rectified flow (Liu et al., 2023); on the `cosine`
path, with `prediction` `noise`, it is DDPM (Ho et al., 2020) with the schedule of Nichol & Dhariwal (2021), in
continuous time. Whatever is predicted, samples are solutions of `dz/dt = a'(t) x + s'(t) e` (Song et al., 2021).

Conditions are dropped in training, so that one network has both velocities of classifier-free guidance (Ho & Salimans,
2021). Data is whatever continuous space the representation gives: with `representation.name = "kl_autoencoder"` this is
latent diffusion (Rombach et al., 2022), one run in two stages (`optimizers.autoencoder.stop_step`,
`optimizers.generator.start_step`).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.guidance import check_guidance, drop_conditions, drop_some_conditions
from mmgen_jax.objectives.parts.masks import batch_size, example_weights

# a, s and their derivatives at t.
PATHS = {
    "linear": lambda t: (t, 1 - t, jnp.ones_like(t), -jnp.ones_like(t)),
    "cosine": lambda t: (
        jnp.sin(jnp.pi / 2 * t),
        jnp.cos(jnp.pi / 2 * t),
        jnp.pi / 2 * jnp.cos(jnp.pi / 2 * t),
        -jnp.pi / 2 * jnp.sin(jnp.pi / 2 * t),
    ),
}
PREDICTIONS = ("velocity", "noise", "data")
# Bound on the data that a predicted noise stands for: near time 0 it is a small difference over a smaller a.
MAX_LATENT = 5.0
# Least s by which the loss of predicted data is divided (as in Li & He, 2025): near time 1 it has no bound.
# Samples have the exact one, whose last step of Euler lands on the data that is predicted.
MIN_S = 0.05


class Network(nn.Module):
    """The conditioner and the network that predicts (`generators/unet.py`)."""

    conditioner: Conditioner | None
    generator: nn.Module

    def encode_conditions(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def predict(self, z, time, condition, train: bool = False):
        return self.generator(z, time, condition, train=train).astype(jnp.float32)

    def __call__(self, batch, z, time, train: bool = False):
        return self.predict(z, time, self.encode_conditions(batch, train), train)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Squared error of the prediction, a mean over the elements of the representation's space.

    Args:
      generator: `(z, time [B], condition, train) ->` what z is like.
      path: `linear` or `cosine`.
      prediction: of the network: `velocity`, `noise` or `data` (x-prediction); the loss of data is that of the velocity
        it implies, so that it weighs as a velocity does. Images fill few of the dimensions that noise and velocity
        fill: data is what a network with fewer channels than a patch has values can predict (Li & He, 2025).
      times: how training draws them: `logit_normal` (Esser et al., 2024) or `uniform`.
      logit_mean: of logit-normal times; below 0 there is more noise. What a picture shows is decided while noise still
        hides its pixels, the more so the more pixels show one thing (Hoogeboom et al., 2023).
      condition_dropout: probability in training that an example lacks all of its conditions.
      guidance: the prediction is the one without conditions plus so many times what the conditions add; at 1 it is the
        conditional one.
      solver: `euler` or `heun`, which evaluates the network twice in each of the `sampling_steps`.
    """

    generator: nn.Module
    path: str = "linear"
    prediction: str = "velocity"
    times: str = "logit_normal"
    logit_mean: float = 0.0
    condition_dropout: float = 0.0
    guidance: float = 1.0
    sampling_steps: int = 25
    solver: str = "euler"

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    sampling: ClassVar[tuple[str, ...]] = ("guidance", "sampling_steps", "solver")

    def __post_init__(self):
        for field, choices in (
            ("path", tuple(PATHS)),
            ("prediction", PREDICTIONS),
            ("times", ("logit_normal", "uniform")),
            ("solver", ("euler", "heun")),
        ):
            if getattr(self, field) not in choices:
                raise ConfigError(
                    f"objective.{field}: expected one of {', '.join(choices)}, got {getattr(self, field)!r}"
                )
        if self.logit_mean and self.times != "logit_normal":
            raise ConfigError(f"objective.logit_mean: expected 0 with times {self.times!r}, got {self.logit_mean}")
        if self.sampling_steps < 1:
            raise ConfigError(f"objective.sampling_steps: expected at least 1, got {self.sampling_steps}")
        self.continuous()
        check_guidance(self)

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct"} if self.representation else {"sample"})

    @property
    def network(self) -> Network:
        return Network(self.conditioner, self.generator)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        num = batch_size(batch)
        z, ones = jnp.zeros((num, *self.code.space.shape)), jnp.ones(num)
        own = self.network.init(init_keys(rng), batch, z, ones, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        time_rng, noise_rng, condition_rng, dropout_rng, modality_rng = jax.random.split(rng, 5)
        weights, x = example_weights(batch, self.target), self.encode_target(params, collections, batch)
        time = self._times(time_rng, len(x))
        noise = randomness.normal(noise_rng, len(x), x.shape[1:])
        batch = drop_some_conditions(self, batch, condition_rng)
        a, s, da, ds = self._path(time, x)
        rngs = {"dropout": dropout_rng, "modality_dropout": modality_rng}
        prediction, collections = apply_train(
            self.network, "generator", params, collections, batch, a * x + s * noise, time, rngs=rngs
        )
        if self.prediction == "data":
            error = _mean((prediction - x) * (da - ds * a / jnp.maximum(s, MIN_S)))
        else:
            error = _mean(prediction - (noise if self.prediction == "noise" else da * x + ds * noise))
        return jnp.mean(weights * error), (collections, {})

    def _times(self, rng, size: int) -> jax.Array:
        """`[size]` in (0, 1)."""
        if self.times == "logit_normal":
            return jax.nn.sigmoid(self.logit_mean + randomness.normal(rng, size, ()))
        return randomness.uniform(rng, size)

    def _path(self, time, x):
        return PATHS[self.path](time.reshape(-1, *[1] * (x.ndim - 1)))

    def velocity(self, params, collections, batch):
        """The function `(z, time [B]) -> dz/dt`, guided, given the batch's conditions."""
        conditions = self._apply(params, collections, batch, method="encode_conditions")
        guided = self.guidance != 1
        if guided:
            nothing = drop_conditions(batch, self.conditions.names, jnp.ones(batch_size(batch), bool))
            without = self._apply(params, collections, nothing, method="encode_conditions")
            conditions = jax.tree.map(lambda *rows: jnp.concatenate(rows), conditions, without)

        def function(z, time):
            inputs = [jnp.concatenate([rows, rows]) if guided else rows for rows in (z, time)]
            prediction = self._apply(params, collections, *inputs, conditions, method="predict")
            if guided:
                given, without = jnp.split(prediction, 2)
                prediction = without + self.guidance * (given - without)
            if self.prediction == "velocity":
                return prediction
            a, s, da, ds = self._path(time, z)
            if self.prediction == "data":
                x = prediction
            else:
                limit = 1.0 if self.code.space.bounded else MAX_LATENT
                x = jnp.clip((z - s * prediction) / jnp.maximum(a, 1e-3), -limit, limit)
            return da * x + ds * (z - a * x) / jnp.maximum(s, 1e-3)

        return function

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """Noise carried along the velocity in `sampling_steps` equal steps of time."""
        z = randomness.normal(rng, batch_size(batch), self.code.space.shape)
        z = solve(self.velocity(params, collections, batch), z, self.sampling_steps, self.solver)
        z = jnp.clip(z, -1.0, 1.0) if self.code.space.bounded else z
        return {self.target: self.code.decode(params, collections, z)}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The target through its representation and back."""
        return self.through_code(params, collections, batch)

    def _apply(self, params, collections, *args, method):
        return apply(self.network, "generator", params, collections, *args, method=method)


def solve(velocity, z: jax.Array, steps: int, solver: str) -> jax.Array:
    """`z [B, ...]` at time 1 from that at 0, by `euler` or `heun` (Karras et al., 2022), whose last step is Euler's."""

    def step(z, number):
        time, after = (jnp.full(len(z), (number + n) / steps) for n in (0, 1))
        slope = velocity(z, time)
        ahead = z + slope / steps
        if solver == "heun":
            ahead = jnp.where(number + 1 < steps, z + (slope + velocity(ahead, after)) / (2 * steps), ahead)
        return ahead, None

    return jax.lax.scan(step, z, jnp.arange(steps))[0]


def _mean(x: jax.Array) -> jax.Array:
    """Squares, a mean over everything but the batch axis."""
    return losses.per_example(x**2) / x[0].size
