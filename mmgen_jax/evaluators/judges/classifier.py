"""The judge of samples: a small classifier trained on the real examples, cached, and identified by a weights hash.

A judge is trained on the whole training split; of a model that has a `part` of the split, on the other part. Neither
`config.seed` nor `config.data.fraction` changes the judge: its training has its own seed, and a generated data set has
its default seed. So runs that differ in seed or fraction are measured by the same judge.

Numbers from two judges are comparable only where `Classifier.hash` is the same. Training is deterministic from its seed
on one machine, but another processor or library version may round differently and give other weights.
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
from mmgen_jax.errors import ConfigError, DataError, InputError
from mmgen_jax.evaluators.judges import files, fitted
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.train_step import steps


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained judge.

    Args:
      modality: the modality that it judges.
      network: its architecture.
      classes: the class names, in id order.
      variables: parameters and batch statistics of `network`, NumPy arrays.
      accuracy: on the real test split, in [0, 1].
      num_test: number of different test examples that `accuracy` was measured on.
      trained_on: the set, its split and the number of examples, see `files.trained_on`.
    """

    modality: Modality
    network: nn.Module
    classes: tuple[str, ...]
    variables: Mapping[str, Any]
    accuracy: float = float("nan")
    num_test: int = 0
    trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the weights."""
        return files.weights_hash(self.variables)

    @property
    def identity(self) -> dict[str, Any]:
        """The fields about the judge in an evaluation's entry."""
        accuracy = {"judge_accuracy": self.accuracy, "judge_num_test": self.num_test}
        return {"judge": self.hash, **accuracy, "judge_trained_on": dict(self.trained_on)}

    @functools.cached_property
    def _apply(self):
        return jax.jit(lambda x: self.network.apply(self.variables, x))

    def predict(self, arrays: np.ndarray, batch_size: int = 250) -> tuple[np.ndarray, np.ndarray]:
        """Logits `[N, num_classes]` and features `[N, 128]`, float32, of examples `[N, …]` in [-1, 1]."""
        finite = np.isfinite(arrays).reshape(len(arrays), -1).all(-1)
        if not finite.all():  # the network may give them finite logits
            got = f"{np.sum(~finite)} of {len(arrays)} that are not"
            raise InputError(f"{self.modality.kind}: expected finite samples, got {got}")
        parts = []
        for start in range(0, len(arrays), batch_size):
            part = arrays[start : start + batch_size]
            # all batches have one shape, so that the network is compiled once
            padded = np.pad(part, ((0, batch_size - len(part)), *[(0, 0)] * (part.ndim - 1)))
            parts.append([np.asarray(output)[: len(part)] for output in self._apply(padded)])
        logits, features = (np.concatenate(outputs) for outputs in zip(*parts))
        return logits, features

    def classify(self, arrays: np.ndarray) -> np.ndarray:
        """`[N]` class ids of examples `[N, …]` in [-1, 1]."""
        return self.predict(arrays)[0].argmax(-1)


def check(data: Mapping[str, Any], target: str, label: str) -> None:
    """Raises an error unless a judge can learn `label` from `target`; arguments as in `load`.

    Raises:
      ConfigError: the data lacks a modality, or `label` has no classes.
      InputError: see `load`.
    """
    files.check_splits(data)
    try:
        known = examples.whole(data, (target, label)).modalities
    except (ConfigError, DataError) as error:
        known = examples.whole(data, ()).modalities
        if target in known and label in known:
            raise error
    if target in known:
        kind_of(target, known[target])
    for field, name in (("target", target), ("label", label)):
        if name not in known or (field == "label" and not known[name].num_classes):
            every = examples.whole(data, ()).modalities
            labels = ", ".join(other for other, modality in every.items() if modality.num_classes) or "none is there"
            got = f"{name!r} ({known[name].kind})" if name in known else f"{name!r}, which the judge's data lacks"
            expected = f"a label with classes ({labels})" if field == "label" else f"one of {', '.join(every)}"
            raise ConfigError(f"{field}: expected {expected}, got {got}; set {field}")


def load(data: Mapping[str, Any], target: str, label: str, training=None) -> Classifier:
    """The judge that recognises `label` from `target`; trained and cached where the cache lacks it.

    Args:
      data: the data set, as in `config.data`. Split and modalities are chosen here; a `fraction` is ignored.
      target, label: modalities of the source.
      training: the `Training` of the target's kind; None is its default.

    Raises:
      InputError: no network judges this kind, or the data has no test split.
    """
    sources = files.sources(data, (target, label))
    return cached("classifiers", files.trained_on(data, sources[0]), sources, target, label, training)


def cached(
    folder: str,
    trained_on: Mapping[str, Any],
    sources: tuple[Any, Any],
    target: str,
    label: str,
    training=None,
    by=None,
) -> Classifier:
    """The judge of two sources, from the cache's `folder`; trained where the cache lacks it.

    Args:
      sources: the training and the test split, with `target` and `label`.
      trained_on: as in `Classifier`.
      training: as in `load`.
      by: the module that describes the judge's network, as `kind_of` gives it; None: that of the target's kind.
    """
    modality, classes = sources[0].modalities[target], sources[0].modalities[label].classes
    kind = by or kind_of(target, modality)
    training = training or kind.Training()
    identity = {"version": kind.VERSION, "training": dataclasses.asdict(training)}
    identity |= {modality.kind: target, "label": label}
    identity["data"] = [files.fingerprint(source) for source in sources]
    path = files.path(folder, identity)

    def trained() -> None:
        logging.info("training the judge of %r from %r (%d steps), once: %s", label, target, training.steps, path)
        judge = train(*sources, target, label, training, kind)
        about = {"classes": judge.classes, "accuracy": judge.accuracy, "num_test": judge.num_test}
        files.write(path, about, judge.variables)

    about, variables = files.cached(path, trained)
    network = kind.network(modality, len(classes))
    measured = about["accuracy"], about["num_test"], trained_on
    return Classifier(modality, network, tuple(about["classes"]), variables, *measured)


def train(source_train, source_test, target: str, label: str, training=None, by=None) -> Classifier:
    """A judge trained on `source_train` and measured on all of `source_test`; deterministic from `training.seed`.

    Arguments as in `cached`.
    """
    source_train, source_test = (fitted.Pairs(source, (target, label)) for source in (source_train, source_test))
    modality, classes = source_train.modalities[target], source_train.modalities[label].classes
    kind = by or kind_of(target, modality)
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
    """Every different example `[N, …]` of a source once, and its label `[N]`.

    Some data sets repeat examples: `digits` pairs many pictures with the same recording.
    """
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
    """The module of `judges/` for the modality's kind, with `Training`, `network`, `augment` and `controls`.

    Raises:
      InputError: no module for this kind.
    """
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
