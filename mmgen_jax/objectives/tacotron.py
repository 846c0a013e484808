"""Speech synthesis by Tacotron: frames of a spectrogram from a text, one step after another, with attention.

The family models a sequence of frames, such as those of `log_mel`, without discretising them: an error of the frames in
place of a likelihood (Wang et al., 2017; Shen et al., 2018). A sound ends at its last frame that is not silent; the
frames after its last step do not count in the loss. A stop token tells where a sound ends, and the target's length is
a hard limit. Guided attention (Tachibana et al., 2018) penalises attention far from the diagonal of text and time.

Departs from the papers: absolute error of the frames, before and after the postnet; the stop token is trained on the
steps up to `STOPPED` steps behind the end only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.config.ranges import NotNegative, Positive, Rate, Share
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, to_range

SILENCE = -1.0  # of a frame, in the range of a bounded space
AUDIBLE = 1e-3  # a frame with a band above SILENCE + AUDIBLE is not silent
STOPPED = 4  # steps behind the end that train the stop token


class Network(nn.Module):
    """The conditioner and the decoder (`generators/tacotron.py`)."""

    conditioner: Conditioner
    generator: Any

    def __call__(self, batch, frames: jax.Array, keep: jax.Array, train: bool = False):
        """`(frames, refined frames [B, T, M], stop [B, S], weights [B, S, N], mask [B, N])`, by teacher forcing."""
        condition = self.conditioner(batch, train=train)
        drawn, stop, weights = self.generator(frames, condition, keep, train=train)
        drawn = to_range(drawn)
        return drawn, self.refine(drawn), stop, weights, condition.mask

    def init_state(self, batch):
        condition = self.conditioner(batch)
        return self.generator.init_state(condition, batch_size(batch)), condition.mask

    def step(self, state, frame: jax.Array, keep: jax.Array):
        state, (frames, stop, weights) = self.generator.step(state, frame, keep)
        return state, (to_range(frames), stop, weights)

    def refine(self, frames: jax.Array) -> jax.Array:
        return self.generator.refine(frames)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Absolute error of the frames, cross-entropy of the stop token, and guided attention.

    Args:
      generator: the decoder, `tacotron`.
      dropout: rate of the prenet, in training and in sampling; without it, the decoder copies the frame before.
      guided_attention: weight of the penalty.
      guided_width: width of the diagonal band, as a share of the text and of the sound.
      stop_weight: weight of the stop token's loss.
      stop_threshold: probability of the stop token that ends a sound.

    Raises:
      ConfigError: there are no conditions, or the target's space is not a sequence of frames in [-1, 1].
    """

    generator: nn.Module
    dropout: Rate = 0.5
    guided_attention: NotNegative = 1.0
    guided_width: Positive = 0.3
    stop_weight: NotNegative = 0.1
    stop_threshold: Share = 0.5

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "frames"
    sampling: ClassVar[tuple[str, ...]] = ("stop_threshold",)

    def __post_init__(self):
        if not self.continuous(1).bounded or self.code.players:
            raise ConfigError(
                "objective 'tacotron': models frames in [-1, 1] whose silence is -1; set config.representation to "
                "log_mel"
            )
        if len(self.conditions.encoders) > 1 and self.guided_attention:
            raise ConfigError(
                "objective.guided_attention: a diagonal needs the tokens of one encoder, got those of "
                f"{', '.join(self.conditions.encoders)}; set it to 0"
            )

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct", "align"})

    @property
    def network(self) -> Network:
        return Network(self.conditions, self.generator)

    @property
    def _decoder(self) -> Any:
        return self.generator

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        steps, bands = self._decoder.num_steps, self._decoder.shape[1]
        frames, keep = jnp.zeros((batch_size(batch), steps, bands)), self._keep(rng, batch_size(batch))
        return {"generator": self.network.init(init_keys(rng), batch, frames, keep, train=True)}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        dropout, modality_dropout, prenet = jax.random.split(rng, 3)
        real = self.encode_target(params, collections, batch)  # [B, T, M]
        present = batch.get(self.target + MASK_SUFFIX, jnp.ones(len(real), bool))
        (drawn, refined, stop, weights, mask), collections = apply_train(
            self.network,
            "generator",
            params,
            collections,
            batch,
            before(real, self._decoder.reduction),
            self._keep(prenet, len(real)),
            rngs={"dropout": dropout, "modality_dropout": modality_dropout},
        )
        steps = num_steps(real, self._decoder.reduction)  # [B]
        places = jnp.arange(self._decoder.num_steps)
        counted = (places < steps[:, None]) & present[:, None]  # [B, S]
        frames = jnp.repeat(counted, self._decoder.reduction, axis=1)[..., None]
        error = (jnp.abs(drawn - real) + jnp.abs(refined - real)) / 2
        error = jnp.where(frames, error, 0.0).sum(axis=(1, 2))
        ended = (places >= steps[:, None] - 1).astype(jnp.float32)
        stopping = (places < steps[:, None] + STOPPED) & present[:, None]
        stops = jnp.where(stopping, optax.sigmoid_binary_cross_entropy(stop, ended), 0.0).sum(axis=1)
        far = guide(steps, mask.sum(axis=1), weights.shape[1:], self.guided_width)
        guided = jnp.where(counted[..., None], weights * far, 0.0).sum(axis=(1, 2))
        # Means over the frames and the steps of the global batch, for every layout of devices.
        terms = {
            "frame_error": _mean(error, frames.sum(axis=(1, 2)) * real.shape[-1]),
            "stop": _mean(stops, stopping.sum(axis=1)),
            "guided_attention": _mean(guided, counted.sum(axis=1)),
        }
        loss = terms["frame_error"] + self.stop_weight * terms["stop"]
        return loss + self.guided_attention * terms["guided_attention"], (collections, terms)

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The sound, step after step until the stop token, at most as long as the target; silence follows."""
        frames, ended, *_ = self._decode(params, collections, batch, rng)
        silent = jnp.repeat(ended, self._decoder.reduction, axis=1)[..., None]
        frames = jnp.where(silent, SILENCE, frames)
        refined = apply(self.network, "generator", params, collections, frames, method="refine")
        refined = jnp.where(silent, SILENCE, refined)
        return {self.target: self.code.decode(params, collections, refined)}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Copy-synthesis: the target, encoded and decoded by its representation."""
        return self.through_code(params, collections, batch)

    def align(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The attention of `sample`: `weights [B, S, N]`, 0 behind the end; `steps [B]` before it; `mask [B, N]`."""
        _, ended, weights, mask = self._decode(params, collections, batch, rng)
        return {"weights": jnp.where(ended[..., None], 0.0, weights), "steps": (~ended).sum(axis=1), "mask": mask}

    def _decode(self, params, collections, batch, rng: jax.Array):
        """`(frames [B, T, M], whether the sound ended before a step [B, S], weights [B, S, N], mask [B, N])`"""
        state, mask = apply(self.network, "generator", params, collections, batch, method="init_state")
        keep = self._keep(rng, batch_size(batch))

        def body(carry, keep):
            state, frame, ended = carry
            state, (frames, stop, weights) = apply(
                self.network, "generator", params, collections, state, frame, keep, method="step"
            )
            stopped = ended | (nn.sigmoid(stop) > self.stop_threshold)
            return (state, frames[:, -1], stopped), (frames, ended, weights)

        num, (length, bands) = batch_size(batch), self._decoder.shape
        start = state, jnp.full((num, bands), SILENCE), jnp.zeros(num, bool)
        _, (frames, ended, weights) = jax.lax.scan(body, start, jnp.moveaxis(keep, 1, 0))
        frames = jnp.moveaxis(frames, 0, 1).reshape(num, length, bands)
        return frames, ended.T, jnp.moveaxis(weights, 0, 1), mask

    def _keep(self, rng: jax.Array, num: int) -> jax.Array:
        """Factors `[B, S, 2, P]` of the prenet's activations: 0 where dropped."""
        shape = (self._decoder.num_steps, 2, self._decoder.prenet_features)
        return (randomness.uniform(rng, num, shape) >= self.dropout) / (1.0 - self.dropout)


def before(frames: jax.Array, reduction: int) -> jax.Array:
    """The last frame before each step, `[B, S, M]`, of frames `[B, S · reduction, M]`; silence before the first."""
    last = frames[:, reduction - 1 :: reduction]
    return jnp.pad(last, ((0, 0), (1, 0), (0, 0)), constant_values=SILENCE)[:, :-1]


def num_steps(frames: jax.Array, reduction: int) -> jax.Array:
    """The number of steps `[B]` up to the last frame `[B, T, M]` that is not silent; at least 1."""
    audible = jnp.any(frames > SILENCE + AUDIBLE, axis=-1)
    length = jnp.max(jnp.where(audible, jnp.arange(1, frames.shape[1] + 1), 1), axis=1)
    return -(-length // reduction)


def guide(steps: jax.Array, tokens: jax.Array, shape: tuple[int, ...], width: float) -> jax.Array:
    """The penalty `[B, S, N]` of attention (Tachibana et al., 2018): `1 - exp(-(n / N - s / S)² / (2 width²))`.

    Args:
      steps, tokens: `[B]`, the numbers S and N of an example's own steps and tokens.
      shape: `(S, N)` of the array.
    """
    time = jnp.arange(shape[0])[None, :, None] / jnp.maximum(steps, 1)[:, None, None]
    place = jnp.arange(shape[1])[None, None, :] / jnp.maximum(tokens, 1)[:, None, None]
    return 1.0 - jnp.exp(-jnp.square(place - time) / (2.0 * width**2))


def _mean(sums: jax.Array, counts: jax.Array) -> jax.Array:
    """The mean of values, from the sums and counts of each example `[B]`, over the global batch."""
    return jnp.mean(sums) / jnp.maximum(mapped.mean_over_batch(counts.astype(jnp.float32)), 1e-6)
