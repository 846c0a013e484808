"""The decoder of Tacotron 2 (Shen et al., 2018): frames of a spectrogram, each step from the frame before.

A step has a prenet, an attention LSTM, location-sensitive attention to the conditions' tokens (Chorowski et al., 2015)
and a decoder LSTM. It gives the next `reduction` frames (Tacotron, Wang et al., 2017) and the logit of a stop token.
`refine` is the postnet: convolutions over all frames, whose output is added to them.

Departs from the papers: one decoder LSTM, without zoneout; the postnet has no batch normalisation and no dropout; the
dropout of the prenet, which stays on in sampling, is an argument, so that it is drawn for each example.
"""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depths, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, masked_softmax, tokens_of
from mmgen_jax.networks.layers.convolution import Conv


class Cell(nn.Module):
    """One step: `(state, frame [B, M], keep [B, 2, P]) -> (state, (frames [B, r, M], stop [B], weights [B, N]))`."""

    num_bands: int
    features: int
    attention_features: int
    prenet_features: int
    filters: int
    kernel_size: int
    reduction: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, state, frame: jax.Array, keep: jax.Array, memory):
        """`keep` scales the prenet's activations (0: dropped); `memory` is `(values, keys, mask)` of the tokens."""
        values, keys, mask = memory
        hidden = frame.astype(self.dtype)
        for layer in range(2):
            hidden = nn.relu(nn.Dense(self.prenet_features, dtype=self.dtype, name=f"prenet{layer}")(hidden))
            hidden = hidden * keep[:, layer]
        cell = nn.OptimizedLSTMCell(self.features, dtype=self.dtype, name="attention_lstm")
        attention, query = cell(state["attention"], jnp.concatenate([hidden, state["context"]], axis=-1))
        # Where the attention was at the last step, and in all steps before.
        seen = jnp.stack([state["weights"], state["total"]], axis=-1).astype(self.dtype)  # [B, N, 2]
        location = Conv(self.filters, self.kernel_size, use_bias=False, dtype=self.dtype, name="location")(seen)

        def dense(name):
            return nn.Dense(self.attention_features, use_bias=False, dtype=self.dtype, name=name)

        match = nn.tanh(keys + dense("query")(query.astype(self.dtype))[:, None] + dense("location_key")(location))
        energy = nn.Dense(1, use_bias=False, dtype=self.dtype, name="energy")(match)[..., 0]
        weights = masked_softmax(energy.astype(jnp.float32), mask)
        context = jnp.einsum("bn,bne->be", weights.astype(self.dtype), values)
        cell = nn.OptimizedLSTMCell(self.features, dtype=self.dtype, name="decoder_lstm")
        decoder, hidden = cell(state["decoder"], jnp.concatenate([query.astype(self.dtype), context], axis=-1))
        output = jnp.concatenate([hidden.astype(self.dtype), context], axis=-1)
        frames = nn.Dense(self.reduction * self.num_bands, dtype=self.dtype, name="frames")(output)
        stop = nn.Dense(1, dtype=self.dtype, name="stop")(output)[:, 0]
        state = {
            "attention": attention,
            "decoder": decoder,
            "context": context,
            "weights": weights,
            "total": state["total"] + weights,
        }
        frames = frames.reshape(len(frames), self.reduction, self.num_bands)
        return state, (frames.astype(jnp.float32), stop.astype(jnp.float32), weights)


class Generator(nn.Module):
    """Frames, stop logits and attention weights of every step, or of one step after another.

    Args:
      shape: `(T, M)`, frames and bands of the target.
      features: length of the LSTMs' states.
      attention_features: of the space in which attention compares.
      prenet_features: P, of the two layers that a frame passes first.
      filters, kernel_size: of the convolution over the past attention.
      reduction: frames of a step; T must be a multiple.
      postnet_layers, postnet_features: convolutions of width 5 over all frames; 0 layers: none.
    """

    form: ClassVar[str] = "frames"

    shape: tuple[int, ...]
    features: Size = 256
    attention_features: Size = 128
    prenet_features: Size = 128
    filters: Size = 16
    kernel_size: Size = 15
    reduction: Size = 2
    postnet_layers: Depths = 3
    postnet_features: Size = 128
    dtype: Any = jnp.float32

    def setup(self):
        if len(self.shape) != 2 or self.shape[0] % self.reduction:
            raise ConfigError(
                f"generators/tacotron: expected a target of frames [T, M], with T a multiple of reduction "
                f"{self.reduction}, got shape {self.shape}; change generator.reduction or the representation"
            )
        self.cell = Cell(
            self.shape[1],
            self.features,
            self.attention_features,
            self.prenet_features,
            self.filters,
            self.kernel_size,
            self.reduction,
            self.dtype,
        )
        self.key = nn.Dense(self.attention_features, use_bias=False, dtype=self.dtype)
        widths = [self.postnet_features] * (self.postnet_layers - 1) + [self.shape[1]] * (self.postnet_layers > 0)
        self.postnet = [Conv(width, 5, dtype=self.dtype) for width in widths]

    @property
    def num_steps(self) -> int:
        return self.shape[0] // self.reduction

    def __call__(self, frames: jax.Array, condition: Condition | None, keep: jax.Array, train: bool = False):
        """Every step at once, given the frame before each step (teacher forcing).

        Args:
          frames: `[B, S, M]`, the last frame before each of the S steps.
          keep: `[B, S, 2, P]`, factors of the prenet's activations.

        Returns:
          `(frames [B, S r, M], stop logits [B, S], attention weights [B, S, N])`, float32.
        """
        state = self.init_state(condition, len(frames))
        scan = nn.scan(
            lambda cell, state, frame, keep, memory: cell(state, frame, keep, memory),
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=(1, 1, nn.broadcast),  # pyright: ignore[reportArgumentType] Flax takes one for each argument too
            out_axes=1,
        )
        _, (drawn, stop, weights) = scan(self.cell, state["steps"], frames, keep, state["memory"])
        return drawn.reshape(len(drawn), -1, self.shape[1]), stop, weights

    def init_state(self, condition: Condition | None, batch_size: int) -> dict[str, Any]:
        """The state before the first step, and the conditions' tokens with their attention keys; `[B, ...]` each."""
        tokens, mask = tokens_of(condition)
        if tokens is None or mask is None:
            raise ConfigError("generators/tacotron: attends to tokens of the conditions; add an encoder")
        values = tokens.astype(self.dtype)
        lstm = (jnp.zeros((batch_size, self.features)),) * 2
        nowhere = jnp.zeros(mask.shape, jnp.float32)
        steps = {"attention": lstm, "decoder": lstm, "weights": nowhere, "total": nowhere}
        steps["context"] = jnp.zeros((batch_size, values.shape[-1]), self.dtype)
        return {"steps": steps, "memory": (values, self.key(values), mask)}

    def step(self, state: dict[str, Any], frame: jax.Array, keep: jax.Array):
        """`(state, (frames [B, r, M], stop [B], weights [B, N]))` of one step, from the frame before `[B, M]`."""
        steps, output = self.cell(state["steps"], frame, keep, state["memory"])
        return state | {"steps": steps}, output

    def refine(self, frames: jax.Array) -> jax.Array:
        """The frames `[B, T, M]` with the output of the postnet added."""
        change = frames.astype(self.dtype)
        for i, layer in enumerate(self.postnet):
            change = layer(change)
            change = nn.tanh(change) if i < len(self.postnet) - 1 else change
        return frames + change if self.postnet else frames
