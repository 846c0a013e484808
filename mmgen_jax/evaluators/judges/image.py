"""The network that judges pictures, and how it is trained."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.convolution import space_to_depth

NUM_FEATURES = 128
VERSION = 1  # raise it whenever the architecture or the training below changes


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge is trained: Adam, learning rate from `lr` to 0 by a cosine, random shifts of `shift` px."""

    steps: int = 1400
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 1e-3
    label_smoothing: float = 0.05
    shift: int = 2
    seed: int = 0


class Network(nn.Module):
    """`[B, H, W, C]` in [-1, 1] to logits `[B, num_classes]` and features `[B, 128]`, non-negative.

    Blocks of 2 x 2 pixels become channels, then 3 x 3 convolutions with 2 x 2 maxima between them until a side is at
    most 8, then two linear layers.
    """

    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        x = block(space_to_depth(even(x), (2, 2)), 48, train)
        while max(x.shape[1:3]) > 8:
            x = block(halved(x), 64, train)
        return head(x.reshape(x.shape[0], -1), self.num_classes, train)


def block(x: jax.Array, width: int, train: bool) -> jax.Array:
    # Without strides XLA's own convolution is the faster lowering on CPUs too.
    x = convolution.Conv(width, 3, use_bias=False, lowering="xla")(x)
    return nn.relu(blocks.norm("batch", train)(x))


def head(x: jax.Array, num_classes: int, train: bool) -> tuple[jax.Array, jax.Array]:
    """Logits and features of `[B, D]`."""
    features = nn.relu(blocks.norm("batch", train)(nn.Dense(NUM_FEATURES, use_bias=False)(x)))
    return nn.Dense(num_classes)(features), features


def halved(x: jax.Array) -> jax.Array:
    """The maxima of 2 x 2 cells, zeros beyond the edges."""
    b, h, w, c = even(x).shape
    return even(x).reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def even(x: jax.Array) -> jax.Array:
    """Zeros after the last row and column where their count is odd."""
    return jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))


def network(modality: Modality, num_classes: int) -> Network:
    return Network(num_classes)


def augment(images: np.ndarray, training: Training, rng: np.random.Generator) -> np.ndarray:
    """Each image `[N, H, W, C]` moved by up to `shift` px each way; the edge's pixels fill what comes free."""
    most = training.shift
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    rows, columns = (rng.integers(0, 2 * most + 1, len(images))[:, None] + np.arange(n) for n in images.shape[1:3])
    return padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def controls(images: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Uniform noise, which tells nothing."""
    return {"noise": rng.uniform(-1, 1, images.shape).astype(np.float32)}
