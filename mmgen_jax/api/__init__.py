"""What the commands do, from Python: arrays instead of files.

    from mmgen_jax import api

    api.train("configs/quickstart.py", "runs/quickstart")
    run = api.load("runs/quickstart")
    images = api.sample(run, {"text": "a large green star"}, num=4)["image"]      # [4, 32, 32, 3], in [-1, 1]
    entries = api.evaluate("runs/quickstart")

`run` is a workdir or what `load` gives; a loaded run is compiled once, whatever is drawn from it.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax import evaluate as _evaluate
from mmgen_jax import sample as _sample
from mmgen_jax import train as _train
from mmgen_jax.config import loading
from mmgen_jax.config.schema import Config
from mmgen_jax.modalities.modality import Batch
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import restore
from mmgen_jax.training.state import TrainState

__all__ = ["encode", "evaluate", "load", "sample", "train"]

Run = str | os.PathLike | Sampler


def train(config: str | Config, workdir: str | os.PathLike) -> TrainState:
    """Trains a config, given or named as `configs/X.py:argument`; goes on where the workdir has a run of it."""
    return _train.train(loading.load(config) if isinstance(config, str) else config, pathlib.Path(workdir))


def load(workdir: str | os.PathLike, changes: Mapping[str, Any] | None = None) -> Sampler:
    """The newest checkpoint of a workdir, ready to draw from; `changes` as `runs.workdir.restore` takes them."""
    return restore(pathlib.Path(workdir), changes=changes)[2]


def sample(run: Run, given: Mapping[str, Any] | None = None, num: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """`{target: [num, …]}`, drawn given conditions by name: `{"text": "a red star", "digit": 3, "audio": "a.wav"}`.

    Conditions that are not given are masked. The same call gives the same samples. Given a file of texts
    (`"@prompts.txt"`), `num` are drawn of each.
    """
    sampler = _loaded(run)
    return _sample.draw(sampler, _sample.batch_of(sampler.system, given or {}, num), num, seed)


def evaluate(workdir: str | os.PathLike, split: str = "") -> dict[str, dict[str, Any]]:
    """`{"<split>/<evaluator>/<metric>": {"value", "n", …}}` of the newest checkpoint, also into `evaluation.json`."""
    return _evaluate.evaluate(pathlib.Path(workdir), split)


def encode(run: Run, batch: Batch) -> np.ndarray:
    """`[B, D]`, the conditions of each example as one vector, of an objective that embeds.

    Args:
      batch: `{name: [B, …]}` of the model's conditions, as its data source reads them.
    """
    return _loaded(run).embed(batch)


def _loaded(run: Run) -> Sampler:
    return run.rewind() if isinstance(run, Sampler) else load(run)
