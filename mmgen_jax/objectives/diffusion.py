"""Diffusion: a network learns the velocity that carries noise to data, and sampling follows it.

Between noise e (time 0) and data x (time 1) stands `z = a(t) x + s(t) e`. On the `linear` path that is flow matching
with the optimal-transport path (Lipman et al., 2023), also called rectified flow (Liu et al., 2023); on the `cosine`
path, with `prediction` `noise`, it is DDPM (Ho et al., 2020) with the schedule of Nichol & Dhariwal (2021), in
continuous time. Whatever is predicted, samples are solutions of `dz/dt = a'(t) x + s'(t) e` (Song et al., 2021).

Conditions are dropped in training, so that one network has both velocities of classifier-free guidance (Ho & Salimans,
2021). With `target_encoder` and `target_decoder` it is latent diffusion (`representations/kl_autoencoder.py`): the
player `autoencoder` is trained first and then stands still, while the `generator` learns its latents. So the one has
`optimizers.autoencoder.stop_step` where the other has `optimizers.generator.start_step`, and the autoencoder no
`ema_decay`: latents of averaged parameters are other latents.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.guidance import check_guidance, drop_conditions, drop_some_conditions
from mmgen_jax.objectives.parts.masks import presence_weights, present, to_range
from mmgen_jax.representations.kl_autoencoder import Autoencoder, grid_shape

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
LARGEST = {"pixels": 1.0, "latents": 5.0}
# Least s by which the loss of predicted data is divided (as in Li & He, 2025): near time 1 it has no bound.
# Samples have the exact one, whose last step of Euler lands on the data that is predicted.
LEAST_S = 0.05


class Network(nn.Module):
    """The conditioner and the network that predicts (`generators/unet.py`)."""

    conditioner: Conditioner | None
    generator: nn.Module

    def condition(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def predict(self, z, time, fused, train: bool = False):
        return self.generator(z, time, fused, train=train).astype(jnp.float32)

    def __call__(self, batch, z, time, train: bool = False):
        return self.predict(z, time, self.condition(batch, train), train)


@dataclasses.dataclass(frozen=True)
class Objective:
    """Squared error of the prediction, a mean over the elements of pixels or latents.

    Args:
      generator: `(z, time [B], fused, train) ->` what z is like.
      target: an image; examples that lack it (its mask) do not count.
      target_encoder, target_decoder: of the target to and from a grid of tokens, for latent diffusion.
      latent_dim: channels of the latents.
      kl_weight: of the KL per latent element, beside the squared error of a pixel, in the autoencoder's loss.
      path: `linear` or `cosine`.
      prediction: of the network: `velocity`, `noise` or `data`; the loss of data is that of the velocity it implies, so
        that it weighs as a velocity does. Images fill few of the dimensions that noise and velocity fill: data is what
        a network with fewer channels than a patch has values can predict (Li & He, 2025).
      times: how training draws them: `logit_normal` (Esser et al., 2024) or `uniform`.
      logit_mean: of logit-normal times; below 0 there is more noise. What a picture shows is decided while noise still
        hides its pixels, the more so the more pixels show one thing (Hoogeboom et al., 2023).
      condition_dropout: probability in training that an example lacks all of its conditions.
      guidance: the prediction is the one without conditions plus so many times what the conditions add; at 1 it is the
        conditional one.
      solver: `euler` or `heun`, which evaluates the network twice in each of the `sampling_steps`.
    """

    generator: nn.Module
    modality: Modality
    target: str
    conditioner: Conditioner | None = None
    target_encoder: nn.Module | None = None
    target_decoder: nn.Module | None = None
    latent_dim: int = 4
    kl_weight: float = 1e-4
    path: str = "linear"
    prediction: str = "velocity"
    times: str = "logit_normal"
    logit_mean: float = 0.0
    condition_dropout: float = 0.0
    guidance: float = 1.0
    sampling_steps: int = 25
    solver: str = "euler"
    axis_name: str | None = None

    sampling: ClassVar[tuple[str, ...]] = ("guidance", "sampling_steps", "solver")

    def __post_init__(self):
        for field, choices in (
            ("path", tuple(PATHS)),
            ("prediction", PREDICTIONS),
            ("times", ("logit_normal", "uniform")),
            ("solver", ("euler", "heun")),
        ):
            if getattr(self, field) not in choices:
                raise ValueError(
                    f"objective.{field}: expected one of {', '.join(choices)}, got {getattr(self, field)!r}"
                )
        if self.logit_mean and self.times != "logit_normal":
            raise ValueError(f"objective.logit_mean: expected 0 with times {self.times!r}, got {self.logit_mean}")
        if self.sampling_steps < 1:
            raise ValueError(f"objective.sampling_steps: expected at least 1, got {self.sampling_steps}")
        if (self.target_encoder is None) != (self.target_decoder is None):
            raise ValueError("config.target_encoder, config.target_decoder: expected both (latent diffusion) or none")
        check_guidance(self)

    @property
    def latent(self) -> bool:
        return self.target_decoder is not None

    @property
    def players(self) -> tuple[str, ...]:
        return ("autoencoder", "generator") if self.latent else ("generator",)

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        return (("autoencoder", "generator"),) if self.latent else ()

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """Of what diffuses: pixels or latents."""
        own = self.modality.shape
        return (*grid_shape(self.target_encoder, own), self.latent_dim) if self.latent else own

    @property
    def network(self) -> Network:
        return Network(self.conditioner, self.generator)

    @property
    def autoencoder(self) -> Autoencoder:
        return Autoencoder(self.target_encoder, self.target_decoder, self.latent_dim, self.axis_name)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        keys = dict.fromkeys(("params", "dropout", "modality_dropout"), rng)
        target, variables = batch[self.target], {}
        z, ones = jnp.zeros((len(target), *self.shape)), jnp.ones(len(target))
        if self.latent:
            variables["autoencoder"] = self.autoencoder.init(keys, target, ones, z, train=True)
        return variables | {"generator": self.network.init(keys, batch, z, ones, train=True)}

    def loss(self, player: str, params, extra, batch, rng: jax.Array, step=0):
        of_player = {"autoencoder": self._autoencoder_loss, "generator": self._generator_loss}[player]
        return of_player(params, extra, batch, rng)

    def _autoencoder_loss(self, params, extra, batch, rng):
        noise_rng, dropout_rng = jax.random.split(rng)
        target, weights = present(batch, self.target), presence_weights(batch, self.target, self.axis_name)
        (output, mean, log_var), new = self.autoencoder.apply(
            {"params": params["autoencoder"], **extra["autoencoder"]},
            target,
            weights,
            randomness.normal(noise_rng, len(target), self.shape, self.axis_name),
            train=True,
            rngs={"dropout": dropout_rng},
            mutable=list(extra["autoencoder"]),
        )
        error = jnp.mean(weights * _mean(to_range(output) - target))
        kl = jnp.mean(weights * losses.per_example(losses.kl_standard_normal(mean, log_var)) / mean[0].size)
        metrics = {"error_per_element": error, "kl_per_element": kl}
        return error + self.kl_weight * kl, (extra | {"autoencoder": new}, metrics)

    def _generator_loss(self, params, extra, batch, rng):
        time_rng, noise_rng, condition_rng, dropout_rng, modality_rng = jax.random.split(rng, 5)
        weights, x = presence_weights(batch, self.target, self.axis_name), present(batch, self.target)
        if self.latent:
            x = self._encode(params, extra, x)
        time = self._times(time_rng, len(x))
        noise = randomness.normal(noise_rng, len(x), x.shape[1:], self.axis_name)
        batch = drop_some_conditions(self, batch, condition_rng)
        a, s, da, ds = self._path(time, x)
        prediction, new = self.network.apply(
            {"params": params["generator"], **extra["generator"]},
            batch,
            a * x + s * noise,
            time,
            train=True,
            rngs={"dropout": dropout_rng, "modality_dropout": modality_rng},
            mutable=list(extra["generator"]),
        )
        if self.prediction == "data":
            error = _mean((prediction - x) * (da - ds * a / jnp.maximum(s, LEAST_S)))
        else:
            error = _mean(prediction - (noise if self.prediction == "noise" else da * x + ds * noise))
        return jnp.mean(weights * error), (extra | {"generator": new}, {})

    def _times(self, rng, size: int) -> jax.Array:
        """`[size]` in (0, 1)."""
        if self.times == "logit_normal":
            return jax.nn.sigmoid(self.logit_mean + randomness.normal(rng, size, (), self.axis_name))
        return jax.vmap(jax.random.uniform)(randomness.example_keys(rng, size, self.axis_name))

    def _path(self, time, x):
        return PATHS[self.path](time.reshape(-1, *[1] * (x.ndim - 1)))

    def velocity(self, params, extra, batch):
        """The function `(z, time [B]) -> dz/dt`, guided, given the batch's conditions."""
        conditions = self._apply("generator", params, extra, batch, method="condition")
        guided = self.guidance != 1
        if guided:
            nothing = drop_conditions(batch, self.conditioner.reads.values(), jnp.ones(len(_any(batch)), bool))
            without = self._apply("generator", params, extra, nothing, method="condition")
            conditions = jax.tree.map(lambda *rows: jnp.concatenate(rows), conditions, without)

        def function(z, time):
            inputs = [jnp.concatenate([rows, rows]) if guided else rows for rows in (z, time)]
            prediction = self._apply("generator", params, extra, *inputs, conditions, method="predict")
            if guided:
                given, without = jnp.split(prediction, 2)
                prediction = without + self.guidance * (given - without)
            if self.prediction == "velocity":
                return prediction
            a, s, da, ds = self._path(time, z)
            if self.prediction == "data":
                x = prediction
            else:
                largest = LARGEST["latents" if self.latent else "pixels"]
                x = jnp.clip((z - s * prediction) / jnp.maximum(a, 1e-3), -largest, largest)
            return da * x + ds * (z - a * x) / jnp.maximum(s, 1e-3)

        return function

    def sample(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Noise carried along the velocity in `sampling_steps` equal steps of time."""
        size = len(_any(batch))
        z = randomness.normal(rng, size, self.shape, self.axis_name)
        z = solve(self.velocity(params, extra, batch), z, self.sampling_steps, self.solver)
        return {self.target: self._decode(params, extra, z) if self.latent else jnp.clip(z, -1.0, 1.0)}

    @property
    def reconstruct(self):
        """The method of latent diffusion; that of pixels has none, which is what the loop and evaluators ask."""
        if not self.latent:
            raise AttributeError("objective: diffusion of pixels has no latents to reconstruct from")
        return self._reconstruct

    def _reconstruct(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The target through its latents and back."""
        return {self.target: self._decode(params, extra, self._encode(params, extra, batch[self.target]))}

    def _encode(self, params, extra, target):
        return self._apply("autoencoder", params, extra, target, method="encode")

    def _decode(self, params, extra, latent):
        return to_range(self._apply("autoencoder", params, extra, latent, method="decode"))

    def _apply(self, player, params, extra, *args, method):
        network = self.autoencoder if player == "autoencoder" else self.network
        return network.apply({"params": params[player], **extra[player]}, *args, method=method)


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


def _any(batch) -> jax.Array:
    return next(iter(batch.values()))
