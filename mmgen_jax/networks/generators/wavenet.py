"""Dilated causal convolutions over ids, one for each sample of a sound (WaveNet, van den Oord et al., 2016).

Each layer sees its input now and `dilation` samples before; the dilations double within a stack. The pooled conditions
act on every sample ("global conditioning"), the aligned sources on their own place ("local conditioning").

Departs from the paper: the aligned sources are interpolated linearly instead of by transposed convolutions, which
leaves their frames in their place; the skip connections are summed after a division by the root of their number.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count, Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.frames import interpolated


class Generator(nn.Module):
    """Logits of the next id, see `generators/__init__.py`.

    Args:
      vocab_size: number of ids.
      shape: `(T,)`, the length of the sequence.
      hop_length: ids from one frame of the aligned sources to the next; frame t lies at place `t hop_length`.
      features, skip_features: length of the vectors of the layers and of the skip connections.
      num_stacks, num_layers: stacks, and layers of each: the dilations of a stack are 1, 2, …, `2 ** (num_layers - 1)`.
      silence: the id that takes the place of PADDING before and after a sound: that of code 128, silence in `mu_law`.

    Raises:
      ConfigError: aligned sources of another rank than 1, or without `hop_length`; a `silence` that is no id.
    """

    form: ClassVar[str] = "ids"

    vocab_size: int
    shape: tuple[int, ...]
    hop_length: Count = 0
    features: Size = 64
    skip_features: Size = 128
    num_stacks: Depth = 2
    num_layers: Depth = 8
    silence: Count = 129
    dtype: Any = jnp.float32

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(2**i for i in range(self.num_layers)) * self.num_stacks

    @property
    def receptive_field(self) -> int:
        """Number of ids that a logit depends on."""
        return 1 + sum(self.dilations)

    def setup(self):
        if not PADDING < self.silence < self.vocab_size:
            raise ConfigError(
                f"generators/wavenet.silence: expected an id from 1 to {self.vocab_size - 1}, got {self.silence}; set "
                "generator.silence to an id of the representation"
            )
        self.embed = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)
        dense = lambda size, **fields: nn.Dense(size, dtype=self.dtype, **fields)  # noqa: E731
        self.gates = [dense(2 * self.features) for _ in self.dilations]
        self.outputs = [dense(self.features + self.skip_features) for _ in self.dilations]
        self.frames = convolution.Conv(self.features, 3, dtype=self.dtype)
        self.local = dense(2 * self.features * len(self.dilations), use_bias=False)
        self.whole = dense(2 * self.features * len(self.dilations), use_bias=False)
        self.hidden, self.head = dense(self.skip_features), dense(self.vocab_size)

    def __call__(self, tokens: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        """Logits `[B, T, V]` float32 of a sequence, from `tokens [B, T]`, the sequence shifted right by one PADDING."""
        x = self.embed(jnp.where(tokens == PADDING, self.silence, tokens))
        frames, vector = self._conditions(condition)
        skips: Any = 0.0
        for i, dilation in enumerate(self.dilations):
            past = jnp.pad(x, ((0, 0), (dilation, 0), (0, 0)))[:, : x.shape[1]]
            seen = None if frames is None else interpolated(self._of(i, frames), self.hop_length, x.shape[1])
            if vector is not None:
                whole = self._of(i, vector)[:, None]
                seen = whole if seen is None else seen + whole
            x, skip = self._layer(i, x, past, seen)
            skips += skip
        return self._logits(skips)

    def init_cache(self, condition: Condition | None, batch_size: int) -> dict[str, Any]:
        """The cache of `step`: the last inputs of each layer, as many as its dilation, and the conditions."""
        frames, vector = self._conditions(condition)
        past = [jnp.zeros((batch_size, dilation, self.features), self.dtype) for dilation in self.dilations]
        return {"past": past, "frames": frames, "vector": vector}

    def step(self, cache: dict[str, Any], token: jax.Array, position: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, V]` of the id at `position`, from the previous id, `[B]` or `[B, V]`."""
        x = blocks.embed(self.embed, jnp.where(token == PADDING, self.silence, token) if token.ndim == 1 else token)
        seen = self._at(cache["frames"], cache["vector"], position)
        kept: list[jax.Array] = []
        skips: Any = 0.0
        for i, (dilation, past) in enumerate(zip(self.dilations, cache["past"])):
            at = position % dilation  # a ring: the oldest input makes room for the newest
            before = jax.lax.dynamic_index_in_dim(past, at, axis=1, keepdims=False)
            kept.append(jax.lax.dynamic_update_index_in_dim(past, x, at, axis=1))
            x, skip = self._layer(i, x, before, None if seen is None else self._of(i, seen))
            skips += skip
        return self._logits(skips), cache | {"past": kept}

    def _layer(self, i: int, x: jax.Array, past: jax.Array, seen: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """`(x, skip)` after layer i; all arrays are `[B, T, …]` or all `[B, …]`."""
        gates = self.gates[i](jnp.concatenate([x, past], axis=-1))
        gates = gates if seen is None else gates + seen
        filtered, gate = jnp.split(gates, 2, axis=-1)
        output = self.outputs[i](nn.tanh(filtered) * nn.sigmoid(gate))
        return x + output[..., : self.features], output[..., self.features :]

    def _conditions(self, condition: Condition | None) -> tuple[jax.Array | None, jax.Array | None]:
        """The conditions' terms of all gates: `[B, frames, …]` of the aligned sources, `[B, …]` of the pooled."""
        vector = pooled_of(condition)
        vector = None if vector is None else self.whole(vector)
        if condition is None or not condition.aligned:
            return None, vector
        sources = [source for _, source in sorted(condition.aligned.items())]
        if not self.hop_length or any(source.ndim != 3 or source.shape[1] != sources[0].shape[1] for source in sources):
            raise ConfigError(
                "generators/wavenet: expected aligned sources [T, C] of one length, and their hop_length, got "
                f"{[list(source.shape[1:]) for source in sources]} and {self.hop_length}"
            )
        x = nn.relu(self.frames(jnp.concatenate(sources, axis=-1).astype(self.dtype)))
        return self.local(x), vector

    def _of(self, i: int, seen: jax.Array) -> jax.Array:
        """The part of the conditions that layer i adds."""
        width = 2 * self.features
        return seen[..., i * width : (i + 1) * width]

    def _at(self, frames: jax.Array | None, vector: jax.Array | None, position: jax.Array) -> jax.Array | None:
        """The conditions at one place, `[B, …]`, as `interpolated` gives them."""
        if frames is None:
            return vector
        first = jnp.minimum(position // self.hop_length, frames.shape[1] - 1)
        share = (position % self.hop_length / self.hop_length).astype(frames.dtype)
        seen = (1 - share) * frames[:, first] + share * frames[:, jnp.minimum(first + 1, frames.shape[1] - 1)]
        return seen if vector is None else seen + vector

    def _logits(self, skips: jax.Array) -> jax.Array:
        x = self.hidden(nn.relu(skips / math.sqrt(len(self.dilations))))
        return self.head(nn.relu(x)).astype(jnp.float32)
