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
    batch = {
        name: np.repeat(value[None], num, axis=0) for name, value in read_given(given, conditions, modalities).items()
    }
    _, system, sampler, _ = restore(workdir, min(num, config.train.batch_size), changes)  # what fits in memory
    sampler.seed = seed
    prompts = [save.describe(batch, modalities, i) for i in range(num)] if batch else None
    batch = batch or {system.target: zeros(modalities[system.target], num)}
    return save.save_samples(out, None, sampler(batch), modalities, prompts, batch)
