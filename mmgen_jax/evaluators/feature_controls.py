"""Controls of metrics in the features of a judge: real examples that are spoilt, measured as samples are.

A metric that ranks spoilt real examples above a model does not measure quality. The controls are made of as many
training examples as there are measured examples, so that the numbers are comparable with the model's. Controls are
computed once for each judge and set of measured examples, and kept in the cache.

    real      training examples as they are
    blur      each axis of space or time filtered with (1, 4, 6, 4, 1) / 16
    noise     white noise of standard deviation 0.2 added, in the range [-1, 1]
    mean      the mean of two examples
    repeated  `REPEATED` examples of each class (as the judge names it), again and again, in the class shares
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators.judges import classifier, files
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities.modality import MASK_SUFFIX

VERSION = 1  # raise it whenever a control or a metric below changes
FILTER = np.array([1, 4, 6, 4, 1], np.float32) / 16  # of Burt & Adelson 1983: a blur of 1 px or sample
NOISE = 0.2
REPEATED = 5
CHUNK = 256  # examples that are spoilt at a time
Compare = Callable[[np.ndarray, np.ndarray], dict[str, dict[str, Any]]]
Spoil = Callable[[np.ndarray, np.random.Generator], dict[str, np.ndarray]]


def measure(
    judge: classifier.Classifier,
    data: Mapping[str, Any],
    target: str,
    real: np.ndarray,
    compare: Compare,
    further: Mapping[str, Spoil] | None = None,
) -> dict[str, dict[str, float]]:
    """`{metric: {control: value}}` for every metric of `compare`.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      real: features `[N, D]` of the measured examples.
      compare: gives `{metric: {"value": …}}` from the features of the measured examples and of others.
      further: `{name: spoil}`, functions `(examples [N, …], rng) -> {control: [N, …]}` for further controls; the names
        are part of the place in the cache.
    """
    digest = hashlib.sha256(np.ascontiguousarray(real).tobytes()).hexdigest()
    identity = {"version": VERSION, "judge": judge.hash, "real": digest}
    path = files.path("controls", identity | ({"further": sorted(further)} if further else {}))

    def measured() -> None:
        arrays = training(examples.whole(data, (target,)), target, len(real))
        values = {
            name: {metric: entry["value"] for metric, entry in compare(real, features).items()}
            for name, features in _features(judge, arrays, further or {}).items()
        }
        files.write(path, values, {})

    values, _ = files.cached(path, measured)
    metrics = next(iter(values.values()))
    return {metric: {name: control[metric] for name, control in values.items()} for metric in metrics}


def _features(judge: classifier.Classifier, arrays: np.ndarray, further: Mapping[str, Spoil]) -> dict[str, np.ndarray]:
    logits, features = judge.predict(arrays)
    rng, parts = np.random.default_rng(examples.SEED), []
    for start in range(0, len(arrays), CHUNK):  # so that the spoilt copies of all examples are never in memory
        others = arrays[np.arange(start - 1, min(start + CHUNK, len(arrays)) - 1)]
        spoilt = spoil(arrays[start : start + CHUNK], others, rng)
        for function in further.values():
            spoilt |= function(arrays[start : start + CHUNK], rng)
        parts.append({name: judge.predict(copies)[1] for name, copies in spoilt.items()})
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {"real": features, **found, "repeated": features[repeated(logits.argmax(-1))]}


def training(source: Any, target: str, num: int) -> np.ndarray:
    """`[num, …]`: training examples that have the target, in their random order, some twice where there are too few."""
    order, found = examples.order(len(source)), []
    for start in range(0, len(order), CHUNK):
        indices = order[start : start + CHUNK]
        batch = source.read(indices, np.zeros_like(indices))
        found.extend(batch[target][np.broadcast_to(batch.get(target + MASK_SUFFIX, True), len(indices))])
        if len(found) >= num:
            break
    return np.stack(found)[np.resize(np.arange(min(len(found), num)), num)]


def spoil(arrays: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`{control: [N, …]}`: `blur`, `noise` and `mean` (with `others`) of examples `[N, …]` in [-1, 1]."""
    noise = rng.normal(0, NOISE, arrays.shape).astype(np.float32)
    return {
        "blur": blur(arrays),
        "noise": np.clip(arrays + noise, -1, 1),
        "mean": (arrays + others) / 2,
    }


def blur(arrays: np.ndarray) -> np.ndarray:
    """Arrays `[N, …]` filtered along every axis of space or time; the edge value fills the gap.

    A sound `[N, S]` has one such axis. The last axis of pictures `[N, H, W, C]` and clips `[N, T, H, W, C]` is the
    channel axis.
    """
    for axis in range(1, max(arrays.ndim - 1, 2)):
        width = [(2, 2) if i == axis else (0, 0) for i in range(arrays.ndim)]
        padded, size = np.pad(arrays, width, mode="edge"), arrays.shape[axis]
        arrays = np.zeros_like(arrays)
        for i, weight in enumerate(FILTER):
            arrays += weight * padded.take(range(i, i + size), axis=axis)
    return arrays


def repeated(classes: np.ndarray) -> np.ndarray:
    """`[N]` indices into examples of `classes [N]`: of each class its first `REPEATED` examples, in turn."""
    indices = np.empty(len(classes), np.int64)
    for name in np.unique(classes):
        members = np.flatnonzero(classes == name)
        indices[members] = np.resize(members[:REPEATED], len(members))
    return indices
