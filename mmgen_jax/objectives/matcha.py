"""Speech synthesis by flow matching: a duration for each character, then all frames at once (Matcha-TTS).

The encoder gives every token of the text a mean frame. In training, monotonic alignment search finds the durations for
which the means are nearest to the frames (Kim et al., 2020). A predictor learns the logarithms of the durations from
the tokens. Each token is repeated for its duration, and the flow from noise to the frames is given tokens and means on
the grid of the frames (Mehta et al., 2024, "Matcha-TTS"; Popov et al., 2021, "Grad-TTS"). Path, times, solver and
guidance are those of `objectives/diffusion.py`.

Departs from the papers: the text is characters, not phonemes. Times are logit-normal, and no noise is left at time 1,
where the papers draw times uniformly and keep a little noise. The last token, the text's end, lasts to the end of the
target, so that all frames count in the loss and the length of a sound needs no mask. The flow is given the tokens
beside their means. The predictor has the loss of a Poisson distribution, whose best prediction is the mean duration,
and its durations are rounded to the nearest number of frames. The papers' squared error of logarithms gives the
geometric mean, which is shorter, and they round up.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Positive, Rate, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, tokens_of
from mmgen_jax.networks.layers import randomness
from mmgen_jax.networks.layers.convolution import Conv
from mmgen_jax.objectives import diffusion
from mmgen_jax.objectives.parts import durations, losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.masks import batch_size, example_weights

MAX_LOG_DURATION = 10.0  # of a prediction; e ** 10 frames are longer than any target


class Predictor(nn.Module):
    """Logarithms of the durations `[B, N]`, in frames, from tokens `[B, N, D]`, as in FastSpeech (Ren et al., 2019)."""

    features: int
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        x = tokens
        for _ in range(2):
            x = Conv(self.features, 3, dtype=self.dtype)(jnp.where(mask[..., None], x, 0))
            x = nn.LayerNorm(dtype=self.dtype)(nn.relu(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, dtype=self.dtype)(x)[..., 0].astype(jnp.float32)


class Network(nn.Module):
    """The conditioner, the tokens' mean frames and durations, and the denoiser (`generators/unet.py`)."""

    conditioner: Conditioner
    generator: nn.Module
    shape: tuple[int, ...]  # (T, M)
    features: int
    dropout: float
    length_scale: float

    def setup(self):
        dtype = getattr(self.generator, "dtype", jnp.float32)
        self.mean = nn.Dense(self.shape[1], dtype=dtype)
        self.predictor = Predictor(self.features, self.dropout, dtype)

    def __call__(self, batch, z, time, frames, dropped, train: bool = False):
        """The prediction `[B, T, M]`, and the `prior` and `durations` losses `[B]`; durations from `frames [B, T, M]`.

        Args:
          dropped: `[B] bool`, the examples whose text the denoiser does not see.
        """
        tokens = self._tokens(batch, train)
        mean, mask = self._mean(tokens), tokens.mask
        count = mask.sum(axis=1)
        # log N(frame; mean, 1) up to a constant.
        distance = jnp.einsum("btm,bnm->btn", frames, mean) - jnp.square(mean).sum(axis=-1)[:, None] / 2
        found = durations.search(jax.lax.stop_gradient(distance), count)
        path = durations.assign(found, self.shape[0])
        own = path.max(axis=-1)  # 0 everywhere for an example without a text, else 1
        prior = losses.per_example(jnp.square(frames - path @ mean) * own[..., None]) / (2 * frames[0].size)
        spoken = jnp.arange(mask.shape[1]) < count[:, None] - 1
        logs = jnp.minimum(self.predictor(jax.lax.stop_gradient(tokens.values), mask, train), MAX_LOG_DURATION)
        wrong = jnp.exp(logs) - found + found * (jnp.log(jnp.maximum(found, 1)) - logs)
        wrong = jnp.where(spoken, wrong, 0.0).sum(axis=1) / jnp.maximum(count - 1, 1)
        aligned = jnp.where(dropped[:, None, None], 0.0, self._aligned(tokens, mean, path))
        return self.predict(z, time, Condition(None, None, None, {"text": aligned}), train), prior, wrong

    def encode_conditions(self, batch, train: bool = False) -> Condition:
        """The tokens and their means `[B, T, D + M]`, each repeated for its predicted duration."""
        tokens, path = self.spoken(batch)
        return Condition(None, None, None, {"text": self._aligned(tokens, self._mean(tokens), path)})

    def spoken(self, batch) -> tuple[Tokens, jax.Array]:
        """`(tokens, path [B, T, N])`, the tokens and the frames that each lasts for by its predicted duration."""
        tokens = self._tokens(batch, False)
        logs = jnp.minimum(self.predictor(tokens.values, tokens.mask, False), MAX_LOG_DURATION)
        frames = jnp.maximum(jnp.round(jnp.exp(logs) * self.length_scale), 1).astype(jnp.int32)
        found = durations.filled(frames, tokens.mask.sum(axis=1), self.shape[0])
        return tokens, durations.assign(found, self.shape[0])

    def predict(self, z, time, condition: Condition, train: bool = False) -> jax.Array:
        return self.generator(z, time, condition, train=train).astype(jnp.float32)

    def _tokens(self, batch, train: bool) -> Tokens:
        values, mask = tokens_of(self.conditioner(batch, train=train))
        assert values is not None and mask is not None  # there is an encoder
        if values.shape[1] > self.shape[0]:
            raise ConfigError(
                f"objective 'matcha': each of the {values.shape[1]} tokens of a text needs a frame, and the "
                f"target has {self.shape[0]}; use longer sounds, a smaller representation.hop_length or shorter texts"
            )
        return Tokens(values, mask)

    def _mean(self, tokens: Tokens) -> jax.Array:
        return self.mean(tokens.values).astype(jnp.float32)

    def _aligned(self, tokens: Tokens, mean: jax.Array, path: jax.Array) -> jax.Array:
        return path @ jnp.concatenate([tokens.values.astype(jnp.float32), mean], axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(diffusion.Objective):
    """Squared errors of the flow and of the tokens' mean frames, and half the Poisson deviance of the durations.

    Args:
      prior_weight: weight of the squared error of the mean frames.
      duration_weight: weight of the loss of the durations.
      duration_features: width of the predictor of durations.
      duration_dropout: dropout rate of the predictor of durations.
      length_scale: factor of the drawn durations; above 1 the speech is slower.

    Raises:
      ConfigError: the target's space is not a sequence of frames, or the conditions are not one encoder.
    """

    prior_weight: NotNegative = 1.0
    duration_weight: NotNegative = 0.1
    duration_features: Size = 128
    duration_dropout: Rate = 0.1
    length_scale: Positive = 1.0

    sampling: ClassVar[tuple[str, ...]] = ("guidance", "sampling_steps", "solver", "length_scale")

    def __post_init__(self):
        super().__post_init__()
        self.continuous(1)
        if len(self.conditions.encoders) != 1 or self.conditions.aligned or self.hole:
            raise ConfigError(
                "objective 'matcha': expected one encoder, of the text, without config.aligned and without a hole, got "
                f"the encoders {', '.join(self.conditions.encoders) or 'none'}"
            )

    @property
    def abilities(self) -> frozenset[str]:
        return super().abilities | {"align"}

    @property
    def network(self) -> Network:
        sizes = (self.duration_features, self.duration_dropout, self.length_scale)
        return Network(self.conditions, self.generator, self.code.space.shape, *sizes)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        num = batch_size(batch)
        z, ones = jnp.zeros((num, *self.code.space.shape)), jnp.ones(num)
        own = self.network.init(init_keys(rng), batch, z, ones, z, ones > 1, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        time_rng, noise_rng, condition_rng, dropout_rng, modality_rng = jax.random.split(rng, 5)
        weights, x = example_weights(batch, self.target), self.encode_target(params, collections, batch)
        noisy = self.noisy(time_rng, noise_rng, x)
        dropped = randomness.uniform(condition_rng, len(x)) < self.condition_dropout
        (prediction, prior, duration), collections = apply_train(
            self.network,
            "generator",
            params,
            collections,
            *(batch, noisy.z, noisy.time, x, dropped),
            rngs={"dropout": dropout_rng, "modality_dropout": modality_rng},
        )
        errors = {"flow": self.error(prediction, x, noisy), "prior": prior, "durations": duration}
        terms = {name: jnp.mean(weights * error) for name, error in errors.items()}
        loss = terms["flow"] + self.prior_weight * terms["prior"] + self.duration_weight * terms["durations"]
        return loss, (collections, terms)

    def align(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Which token each frame of `sample` speaks: `weights [B, T, N]` of 0 and 1, 0 from the last token on.

        `steps [B]`: the number of frames before the last token; `mask [B, N]` of the tokens.
        """
        tokens, path = apply(self.network, "generator", params, collections, batch, method="spoken")
        last = jax.nn.one_hot(tokens.mask.sum(axis=1) - 1, path.shape[-1])  # [B, N]
        weights = path * (1.0 - last[:, None])
        return {"weights": weights, "steps": weights.sum(axis=(1, 2)).astype(jnp.int32), "mask": tokens.mask}
