"""The judge of motion: a network over successive frames that tells clips as they are from clips out of order.

The judge of clips in `judges/video.py` does not see the order of frames. This judge is trained to name the order of a
clip (as in Misra et al., 2016, Shuffle and Learn), together with the class of the clip where the data has a label. The
orders, each drawn for a third of the clips:

    played    as it is
    shuffled  the frames in random order
    frozen    one frame, again and again

Departs from the paper: whole clips instead of three frames, and the class beside the order.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import classifier, files
from mmgen_jax.evaluators.judges.image import block, halved, head
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality
from mmgen_jax.networks.layers.patches import space_to_depth

VERSION = 1  # raise it whenever the architecture or the training below changes
ORDERS = ("played", "shuffled", "frozen")
LABEL = "order"
WINDOW = 3  # successive frames that one set of features sees
PATCH = 4  # px a side that become channels
ROLE = 0x0DE5  # keeps the draw of the orders apart from other draws


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge of motion is trained, as `judges/video.py` but on successive frames.

    Args:
      num_frames: successive frames of each clip, from a place that is drawn anew in every epoch; at least `WINDOW`.
    """

    steps: int = 600
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-3
    label_smoothing: float = 0.05
    num_frames: int = 4
    seed: int = 0

    def __post_init__(self):
        if self.num_frames < WINDOW:
            raise ConfigError(f"judges/motion.num_frames: expected at least {WINDOW}, got {self.num_frames}")


class Motion(nn.Module):
    """`[B, T, H, W, C]` in [-1, 1], T at least `WINDOW`, to logits `[B, num_classes]` and features `[B, 128]`, >= 0.

    Each three successive frames, as the first frame and two differences, go through convolutions and pooling until no
    side is above 8, and through global max pooling. The features of all such windows are averaged.
    """

    num_classes: int

    @nn.compact
    def __call__(self, clip: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        steps = [clip[:, t : clip.shape[1] - WINDOW + 1 + t] for t in range(WINDOW)]  # each [B, T - 2, H, W, C]
        windows = jnp.concatenate([steps[0], *(after - before for before, after in itertools.pairwise(steps))], axis=-1)
        x = windows.reshape(-1, *windows.shape[2:])
        pads = [(0, -size % PATCH) for size in x.shape[1:3]]
        x = block(space_to_depth(jnp.pad(x, ((0, 0), *pads, (0, 0))), (PATCH, PATCH)), 64, train)
        while max(x.shape[1:3]) > 8:
            x = block(halved(x), 64, train)
        x = block(x, 64, train).max(axis=(1, 2)).reshape(*windows.shape[:2], -1)
        return head(x.mean(axis=1), self.num_classes, train)


def network(modality: Modality, num_classes: int) -> Motion:
    """The judge's network for clips of a modality."""
    return Motion(num_classes)


def augment(clips: np.ndarray, training: Training, rng: np.random.Generator) -> np.ndarray:
    """`[N, num_frames, H, W, C]`: successive frames of each clip `[N, T, H, W, C]`, from a random place."""
    num = min(training.num_frames, clips.shape[1])
    starts = rng.integers(0, clips.shape[1] - num + 1, len(clips))
    return clips[np.arange(len(clips))[:, None], starts[:, None] + np.arange(num)]


class Ordered:
    """A source of clips in an order that is drawn for each clip, a function of (index, epoch); see `ORDERS`.

    Modalities: `target`, and the label `order`; its classes are the orders, or each class of `label` in each order.
    """

    def __init__(self, source: Any, target: str, label: str):
        self._source, self._target, self._label = source, target, label
        classes = [f"{name} " for name in source.modalities[label].classes] if label else [""]
        order = Modality("label", classes=tuple(name + order for name in classes for order in ORDERS))
        self.modalities = {target: source.modalities[target], LABEL: order}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        batch = self._source.read(indices, epochs)
        clips, orders = np.array(batch[self._target]), np.zeros(len(indices), np.int32)
        for i, (index, epoch) in enumerate(zip(indices, epochs)):
            rng = np.random.default_rng([ROLE, int(index), int(epoch)])
            orders[i] = rng.integers(len(ORDERS))
            clips[i] = clips[i][places(ORDERS[orders[i]], len(clips[i]), rng)]
        classes = np.asarray(batch[self._label]) * len(ORDERS) if self._label else 0
        masks = {name: mask for name, mask in batch.items() if name == self._target + MASK_SUFFIX}
        return {self._target: clips, LABEL: (orders + classes).astype(np.int32), **masks}


def places(order: str, num: int, rng: np.random.Generator) -> np.ndarray:
    """`[num]`: the frames of a clip of `num` frames in an order of `ORDERS`."""
    if order == "shuffled":
        return rng.permutation(num)
    return np.full(num, rng.integers(num)) if order == "frozen" else np.arange(num)


def check(data: Mapping[str, Any], target: str, label: str, modalities: Mapping[str, Modality]) -> None:
    """Raises an error unless a judge can learn the order, and `label` unless it is "", from the clips `target`.

    Raises:
      ConfigError: the target is no clip, or has fewer than `WINDOW` frames; see also `classifier.check`.
    """
    if target not in modalities or not needs.CLIP.suits(modalities[target]):
        got = f"{target!r} ({modalities[target].kind})" if target in modalities else f"{target!r}, which the data lacks"
        raise ConfigError(f"target: expected {needs.CLIP.words}, got {got}; measure the model by another evaluator")
    if (num := modalities[target].shape[0]) < WINDOW:
        raise ConfigError(f"target: expected clips of at least {WINDOW} frames, got {num}; use longer clips")
    if label:
        classifier.check(data, target, label)
    files.check_splits(data)


def load(
    data: Mapping[str, Any], target: str, label: str = "", training: Training | None = None
) -> classifier.Classifier:
    """The judge of the order of clips, and of `label` unless it is "", trained or from the cache.

    Arguments as in `classifier.load`.
    """
    source_train, source_test = files.sources(data, (target, *([label] if label else [])))
    ordered = Ordered(source_train, target, label), Ordered(source_test, target, label)
    trained_on, by = files.trained_on(data, source_train), sys.modules[__name__]
    return classifier.cached("motion_classifiers", trained_on, ordered, target, LABEL, training, by)
