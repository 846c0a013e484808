"""Writes samples as files to look at and listen to. The docstring of each kind lists its files."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from mmgen_jax.modalities.base import finite
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch, Modality


def save_samples(
    folder: str | os.PathLike,
    step: int | None,
    samples: Mapping[str, np.ndarray],
    modalities: Mapping[str, Modality],
    prompts: Sequence[str] | None = None,
    conditions: Mapping[str, np.ndarray] | None = None,
) -> list[pathlib.Path]:
    """Writes each sampled modality as its kind does, to files named `<step>_<name>…`; returns the paths.

    Args:
      folder: created where it does not exist.
      step: the first part of the file names, as seven digits; None leaves it out.
      samples: `{name: [B, …]}` in the ranges of `modality.py`.
      modalities: of the samples and of the conditions.
      prompts: one text for each example.
      conditions: `{name: [B, …]}`, of the samples; images and videos are shown to the left of the sample.

    Raises:
      InputError: a sample is not finite.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    prefix = "" if step is None else f"{step:07d}_"
    pictures = {
        name: modalities[name].traits.frames(name, np.asarray(array))
        for name, array in (conditions or {}).items()
        if name in modalities
    }
    seen = {name: frames for name, frames in pictures.items() if frames is not None}
    paths = []
    for name, array in samples.items():
        array = finite(name, np.asarray(array))
        captions = list(prompts) if prompts is not None else [""] * len(array)
        paths += modalities[name].traits.save(folder / f"{prefix}{name}", name, array, captions, seen)
    return paths


def save_each(
    folder: pathlib.Path, samples: Mapping[str, np.ndarray], modalities: Mapping[str, Modality]
) -> list[pathlib.Path]:
    """Writes each picture and each clip to a file of its own, without captions; returns the paths.

    Files: `<name>_<i>.png`; `<name>_<i>.gif` and `.mp4`, whose sides are even. The files of `save_samples` hold the
    samples of other kinds one by one already.
    """
    return [
        path
        for name, array in samples.items()
        for i, sample in enumerate(array)
        for path in modalities[name].traits.save_alone(folder / f"{name}_{i}", name, sample)
    ]


def describe(batch: Batch, modalities: Mapping[str, Modality], i: int) -> str:
    """Example `i` of a batch in one line: texts, class names, and `[name]` for modalities that have no words.

    A masked or absent modality is left out.
    """
    present = {
        name: modality
        for name, modality in modalities.items()
        if name in batch and (name + MASK_SUFFIX not in batch or batch[name + MASK_SUFFIX][i])
    }
    return ", ".join(modality.traits.describe(name, batch[name][i]) for name, modality in present.items())
