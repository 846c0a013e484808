"""The commands from Python: arrays instead of files.

    from mmgen_jax import api

    api.train("configs/quickstart.py", "runs/quickstart")
    run = api.load("runs/quickstart")
    images = api.sample(run, {"text": "a large green star"}, num=4)["image"]      # [4, 32, 32, 3], in [-1, 1]
    entries = api.evaluate("runs/quickstart")

`run` is a workdir, or a run loaded by `load`; a loaded run is compiled only once for all samples.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax import evaluate as _evaluate
from mmgen_jax import sample as _sample
from mmgen_jax import train as _train
from mmgen_jax.api import sources
from mmgen_jax.config import loading, override, ranges
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import InputError
from mmgen_jax.modalities.modality import Batch
from mmgen_jax.runs import pictures, remote
from mmgen_jax.runs.sampler import Sampler, check_named
from mmgen_jax.runs.workdir import check_place, restore
from mmgen_jax.training.state import TrainState

__all__ = ["encode", "evaluate", "generate", "interpolate", "latents", "load", "sample", "train"]

Run = str | os.PathLike | Sampler


def train(
    config: str | os.PathLike | Config,
    workdir: str | os.PathLike,
    source: Any = None,
    changes: Mapping[str, Any] | None = None,
    names: Mapping[str, str | None] | Sequence[str | None] = (),
) -> TrainState:
    """Trains a config, given or named as on the command line; goes on where the workdir has a run of it.

    Args:
      source: data of your own in the place of the config's: a folder or an .npz file by its path; arrays by name,
        `{"image": [N, H, W, C], "text": [N strings]}`; rows, an iterable of such dicts or of tuples; a `Dataset` or
        `DatasetDict` of HuggingFace, or a `Dataset` of PyTorch; several of these by split, `{"train": …, "test": …}`.
        Pictures are uint8, floats in [0, 1] or in [-1, 1], PIL images or tensors. A list of texts has several texts
        of one example: training draws one in each pass. A source that is not a path is read once and, after all
        checks, written to `workdir/data.npz`. The run reads this file from then on. The source has to fit in memory.
      changes: fields as `--config.a.b=value` changes them, `{"train.steps": 100, "fusion.name": "gated"}`.
      names: the modalities that the source's fields are, `{"img": "image"}`, or one name for each place of a tuple.
        None leaves out a field or a split, `{"meta": None, "unsupervised": None}`.
    """
    if isinstance(config, (str, os.PathLike)):
        config = loading.load(os.fspath(config), (changes or {}).get("data.layout", ""))
    if source is None:
        return _train.train(override.override(config, changes or {}, say=print), workdir)
    remote.refuse(workdir, "a run on data of your own")
    workdir = check_place(workdir, "--workdir")
    return _train.train(sources.attach(config, source, workdir, names, changes, check=_train.prepare), workdir)


def load(workdir: str | os.PathLike, changes: Mapping[str, Any] | None = None, step: int = 0) -> Sampler:
    """A checkpoint of a workdir, ready to draw from; `changes` and `step` (0: the newest) as `restore` takes them."""
    return restore(workdir, changes=changes, step=step)[2]


def sample(
    run: Run, given: Mapping[str, Any] | None = None, num: int = 16, seed: int = 0, first: int = 0
) -> dict[str, np.ndarray]:
    """`{target: [num, …]}`, drawn given conditions by name: `{"text": "a red star", "digit": 3, "audio": "a.wav"}`.
    A value may also be a list, `{"text": ["a red star", "a blue ring"]}`, or an array, `[*shape]` or `[n, *shape]`, as
    the model reads it.

    Conditions that are not given are masked. Sample i is a function of `seed` and i: `first=8, num=8` draws the samples
    8 to 15 of `num=16` alone. Given several values (a list, `"@prompts.txt"` with one a line, an array `[n, …]`),
    `num` are drawn of each, and the value's place counts as well.

    Picture files of any size, given for sources that lie on the target's grid (`config.aligned`), are drawn at their
    size: `[num, H, W, C]`.
    """
    sampler = _loaded(run)
    _sample.check_numbers(num, seed, first)
    if asked := pictures.request(sampler.system, given := _conditions(given)):
        return {asked.target: asked.arrays(sampler, num, seed, first)}
    return _sample.draw(sampler, _sample.batch_of(sampler.system, given, num), num, seed, first)


def evaluate(
    workdir: str | os.PathLike, split: str = "", changes: Mapping[str, Any] | None = None, step: int = 0
) -> dict[str, dict[str, Any]]:
    """`{"<split>/<evaluator>/<metric>": {"value", "n", …}}` of a checkpoint, also into `evaluation.json`.

    Args:
      changes: as in `load`. The file is written unless a field that sampling reads is changed; data that has moved is
        given again by `{"data.directory": "elsewhere/pets"}`.
      step: of the checkpoint, whose entries then go into `evaluation_<step>.json`; 0: the newest.
    """
    return _evaluate.evaluate(workdir, split, changes, step=step)


def encode(run: Run, batch: Batch) -> np.ndarray:
    """`[B, D]`, the conditions of each example as one vector, of an objective that embeds.

    Args:
      batch: `{name: [B, …]}` of the model's conditions, as its data source reads them.
    """
    return _loaded(run).embed(batch)


def latents(run: Run, batch: Batch, given: Mapping[str, Any] | None = None) -> np.ndarray:
    """`[B, Z]`, the latents of the batch's targets, from the model's encoder.

    For a VAE, they are the posterior's mean; for a multimodal VAE, a draw from the posterior.

    Args:
      batch: `{name: [B, …]}` of the targets, and of conditions that differ between examples.
      given: conditions of all examples, as `sample` takes them. Conditions in neither `batch` nor
        `given` are masked.

    Raises:
      InputError: a model without such an encoder; its family's `abilities` lack `to_latent`.
    """
    sampler = _loaded(run)
    check_named(batch)
    if not batch or not given:
        return sampler.to_latent(batch)
    size = len(np.atleast_1d(next(iter(batch.values()))))
    return sampler.to_latent({**_sample.batch_of(sampler.system, _conditions(given), size), **batch})


def generate(run: Run, latent: np.ndarray, given: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
    """`{target: [B, …]}` at latents `[B, Z]`, given conditions as `sample` takes them: one of each, or B of them.

    Raises:
      InputError: a model without latents, or a number of conditions that is neither 1 nor B.
    """
    sampler = _loaded(run)
    if np.ndim(latent) != 2 or not len(latent):
        raise InputError(f"generate: expected latents [B, Z], at least one, got {list(np.shape(latent))}")
    batch = _sample.batch_of(sampler.system, _conditions(given), 1) or _nothing(sampler, 1)
    if (size := len(next(iter(batch.values())))) not in (1, len(latent)):
        raise InputError(f"generate: expected one latent for each of {size} conditions, got {len(latent)}")
    batch = {name: np.repeat(values, len(latent) // size, axis=0) for name, values in batch.items()}
    return sampler.from_latent(batch, np.asarray(latent, np.float32))


def interpolate(
    run: Run,
    given: Mapping[str, Any] | None = None,
    ends: np.ndarray | None = None,
    num: int = 8,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """`{target: [num, …]}` along the path between two latents, at one condition.

    Spherical linear interpolation (slerp; Shoemake, 1985; White, 2016): the norm stays between the norms of the ends,
    so between two draws from a normal prior it stays typical of the prior.

    Args:
      ends: two latents `[2, Z]`, for example from `latents`; default: two latents drawn with `seed`.
    """
    sampler = _loaded(run)
    ranges.check_value(ranges.Size, num, "num")
    if ends is None:
        _sample.check_numbers(num, seed, 0)
        sampler.seed = seed
        ends = sampler.draw_latent(_sample.batch_of(sampler.system, _conditions(given), 2) or _nothing(sampler, 2))
    if np.ndim(ends) != 2 or len(ends) != 2:
        raise InputError(f"interpolate: expected two ends [2, Z], got {list(np.shape(ends))}")
    return generate(sampler, great_circle(ends[0], ends[1], num), given)


def great_circle(first: np.ndarray, second: np.ndarray, num: int) -> np.ndarray:
    """`[num, Z]` from one latent `[Z]` to another: slerp of the direction, linear interpolation of the norm.

    The latents themselves are interpolated linearly where an end is 0 or the directions are opposite.
    """
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    cosine = np.dot(first, second) / max(float(lengths[0] * lengths[1]), 1e-12)
    angle, parts = np.arccos(np.clip(cosine, -1, 1)), np.linspace(0, 1, num)[:, None]
    if np.sin(angle) < 1e-6 or not all(lengths):
        return (1 - parts) * first + parts * second
    way = np.sin((1 - parts) * angle) * first / lengths[0] + np.sin(parts * angle) * second / lengths[1]
    return way / np.sin(angle) * ((1 - parts) * lengths[0] + parts * lengths[1])


def _conditions(given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"given: expected conditions by name, {{'text': 'a red star'}}, got a {type(given).__name__}")
    return given or {}


def _nothing(sampler: Sampler, num: int) -> dict[str, np.ndarray]:
    """A batch of `num` examples without conditions."""
    return {sampler.system.target: sampler.system.modalities[sampler.system.target].zeros(num)}


def _loaded(run: Run) -> Sampler:
    return run.rewind() if isinstance(run, Sampler) else load(run)
