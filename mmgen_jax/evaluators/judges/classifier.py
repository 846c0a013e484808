"""The judge of what a model draws: a small classifier trained on the real examples, cached, and named by its weights.

A judge sees the whole training split, always the same: neither `config.seed` (its training has a seed of its own, and a
source made by seed is the one of its default seed) nor `config.data.fraction` changes it, so that runs which differ in
those are measured by one judge.

Numbers that two judges gave are comparable only where `Classifier.hash` is the same: training is deterministic from
its seed on one machine, but another processor or library version rounds differently.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import logging

from mmgen_jax import lookup
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.judges import files
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.train_step import steps


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained judge.

    Args:
      modality: that it judges; network: its architecture.
      classes: the class names, in id order.
      variables: of `network`, NumPy arrays.
      accuracy: of the real test split, in [0, 1]; `num_test` different examples.
    """

    modality: Modality
    network: nn.Module
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
        return jax.jit(lambda x: self.network.apply(self.variables, x))

    def predict(self, arrays: np.ndarray, batch_size: int = 250) -> tuple[np.ndarray, np.ndarray]:
        """Logits `[N, num_classes]` and features `[N, 128]`, float32, of examples `[N, …]` in [-1, 1]."""
        parts = []
        for start in range(0, len(arrays), batch_size):
            part = arrays[start : start + batch_size]
            # one shape, one compilation
            padded = np.pad(part, ((0, batch_size - len(part)), *[(0, 0)] * (part.ndim - 1)))
            parts.append([np.asarray(output)[: len(part)] for output in self._apply(padded)])
        logits, features = (np.concatenate(outputs) for outputs in zip(*parts))
        return logits, features

    def classify(self, arrays: np.ndarray) -> np.ndarray:
        """`[N]` class ids."""
        return self.predict(arrays)[0].argmax(-1)


def load(data: Mapping[str, Any], target: str, label: str, training=None) -> Classifier:
    """The judge of `label` from `target` for a data set; trained where the cache lacks it.

    Args:
      data: of the source, as in `config.data`: `name` and its fields; split and modalities are chosen here, and a
        `fraction` is left out.
      target, label: modalities of the source.
      training: the `Training` of the target's kind; None is its default.

    Raises:
      InputError: no network judges this kind, or the data has no test split.
    """
    source_train, source_test = files.sources(data, (target, label))
    modality, classes = source_train.modalities[target], source_train.modalities[label].classes
    kind = kind_of(target, modality)
    training = training or kind.Training()
    identity = {"version": kind.VERSION, "training": dataclasses.asdict(training)}
    identity |= {modality.kind: target, "label": label}
    identity["data"] = [files.fingerprint(source) for source in (source_train, source_test)]
    path = files.path("classifiers", identity)
    if not path.exists():
        logging.info("training the judge of %r from %r (%d steps), once: %s", label, target, training.steps, path)
        judge = train(source_train, source_test, target, label, training)
        about = {"classes": judge.classes, "accuracy": judge.accuracy, "num_test": judge.num_test}
        files.write(path, about, judge.variables)
    about, variables = files.read(path)
    network = kind.network(modality, len(classes))
    return Classifier(modality, network, tuple(about["classes"]), variables, about["accuracy"], about["num_test"])


def train(source_train, source_test, target: str, label: str, training=None) -> Classifier:
    """Trains a judge on one source and measures it on all of another; deterministic from `training.seed`."""
    modality, classes = source_train.modalities[target], source_train.modalities[label].classes
    kind = kind_of(target, modality)
    training = training or kind.Training()
    network = kind.network(modality, len(classes))
    schedule = optax.warmup_cosine_decay_schedule(0, training.lr, min(100, training.steps // 10), training.steps)
    optimizer = optax.adamw(schedule, weight_decay=training.weight_decay)

    def loss(params, statistics, arrays, labels):
        (logits, _), updated = network.apply(
            {"params": params, "batch_stats": statistics}, arrays, train=True, mutable="batch_stats"
        )
        targets = optax.smooth_labels(jax.nn.one_hot(labels, len(classes)), training.label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean(), updated["batch_stats"]

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, batch):
        params, statistics, optimizer_state = state
        (value, statistics), grads = jax.value_and_grad(loss, has_aux=True)(
            params, statistics, batch[target], batch[label]
        )
        updates, optimizer_state = optimizer.update(grads, optimizer_state, params)
        return (optax.apply_updates(params, updates), statistics, optimizer_state), {"loss": value}

    variables = jax.jit(network.init)(jax.random.key(training.seed), jnp.zeros((1, *modality.shape)))
    params, statistics = variables["params"], variables["batch_stats"]
    state = params, statistics, jax.jit(optimizer.init)(params)
    batches = _train_batches(source_train, target, label, training, kind.augment)
    _, (params, statistics, _), _ = collections.deque(steps(step, state, batches, stop=training.steps), maxlen=1)[0]

    judge = Classifier(modality, network, classes, jax.device_get({"params": params, "batch_stats": statistics}))
    arrays, labels = distinct(source_test, target, label)
    accuracy = float((judge.classify(arrays) == labels).mean())
    return dataclasses.replace(judge, accuracy=accuracy, num_test=len(labels))


def distinct(source, target: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Every different example of a source once, and its label: sets that draw a sound per picture repeat theirs."""
    seen, arrays, labels = set(), [], []
    for start in range(0, len(source), 1000):
        indices = np.arange(start, min(start + 1000, len(source)))
        batch = source.read(indices, np.zeros_like(indices))
        digests = [files.digest(row) for row in batch[target]]
        new = [i for i, digest in enumerate(digests) if digest not in seen and digest not in digests[:i]]
        seen.update(digests)
        arrays.append(batch[target][new])
        labels.append(batch[label][new])
    return np.concatenate(arrays), np.concatenate(labels)


def kind_of(target: str, modality: Modality):
    """The module of the kind: `Training`, `network`, `augment`, `controls`."""
    judged = lookup.available("judges")
    if modality.kind not in judged:
        raise InputError(
            f"judge: no network judges {target!r}, of kind {modality.kind!r}; there is one for {', '.join(judged)}, "
            "and the evaluator captions for a text"
        )
    return importlib.import_module(lookup.find("judges", modality.kind).__module__)


def _train_batches(source, target: str, label: str, training, augment) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(training.seed)
    order, epoch = np.zeros(0, np.int64), -1
    while True:
        if len(order) < training.batch_size:
            order, epoch = rng.permutation(len(source)), epoch + 1
        indices, order = order[: training.batch_size], order[training.batch_size :]
        batch = source.read(indices, np.full_like(indices, epoch))
        yield {target: augment(batch[target], training, rng), label: batch[label]}
