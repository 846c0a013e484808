"""The network that judges pictures, and how it is trained."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.patches import space_to_depth

NUM_FEATURES = 128
VERSION = 1  # raise it whenever the architecture or the training below changes


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge of pictures is trained: AdamW, learning rate from `lr` to 0 by a cosine, random shifts.

    Args:
      shift: largest shift either way along both axes, in px.
    """

    steps: int = 1400
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 1e-3
    label_smoothing: float = 0.05
    shift: int = 2
    seed: int = 0


class Network(nn.Module):
    """`[B, H, W, C]` in [-1, 1] to logits `[B, num_classes]` and features `[B, 128]`, non-negative.

    Blocks of 2 x 2 pixels become channels. Then follow 3 x 3 convolutions with 2 x 2 max pooling between them, until no
    side is above 8, and two linear layers. Sows the features of every grid as `grids`.
    """

    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        x = block(space_to_depth(even(x), (2, 2)), 48, train)
        self.sow("intermediates", "grids", x)
        while max(x.shape[1:3]) > 8:
            x = block(halved(x), 64, train)
            self.sow("intermediates", "grids", x)
        return head(x.reshape(x.shape[0], -1), self.num_classes, train)


def block(x: jax.Array, width: int, train: bool) -> jax.Array:
    """A 3 x 3 convolution, batch normalisation and relu: `[B, H, W, C]` to `[B, H, W, width]`."""
    # For a convolution without strides, XLA's own lowering is the fastest on CPUs too.
    x = convolution.Conv(width, 3, use_bias=False, lowering="xla")(x)
    return nn.relu(blocks.norm("batch", train)(x))


def head(x: jax.Array, num_classes: int, train: bool) -> tuple[jax.Array, jax.Array]:
    """Logits `[B, num_classes]` and features `[B, NUM_FEATURES]` of `[B, D]`."""
    features = nn.relu(blocks.norm("batch", train)(nn.Dense(NUM_FEATURES, use_bias=False)(x)))
    return nn.Dense(num_classes)(features), features


def halved(x: jax.Array) -> jax.Array:
    """2 x 2 max pooling of `[B, H, W, C]`; an odd side is padded with zeros first."""
    b, h, w, c = even(x).shape
    return even(x).reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def even(x: jax.Array) -> jax.Array:
    """`[B, H, W, C]` with a row or column of zeros appended where H or W is odd."""
    return jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))


def network(modality: Modality, num_classes: int) -> Network:
    """The judge's network for images of a modality."""
    return Network(num_classes)


def augment(images: np.ndarray, training: Training, rng: np.random.Generator) -> np.ndarray:
    """Images `[N, H, W, C]`, each shifted by up to `training.shift` px along both axes; edge pixels fill the gap."""
    most = training.shift
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    rows, columns = (rng.integers(0, 2 * most + 1, len(images))[:, None] + np.arange(n) for n in images.shape[1:3])
    return padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def controls(images: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`{control: [N, H, W, C]}`: `noise`, uniform in [-1, 1], without information about the class."""
    return {"noise": rng.uniform(-1, 1, images.shape).astype(np.float32)}
