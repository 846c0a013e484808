"""The `mmgen sample` command: what a trained run draws from what a person gives."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.config.system import System, build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import save
from mmgen_jax.runs.prompts import named, read_given
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import changed, read_workdir, restore


def sample(
    workdir,
    out,
    given: Mapping[str, Any],
    num: int,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    by_kind: Mapping[str, Any] | None = None,
) -> list[pathlib.Path]:
    """Draws `num` samples, of each text where a file of several is given, and writes them to `out`.

    Args:
      given: `{name: value}`, a condition, or of a model of several targets some of these: a text or `@file` with one a
        line, a class or its number, else the name of a file. Conditions that are not given are masked.
      changes: see `restore`.
      by_kind: `{kind: value}`, for conditions of which there is one of a kind.

    Raises:
      ConfigError: the model reads nothing of a name, nothing or several of a kind; nothing is given, or all that it
        draws; see also `restore`.
      TextError, DataError: what is given cannot be read.
    """
    workdir = pathlib.Path(workdir)
    config, modalities = read_workdir(workdir)
    system = build_system(changed(config, changes or {}), modalities)
    if "sample" not in system.objective.abilities:
        if "embed_pair" not in system.objective.abilities:
            raise ConfigError(f"{workdir}: its objective draws nothing; measure it with mmgen evaluate")
        raise ConfigError(f"{workdir}: its objective embeds and draws nothing; use mmgen retrieve")
    given = named(given, by_kind or {}, system.conditions, modalities)
    if system.conditions and not given:
        flags = ", ".join(f"--given.{name}" for name in system.conditions)
        raise ConfigError(f"sample: the model draws from conditions, give at least one of {flags}")
    batch = batch_of(system, given, num)
    size = len(next(iter(batch.values()))) if batch else num
    # As many at once as fit in memory.
    _, system, sampler, _ = restore(workdir, min(size, config.train.batch_size), changes)
    captions = [save.describe(batch, modalities, i) for i in range(size)] if batch else None
    return save.save_samples(out, None, draw(sampler, batch, num, seed), modalities, captions, batch)


def draw(sampler: Sampler, batch: Mapping[str, np.ndarray], num: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`{target: [n, …]}` of a batch as `batch_of` gives it, without targets that it holds; `num` of an empty one."""
    system = sampler.system
    given = tuple(name for name in system.targets if name in batch and name not in system.conditions)
    sampler.seed = seed
    drawn = sampler(batch or {system.target: system.modalities[system.target].zeros(num)}, given=given)
    return {name: array for name, array in drawn.items() if name not in given}


def batch_of(system: System, given: Mapping[str, Any], num: int) -> dict[str, np.ndarray]:
    """`{name: [n, *shape]}` of what is given, n being `num` times the texts of a file; nothing where nothing is.

    Raises:
      ConfigError: nothing is left to draw, or two files hold different numbers of texts; see also `read_given`.
    """
    targets = tuple(name for name in system.targets if name not in system.conditions)
    rows = read_given(given, (*system.conditions, *(targets if len(system.targets) > 1 else ())), system.modalities)
    if targets and set(system.targets) <= set(rows) - set(system.conditions):
        raise ConfigError(f"sample: all that the model draws is given ({', '.join(rows)}); leave one out")
    sizes = {name: len(values) for name, values in rows.items()}
    size = max(sizes.values(), default=1)
    if odd := [name for name in sizes if sizes[name] not in (1, size)]:
        got, name = sizes[odd[0]], odd[0]
        raise ConfigError(
            f"--given.{name}: expected one or {size}, as others have, got {got}; give files of equal length"
        )
    return {name: np.repeat(values, num * size // sizes[name], axis=0) for name, values in rows.items()}
