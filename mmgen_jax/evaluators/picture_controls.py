"""Controls of metrics of pixels: real pictures that are spoilt, measured as samples are.

The controls are those of `feature_controls`, of as many training pictures as there are measured pictures. There is no
judge that names classes, so `repeated` is `FEW` training pictures, again and again. The controls are computed once for
each metric and set of measured pictures, and kept in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators import feature_controls
from mmgen_jax.evaluators.judges import files
from mmgen_jax.evaluators.measures import examples

VERSION = 1  # raise it whenever a control or a metric that is measured on it changes
FEW = 50
NAMES = ("real", "blur", "noise", "mean", "repeated")


def measure(
    metric: Mapping[str, Any],
    data: Mapping[str, Any],
    target: str,
    real: np.ndarray,
    compare: Callable[[np.ndarray], Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """`{name: {control: value}}` for every value that `compare` names.

    Args:
      metric: the metric's name and its parameters, JSON values: all that the metric depends on besides the pictures.
      data: the source of the training pictures, as in `config.data`.
      real: the measured pictures `[N, H, W, C]`.
      compare: gives `{name: value}` of pictures `[N, H, W, C]` in place of samples.
    """
    source = examples.whole(data, (target,))
    digest = hashlib.sha256(np.ascontiguousarray(real).tobytes()).hexdigest()
    identity = {"version": VERSION, "metric": dict(metric), "real": digest, "training": files.fingerprint(source)}
    path = files.path("picture_controls", identity)

    def measured() -> None:
        pictures = feature_controls.training(source, target, len(real))
        files.write(path, {name: dict(compare(spoilt(pictures, name))) for name in NAMES}, {})

    values, _ = files.cached(path, measured)
    return {name: {control: values[control][name] for control in NAMES} for name in values["real"]}


def spoilt(pictures: np.ndarray, control: str) -> np.ndarray:
    """Pictures `[N, H, W, C]` in [-1, 1], spoilt in one way; no other copy of all pictures is held in memory."""
    if control == "real":
        return pictures
    if control == "repeated":
        return pictures[np.resize(np.arange(min(FEW, len(pictures))), len(pictures))]
    rng, parts = np.random.default_rng(examples.SEED), []
    for start in range(0, len(pictures), feature_controls.CHUNK):
        rows = np.arange(start, min(start + feature_controls.CHUNK, len(pictures)))
        parts.append(feature_controls.spoil(pictures[rows], pictures[rows - 1], rng)[control])
    return np.concatenate(parts)
