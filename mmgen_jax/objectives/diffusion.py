"""Diffusion and flow matching: a network learns the velocity field from noise to data; sampling integrates the field.

A path leads from noise e (time t = 0) to data x (t = 1): `z = a(t) x + s(t) e`. The `linear` path is flow matching with
the optimal-transport path (Lipman et al., 2023), also called rectified flow (Liu et al., 2023). The `cosine` path with
`prediction="noise"` is DDPM (Ho et al., 2020) in continuous time, with the schedule of Nichol & Dhariwal (2021). For
every `prediction`, samples solve the ordinary differential equation `dz/dt = a'(t) x + s'(t) e` (Song et al., 2021).

Training drops conditions, so that one network gives the conditional and the unconditional velocity of classifier-free
guidance (Ho & Salimans, 2021). The data are values of any continuous representation. With `kl_autoencoder` the family
is latent diffusion (Rombach et al., 2022), trained in two stages of one run (`optimizers.autoencoder.stop_step`,
`optimizers.generator.start_step`).

With a `hole`, an unconditional model completes pictures: at every time, the known values are those of the path from the
noise to `known`. With `resamples` above 1, each step is repeated `resamples` times, with fresh noise in between, so
that the generated values agree with the known values (RePaint, Lugmayr et al., 2022).

Departs from the papers: times are drawn by a logit-normal density (Esser et al., 2024) unless `times` is "uniform", as
in DDPM and flow matching. The cosine schedule has no offset at its ends. Its first step, from pure noise, divides the
error of predicted noise by a share of data near 0, so that the data are clipped there. Completion keeps one noise for
the known values (Song et al. and RePaint draw new noise in every step) and takes Euler steps of the differential
equation (RePaint: DDPM's steps, jumping back over several).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Rate, Real, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.completion import Completes
from mmgen_jax.objectives.parts.guidance import check_guidance, drop_conditions, drop_some_conditions
from mmgen_jax.objectives.parts.masks import batch_size, example_weights

# {path: t -> (a, s, da/dt, ds/dt)}
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
# In sampling with predicted noise, the data x = (z - s e) / a of an unbounded space are clipped to this range, because
# near time 0 the division by a small a amplifies errors.
MAX_LATENT = 5.0
# Lower bound for s in the loss of predicted data (as in Li & He, 2025): the loss divides by s, and s is 0 at time 1.
# Sampling has a much lower bound, so that the last Euler step of the linear path ends at the predicted data.
MIN_S = 0.05


class Noisy(NamedTuple):
    """Data on its path from `noise`: `z` at `time [B]`."""

    z: jax.Array
    time: jax.Array
    noise: jax.Array


class Network(nn.Module):
    """The conditioner and the denoiser (`generators/unet.py`, `generators/dit.py`)."""

    conditioner: Conditioner | None
    generator: nn.Module

    def encode_conditions(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def predict(self, z, time, condition, train: bool = False):
        return self.generator(z, time, condition, train=train).astype(jnp.float32)

    def __call__(self, batch, z, time, train: bool = False):
        return self.predict(z, time, self.encode_conditions(batch, train), train)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Completes):
    """Squared error of the prediction, averaged over the space's elements; further fields in `Completes`.

    Args:
      generator: `(z [B, *space.shape], time [B], condition, train) -> [B, *space.shape]`.
      path: `linear` or `cosine`.
      prediction: the network's output: `velocity`, `noise` or `data` (x-prediction). With `data`, the loss is the
        squared error of the implied velocity. Images lie near a manifold of low dimension; noise and velocities do not.
        A network with fewer channels than a patch has values can therefore predict only the data well (Li & He, 2025).
      times: distribution of the training times: `logit_normal` (Esser et al., 2024) or `uniform`.
      logit_mean: mean of the logit of `logit_normal` times; a negative mean gives more noise. Large images need more
        noise, because many pixels together still show the content when noise hides each pixel (Hoogeboom et al., 2023).
      condition_dropout: probability in training that an example loses all its conditions, for `guidance`.
      guidance: scale w of classifier-free guidance: `without + w (given - without)` of the predictions with and without
        conditions; 1 gives the conditional prediction.
      sampling_steps: number of equal steps of time of the solver.
      solver: `euler` or `heun`; Heun's method evaluates the network twice per step. With a `hole`: `euler`.
      resamples: how many times each step is taken; more than 1 needs a `hole`.

    Raises:
      ConfigError: the target's space is discrete, or a field is out of range.
    """

    generator: nn.Module
    path: str = "linear"
    prediction: str = "velocity"
    times: str = "logit_normal"
    logit_mean: Real = 0.0
    condition_dropout: Rate = 0.0
    guidance: Real = 1.0
    sampling_steps: Size = 25
    solver: str = "euler"
    resamples: Size = 1

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "noisy"
    sampling: ClassVar[tuple[str, ...]] = ("guidance", "sampling_steps", "solver", "resamples")

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
        self.check_completion()
        if self.hole and self.solver != "euler":
            raise ConfigError(f"objective.solver: with a hole, expected 'euler', got {self.solver!r}")
        if self.resamples > 1 and not self.hole:
            raise ConfigError(f"objective.resamples: expected 1 without a hole, got {self.resamples}")
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
        noisy = self.noisy(time_rng, noise_rng, x)
        batch = drop_some_conditions(self, batch, condition_rng)
        rngs = {"dropout": dropout_rng, "modality_dropout": modality_rng}
        prediction, collections = apply_train(
            self.network, "generator", params, collections, batch, noisy.z, noisy.time, rngs=rngs
        )
        return jnp.mean(weights * self.error(prediction, x, noisy)), (collections, {})

    def noisy(self, time_rng: jax.Array, noise_rng: jax.Array, x: jax.Array) -> Noisy:
        """The data `x [B, ...]` at random times of its path."""
        time = self._times(time_rng, len(x))
        noise = randomness.normal(noise_rng, len(x), x.shape[1:])
        a, s, *_ = self._path(time, x)
        return Noisy(a * x + s * noise, time, noise)

    def error(self, prediction: jax.Array, x: jax.Array, noisy: Noisy) -> jax.Array:
        """The squared error `[B]` of the network's output for `noisy`, mean over the elements of the data `x`."""
        a, s, da, ds = self._path(noisy.time, x)
        if self.prediction == "data":
            return _mean((prediction - x) * (da - ds * a / jnp.maximum(s, MIN_S)))
        return _mean(prediction - (noisy.noise if self.prediction == "noise" else da * x + ds * noisy.noise))

    def _times(self, rng, size: int) -> jax.Array:
        """Training times, `[size]` in [0, 1)."""
        if self.times == "logit_normal":
            return jax.nn.sigmoid(self.logit_mean + randomness.normal(rng, size, ()))
        return randomness.uniform(rng, size)

    def _path(self, time, x):
        return PATHS[self.path](time.reshape(-1, *[1] * (x.ndim - 1)))

    def velocity(self, params, collections, batch):
        """The function `(z, time [B]) -> dz/dt`, with guidance, for the batch's conditions."""
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
        """The target, from noise that follows the velocity field in `sampling_steps` equal steps of time."""
        z = randomness.normal(rng, batch_size(batch), self.code.space.shape)
        velocity = self.velocity(params, collections, batch)
        z = self._fill(velocity, z, batch, rng) if self.hole else solve(velocity, z, self.sampling_steps, self.solver)
        z = self.completed(batch, jnp.clip(z, -1.0, 1.0) if self.code.space.bounded else z)
        return {self.target: self.code.decode(params, collections, z)}

    def _fill(self, velocity, noise: jax.Array, batch, rng: jax.Array) -> jax.Array:
        """Euler steps from `noise [B, ...]`; the known values follow the path from the noise to `known`."""
        hole, known = self.hole_of(batch), batch.get(self.known, noise)
        steps = self.sampling_steps

        def step(z, number):
            now, after = number // self.resamples, number // self.resamples + 1
            time, then = (jnp.full(len(z), n / steps) for n in (now, after))
            (a, s, *_), (b, r, *_) = self._path(time, z), self._path(then, z)
            z = jnp.where(hole, z, a * known + s * noise)
            ahead = z + velocity(z, time) / steps
            # Back to the time before the step: scaled to the share `a` of data, and noise added up to the share `s`.
            fresh = randomness.normal(jax.random.fold_in(rng, number), len(z), z.shape[1:])
            back = a / b * ahead + jnp.sqrt(jnp.maximum(s**2 - (a / b * r) ** 2, 0.0)) * fresh
            return jnp.where(number % self.resamples == self.resamples - 1, ahead, back), None

        return jax.lax.scan(step, noise, jnp.arange(steps * self.resamples))[0]

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The target, encoded and decoded by its representation."""
        return self.through_code(params, collections, batch)

    def _apply(self, params, collections, *args, method):
        return apply(self.network, "generator", params, collections, *args, method=method)


def solve(velocity, z: jax.Array, steps: int, solver: str) -> jax.Array:
    """Integrates `velocity` from `z [B, ...]` at time 0 to time 1, by `euler` or `heun` (Karras et al., 2022).

    The last step of `heun` is an Euler step: the velocity of predicted data or noise divides by s, 0 at time 1.
    """

    def step(z, number):
        time, after = (jnp.full(len(z), (number + n) / steps) for n in (0, 1))
        slope = velocity(z, time)
        ahead = z + slope / steps
        if solver == "heun":
            ahead = jnp.where(number + 1 < steps, z + (slope + velocity(ahead, after)) / (2 * steps), ahead)
        return ahead, None

    return jax.lax.scan(step, z, jnp.arange(steps))[0]


def _mean(x: jax.Array) -> jax.Array:
    """Mean of the squares over all axes but the batch axis, `[B]`."""
    return losses.per_example(x**2) / x[0].size
