"""The network that judges clips, and how it is trained."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import numpy as np

from mmgen_jax.evaluators.judges.image import block, even, halved, head
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.layers.patches import space_to_depth

VERSION = 1  # raise it whenever the architecture or the training below changes


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge of clips is trained: as a judge of pictures, without shifts, on random frames of each clip.

    Args:
      num_frames: frames drawn of each clip, anew in every epoch.
    """

    steps: int = 1000
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-3
    label_smoothing: float = 0.05
    num_frames: int = 1
    seed: int = 0


class Network(nn.Module):
    """`[B, T, H, W, C]` in [-1, 1], any T, to logits `[B, num_classes]` and features `[B, 128]`, non-negative.

    Each frame goes through convolutions and pooling as in the judge of pictures, until no side is above 8, and through
    global max pooling. The features of the frames are averaged. So the judge recognises the moving object, but neither
    its place nor its motion.
    """

    num_classes: int

    @nn.compact
    def __call__(self, clip: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        x = clip.reshape(-1, *clip.shape[2:])
        x = block(space_to_depth(even(x), (2, 2)), 32, train)
        while max(x.shape[1:3]) > 8:
            x = block(halved(x), 64, train)
        x = block(x, 96, train)
        frames = x.max(axis=(1, 2)).reshape(*clip.shape[:2], -1)
        return head(frames.mean(axis=1), self.num_classes, train)


def network(modality: Modality, num_classes: int) -> Network:
    """The judge's network for clips of a modality."""
    return Network(num_classes)


def augment(clips: np.ndarray, training: Training, rng: np.random.Generator) -> np.ndarray:
    """`[N, num_frames, H, W, C]`: different random frames of each clip `[N, T, H, W, C]`."""
    num = min(training.num_frames, clips.shape[1])
    places = rng.random(clips.shape[:2]).argsort(axis=1)[:, :num]
    return clips[np.arange(len(clips))[:, None], places]


def controls(clips: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`{control: [N, T, H, W, C]}` from real clips `[N, T, H, W, C]` in [-1, 1].

    noise     uniform in [-1, 1]; no information about the class
    frozen    the first frame of each clip, repeated
    shuffled  the frames of each clip in random order; the network is invariant to their order
    """
    order = rng.random(clips.shape[:2]).argsort(axis=1)
    return {
        "noise": rng.uniform(-1, 1, clips.shape).astype(np.float32),
        "frozen": np.repeat(clips[:, :1], clips.shape[1], axis=1),
        "shuffled": clips[np.arange(len(clips))[:, None], order],
    }
