"""Sampling: the compiled functions that evaluators and the loop share, and the `mmgen sample` command."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.config import schema
from mmgen_jax.config.system import build_system
from mmgen_jax.modalities import save
from mmgen_jax.runs.prompts import read_given
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import changed, read_workdir, restore, zeros


def sample(
    workdir, out, given: Mapping[str, Any], num: int, seed: int = 0, changes: Mapping[str, Any] | None = None
) -> list[pathlib.Path]:
    """Draws `num` samples given one text, image, audio or video file per kind, and writes them to `out`.

    Args:
      given: `{kind: text or file name}`; conditions that are not given are masked.
      changes: see `restore`.

    Raises:
      ConfigError: the model has no condition of a kind that is given, or has several; see also `restore`.
      features.text.TextError, data.decode.DataError: what is given cannot be read.
    """
    workdir = pathlib.Path(workdir)
    config, modalities = read_workdir(workdir)
    system = build_system(changed(config, changes or {}), modalities)
    if "sample" not in system.objective.abilities:
        if "embed_pair" not in system.objective.abilities:
            raise schema.ConfigError(f"{workdir}: its objective draws nothing; measure it with mmgen evaluate")
        raise schema.ConfigError(f"{workdir}: its objective embeds and draws nothing; use mmgen retrieve")
    conditions = system.conditions
    if conditions and not given:
        kinds = ", ".join(f"--{modalities[name].kind}" for name in conditions)
        raise schema.ConfigError(f"sample: the model draws from conditions, give at least one of {kinds}")
    # As many at once as fit in memory.
    _, system, sampler, _ = restore(workdir, min(num, config.train.batch_size), changes)
    batch, samples = draw(sampler, given, num, seed)
    prompts = [save.describe(batch, modalities, i) for i in range(num)] if conditions else None
    return save.save_samples(out, None, samples, modalities, prompts, batch)


def draw(sampler: Sampler, given: Mapping[str, Any], num: int, seed: int = 0):
    """`(batch, {target: [num, …]})`: what is given, repeated, and samples of it.

    Raises:
      ConfigError, features.text.TextError, data.decode.DataError: as `sample`.
    """
    system = sampler.system
    arrays = read_given(given, system.conditions, system.modalities)
    batch = {name: np.repeat(value[None], num, axis=0) for name, value in arrays.items()}
    batch = batch or {system.target: zeros(system.modalities[system.target], num)}
    sampler.seed = seed
    return batch, sampler(batch)
