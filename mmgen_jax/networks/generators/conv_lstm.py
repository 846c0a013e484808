"""Next frames by a convolutional LSTM (ConvLSTM, Shi et al., 2015), drawn or moved from the frame before.

The cells read the past frames one after another, then each frame that they predicted. States and gates are grids, whose
channels are patches of pixels, as in the paper. With `num_motions`, a frame is a mixture of the last frame as it is,
the last frame moved by several kernels, and drawn pixels; masks weigh them at each pixel (CDNA, Finn et al., 2016).
A moving object keeps its look, so that the network has to learn little more than the motion.

Departs from the papers: one stack of cells reads the past and predicts the future (as in PredRNN, Wang et al., 2017),
where ConvLSTM has two stacks; no peephole connections; each kernel of a motion is the product of a vertical and a
horizontal kernel.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.config.ranges import Count, Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.translation import vector_of
from mmgen_jax.networks.layers import convolution
from mmgen_jax.networks.layers.patches import depth_to_space, space_to_depth
from mmgen_jax.networks.layers.strides import patch_sizes

State = tuple[jax.Array, jax.Array]  # (memory, output), each [B, h, w, features] float32


def conv(features: int, kernel_size: int, dtype: jnp.dtype, name: str) -> convolution.Conv:
    # Inside a loop, XLA's CPU backend runs convolutions slower than the same matrix products.
    lowering = "matmul" if jax.default_backend() == "cpu" else "auto"
    return convolution.Conv(features, kernel_size, dtype=dtype, lowering=lowering, name=name)


class Cell(nn.Module):
    """One step of a layer: its state and the input `[B, h, w, C]` to the new state."""

    features: int
    kernel_size: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, state: State, x: jax.Array) -> State:
        memory, output = state
        joined = jnp.concatenate([x.astype(self.dtype), output.astype(self.dtype)], axis=-1)
        gates = conv(4 * self.features, self.kernel_size, self.dtype, "gates")(joined).astype(jnp.float32)
        keep, write, show, new = jnp.split(gates, 4, axis=-1)
        # A bias of 1 keeps the memory at the start of training (Jozefowicz et al., 2015).
        memory = nn.sigmoid(keep + 1.0) * memory + nn.sigmoid(write) * jnp.tanh(new)
        return memory, nn.sigmoid(show) * jnp.tanh(memory)


class Step(nn.Module):
    """Reads a frame, the given one where `known`, else the predicted one, and predicts the next; see `Generator`."""

    features: int
    num_layers: int
    kernel_size: int
    patch: tuple[int, ...]
    num_motions: int
    reach: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, carry: tuple[tuple[State, ...], jax.Array], given: tuple[jax.Array, jax.Array], shift):
        """`carry`: states and the predicted frame `[B, H, W, C]`; `given`: a frame and `known [] bool`."""
        (states, predicted), (frame, known) = carry, given
        frame = jnp.where(known, frame, predicted)
        x = conv(self.features, 3, self.dtype, "input")(space_to_depth(frame.astype(self.dtype), self.patch))
        x = nn.relu(x if shift is None else x + shift[:, None, None])
        new = []
        for i, state in enumerate(states):
            new.append(Cell(self.features, self.kernel_size, self.dtype, name=f"cell_{i}")(state, x))
            x = new[-1][1].astype(self.dtype)
        predicted = jnp.tanh(self._pixels(x, frame.shape[-1], "output"))
        if self.num_motions:
            masks = nn.softmax(self._pixels(x, self.num_motions + 2, "masks"))
            moved = self._moved(x, frame)
            candidates = jnp.concatenate([moved, frame[:, None], predicted[:, None]], axis=1)  # [B, K + 2, H, W, C]
            predicted = jnp.einsum("bkhwc,bhwk->bhwc", candidates, masks)
        return (tuple(new), predicted), predicted

    def _pixels(self, x: jax.Array, channels: int, name: str) -> jax.Array:
        """`[B, h, w, features]` to `[B, H, W, channels]` float32."""
        x = conv(channels * math.prod(self.patch), 3, self.dtype, name)(x)
        return depth_to_space(x, self.patch).astype(jnp.float32)

    def _moved(self, x: jax.Array, frame: jax.Array) -> jax.Array:
        """The frame under each motion, `[B, K, H, W, C]`; beyond its border, a frame continues with its last pixel."""
        taps = 2 * self.reach + 1
        kernels = nn.Dense(2 * self.num_motions * taps, dtype=self.dtype, name="motions")(x.reshape(len(x), -1))
        kernels = nn.softmax(kernels.astype(jnp.float32).reshape(len(x), 2, self.num_motions, taps))
        rows, columns = (
            jnp.einsum("bks,sij->bkij", kernels[:, axis], moves(side, self.reach))
            for axis, side in enumerate(frame.shape[1:3])
        )
        return jnp.einsum("bkij,bjlc,bkml->bkimc", rows, frame, columns)


def moves(side: int, reach: int) -> np.ndarray:
    """`[2 reach + 1, side, side]` float32: the matrices that move an axis by -reach … reach pixels."""
    places = np.arange(side)
    sources = np.clip(places + np.arange(-reach, reach + 1)[:, None], 0, side - 1)
    return (sources[..., None] == places).astype(np.float32)


class Generator(nn.Module):
    """`latent [B, Z]` or None, and an aligned clip of the past, to `[B, T, H, W, C]` in [-1, 1].

    The values need no further `tanh`: use `objective.output="linear"`.

    Args:
      shape: `(T, H, W, C)` of the future.
      source: the aligned source with the past, `[P, H, W, C]` with the sides and channels of the target, P >= 1.
      features: channels of each cell's state.
      num_layers: layers of cells; each reads the output of the layer below.
      kernel_size: of the gates, in patches.
      patch_size: side of the patches of pixels that become the cells of the grid.
      num_motions: kernels that move the last frame; 0: every frame is drawn anew.
      reach: largest distance in px, in each direction, that a motion moves the last frame.

    Raises:
      ConfigError: a target that is no clip, no such source, or further sources; a source of another size, or patches
        that do not divide the sides.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    source: str = "past"
    features: Size = 64
    num_layers: Depth = 2
    kernel_size: Size = 3
    patch_size: Size = 4
    num_motions: Count = 0
    reach: Size = 8
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        past = self._past(condition).astype(jnp.float32)
        _, *patch = patch_sizes("generators/conv_lstm", self.patch_size, past.shape)
        vector = vector_of(latent, condition)
        shift = None if vector is None else nn.Dense(self.features, dtype=self.dtype, name="vector")(vector)
        num_past, num_steps = past.shape[1], past.shape[1] + self.shape[0] - 1
        frames = jnp.moveaxis(jnp.pad(past, ((0, 0), (0, num_steps - num_past), *[(0, 0)] * 3)), 1, 0)
        zeros = jnp.zeros((len(past), *(n // p for n, p in zip(self.shape[1:3], patch)), self.features))
        states = ((zeros, zeros),) * self.num_layers
        axes: Any = (0, nn.broadcast)  # flax's annotation has one axis for all arguments
        scan = nn.scan(Step, variable_broadcast="params", split_rngs={"params": False}, in_axes=axes, out_axes=1)
        step = scan(
            self.features,
            self.num_layers,
            self.kernel_size,
            tuple(patch),
            self.num_motions,
            self.reach,
            self.dtype,
            name="step",
        )
        _, outputs = step((states, frames[0]), (frames, jnp.arange(num_steps) < num_past), shift)
        return outputs[:, num_past - 1 :]

    def _past(self, condition: Condition | None) -> jax.Array:
        if len(self.shape) != 4:
            raise ConfigError(f"generators/conv_lstm: draws clips [T, H, W, C], got shape {tuple(self.shape)}")
        aligned = condition.aligned if condition is not None else {}
        if self.source not in aligned:
            raise ConfigError(
                f"generators/conv_lstm.source: {self.source!r} is no aligned source; config.aligned has: "
                + (", ".join(aligned) or "none")
            )
        if len(aligned) > 1:
            raise ConfigError(
                f"generators/conv_lstm: reads the aligned source {self.source!r} alone, got {', '.join(aligned)}; "
                "take the others out of config.aligned, or read them by encoders"
            )
        past = aligned[self.source]
        if past.ndim != 5 or past.shape[2:] != tuple(self.shape[1:]):
            raise ConfigError(
                f"generators/conv_lstm.source: expected a clip with frames {list(self.shape[1:])} as those of the "
                f"target, got {self.source!r} with {list(past.shape[1:])}"
            )
        return past
