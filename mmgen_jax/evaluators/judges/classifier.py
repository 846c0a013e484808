"""The judge of generated pictures: a small classifier trained on the real ones, cached, and named by its weights.

A judge sees the whole training split, always the same: neither `config.seed` (its training has a seed of its own, and a
source made by seed is the one of its default seed) nor `config.data.fraction` changes it, so that runs which differ in
those are measured by one judge.

Numbers that two judges gave are comparable only where `Classifier.hash` is the same: training is deterministic from
its seed on one machine, but another processor or library version rounds differently.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import logging

from mmgen_jax.evaluators.judges import files
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
        x = self._block(space_to_depth(_even(x), (2, 2)), 48, train)
        while max(x.shape[1:3]) > 8:
            b, h, w, c = _even(x).shape
            x = self._block(_even(x).reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4)), 64, train)
        x = nn.Dense(NUM_FEATURES, use_bias=False)(x.reshape(x.shape[0], -1))
        features = nn.relu(blocks.norm("batch", train)(x))
        return nn.Dense(self.num_classes)(features), features

    def _block(self, x: jax.Array, width: int, train: bool) -> jax.Array:
        # Without strides XLA's own convolution is the faster lowering on CPUs too.
        x = convolution.Conv(width, 3, use_bias=False, lowering="xla")(x)
        return nn.relu(blocks.norm("batch", train)(x))


def _even(x: jax.Array) -> jax.Array:
    """Zeros after the last row and column where their count is odd."""
    return jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained judge.

    Args:
      classes: the class names, in id order.
      variables: of `Network`, NumPy arrays.
      accuracy: of the real test split, in [0, 1]; `num_test` examples.
    """

    classes: tuple[str, ...]
    variables: Mapping[str, Any]
    accuracy: float = float("nan")
    num_test: int = 0

    @functools.cached_property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the weights."""
        return files.weights_hash(self.variables)

    @property
    def identity(self) -> dict[str, Any]:
        """What an entry of an evaluation states about its judge."""
        return {"judge": self.hash, "judge_accuracy": self.accuracy, "judge_num_test": self.num_test}

    @functools.cached_property
    def _apply(self):
        return jax.jit(lambda x: Network(len(self.classes)).apply(self.variables, x))

    def predict(self, images: np.ndarray, batch_size: int = 250) -> tuple[np.ndarray, np.ndarray]:
        """Logits `[N, num_classes]` and features `[N, 128]`, float32, of images `[N, H, W, C]` in [-1, 1]."""
        parts = []
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            padded = np.pad(part, ((0, batch_size - len(part)), (0, 0), (0, 0), (0, 0)))  # one shape, one compilation
            parts.append([np.asarray(output)[: len(part)] for output in self._apply(padded)])
        return tuple(np.concatenate(outputs) for outputs in zip(*parts))


def load(data: Mapping[str, Any], image: str, label: str, training: Training = Training()) -> Classifier:
    """The judge of `label` from `image` for a data set; trained where the cache lacks it.

    Args:
      data: of the source, as in `config.data`: `name` and its fields; split and modalities are chosen here, and a
        `fraction` is left out.
      image, label: modalities of the source.
    """
    source_train, source_test = files.sources(data, (image, label))
    identity = {"version": VERSION, "training": dataclasses.asdict(training), "image": image, "label": label}
    identity["data"] = [files.fingerprint(source) for source in (source_train, source_test)]
    path = files.path("classifiers", identity)
    if not path.exists():
        logging.info("training the judge of %r from %r (%d steps), once: %s", label, image, training.steps, path)
        judge = train(source_train, source_test, image, label, training)
        about = {"classes": judge.classes, "accuracy": judge.accuracy, "num_test": judge.num_test}
        files.write(path, about, judge.variables)
    about, variables = files.read(path)
    return Classifier(tuple(about["classes"]), variables, about["accuracy"], about["num_test"])


def train(source_train, source_test, image: str, label: str, training: Training = Training()) -> Classifier:
    """Trains a judge on one source and measures it on all of another; deterministic from `training.seed`."""
    classes = source_train.modalities[label].classes
    network = Network(len(classes))
    schedule = optax.warmup_cosine_decay_schedule(0, training.lr, min(100, training.steps // 10), training.steps)
    optimizer = optax.adamw(schedule, weight_decay=training.weight_decay)

    def loss(params, statistics, images, labels):
        (logits, _), updated = network.apply(
            {"params": params, "batch_stats": statistics}, images, train=True, mutable="batch_stats"
        )
        targets = optax.smooth_labels(jax.nn.one_hot(labels, len(classes)), training.label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean(), updated["batch_stats"]

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, statistics, state, images, labels):
        grads, statistics = jax.grad(loss, has_aux=True)(params, statistics, images, labels)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), statistics, state

    shape = source_train.modalities[image].shape
    variables = jax.jit(network.init)(jax.random.key(training.seed), jnp.zeros((1, *shape)))
    params, statistics = variables["params"], variables["batch_stats"]
    state = jax.jit(optimizer.init)(params)
    for batch in _train_batches(source_train, image, label, training):
        params, statistics, state = step(params, statistics, state, batch[image], batch[label])

    judge = Classifier(classes, jax.device_get({"params": params, "batch_stats": statistics}))
    correct = 0
    for start in range(0, len(source_test), 1000):
        indices = np.arange(start, min(start + 1000, len(source_test)))
        batch = source_test.read(indices, np.zeros_like(indices))
        correct += int((judge.predict(batch[image])[0].argmax(-1) == batch[label]).sum())
    return dataclasses.replace(judge, accuracy=correct / len(source_test), num_test=len(source_test))


def _train_batches(source, image: str, label: str, training: Training) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(training.seed)
    order, epoch = np.zeros(0, np.int64), -1
    for _ in range(training.steps):
        if len(order) < training.batch_size:
            order, epoch = rng.permutation(len(source)), epoch + 1
        indices, order = order[: training.batch_size], order[training.batch_size :]
        batch = source.read(indices, np.full_like(indices, epoch))
        yield {image: _shifted(batch[image], training.shift, rng), label: batch[label]}


def _shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to `most` px each way; the edge's pixels fill what comes free."""
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    rows, columns = (rng.integers(0, 2 * most + 1, len(images))[:, None] + np.arange(n) for n in images.shape[1:3])
    return padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
