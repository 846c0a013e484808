"""The `mmgen sample` command: draws samples of a trained run from conditions that a person gives."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.config import ranges
from mmgen_jax.config.system import System, build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.runs import pictures, remote
from mmgen_jax.runs.callable_module import CallableModule
from mmgen_jax.runs.prompts import common_length, named, read_given
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import changed, check_out, read_workdir, restore
from mmgen_jax.training import progress

sys.modules[__name__].__class__ = CallableModule  # `mmgen_jax.sample(…)` is `mmgen_jax.api.sample(…)`


def sample(
    workdir,
    out,
    given: Mapping[str, Any],
    num: int,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    by_kind: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    first: int = 0,
    step: int = 0,
) -> list[pathlib.Path]:
    """Draws `num` samples, or `num` for each text of a given file, and writes them to `out`.

    Where picture files are given for aligned sources of a picture, each sample has the size of the files; see
    `runs/pictures.py`.

    Args:
      given: `{name: value}` of conditions; for a model of several targets, also of some of the targets. A value is a
        text, a class or its number, else the name of a file; or `@file`, a file with one such value per line.
        Conditions that are not given are masked.
      num, seed, first: see `draw`.
      changes, step: see `restore`.
      by_kind: `{kind: value}`, for a kind that exactly one condition has.
      overwrite: whether `out` may hold files; see `check_out`.

    Raises:
      ConfigError: `out` holds files; the model reads no modality of a given name, or none or several of a given kind;
        nothing is given, or every target is given; see also `restore`.
      TextError, DataError: a given value cannot be read.
    """
    check_numbers(num, seed, first)
    workdir, out = remote.opened(workdir), check_out(out, overwrite)
    config, modalities = read_workdir(workdir)
    system = build_system(changed(config, changes or {}), modalities)
    if "sample" not in system.objective.abilities:
        if "embed_pair" not in system.objective.abilities:
            raise ConfigError(f"{workdir}: its objective draws nothing; measure it with mmgen evaluate")
        raise ConfigError(f"{workdir}: its objective embeds and draws nothing; use mmgen retrieve")
    others = system.targets if len(system.targets) > 1 else ()  # which may be given too
    given = named(given, by_kind or {}, system.conditions, modalities, others)
    if system.conditions and not given:
        flags = ", ".join(f"--given.{name}" for name in system.conditions)
        raise ConfigError(f"sample: the model draws from conditions, give at least one of {flags}")
    if asked := pictures.request(system, given):
        sampler = restore(workdir, min(num * max(asked.num_tiles, 1), config.train.batch_size), changes, step)[2]
        with progress.watched():
            return asked.save(out, sampler, num, seed, first)
    batch = batch_of(system, given, num)
    size = len(next(iter(batch.values()))) if batch else num
    # A batch of the training's size fits in memory.
    _, system, sampler, _ = restore(workdir, min(size, config.train.batch_size), changes, step)
    captions = [save.describe(batch, modalities, i) for i in range(size)] if batch else None
    with progress.watched():
        drawn = draw(sampler, batch, num, seed, first)
    return save.save_samples(out, None, drawn, modalities, captions, batch) + save.save_each(out, drawn, modalities)


def draw(
    sampler: Sampler, batch: Mapping[str, np.ndarray], num: int, seed: int = 0, first: int = 0
) -> dict[str, np.ndarray]:
    """Samples `{target: [n, …]}` for a batch of `batch_of`, without the batch's targets; n is `num` for an empty batch.

    Conditions that the batch lacks are masked. The noise of a sample is a function of `seed`, of the line that its
    conditions are from, and of the sample's number within this line. So samples 8 to 15 are the same with `num=16`,
    with `num=100`, and with `first=8, num=8`. In batches of another size, samples agree up to float32 rounding.

    Raises:
      ConfigError: a number that is out of its range.
    """
    check_numbers(num, seed, first)
    system = sampler.system
    given = tuple(name for name in givable(system) if name in batch)
    sampler.seed = seed
    size = len(next(iter(batch.values()))) if batch else num
    asked = dict(batch)
    for name in system.conditions:
        if name not in batch:
            asked |= {name: system.modalities[name].zeros(size), name + MASK_SUFFIX: np.zeros(size, bool)}
    numbers = np.stack([np.repeat(np.arange(size // num), num), np.tile(np.arange(first, first + num), size // num)], 1)
    asked = asked or {system.target: system.modalities[system.target].zeros(num)}
    drawn = sampler(asked, given=given, numbers=numbers)
    return {name: array for name, array in drawn.items() if name not in given}


def check_numbers(num: int, seed: int, first: int) -> None:
    """Raises ConfigError for a number that is out of its range."""
    ranges.check_value(ranges.Amount, num, "num")
    ranges.check_value(ranges.Seed, seed, "seed")
    ranges.check_value(ranges.Place, first, "first")
    if first + num - 1 > ranges.MAX_INT:
        raise ConfigError(f"first: expected first + num of at most {ranges.MAX_INT:,}, got {first + num}")


def batch_of(system: System, given: Mapping[str, Any], num: int) -> dict[str, np.ndarray]:
    """Arrays `{name: [n, *shape]}` of the given values, {} without any; n is `num` times the number of a file's texts.

    Raises:
      ConfigError: nothing is left to draw, or two files hold different numbers of texts; see also `read_given`.
    """
    names, free = dict.fromkeys((*system.conditions, *givable(system))), set(givable(system))
    rows = read_given(given, tuple(names), system.modalities)
    if free and set(system.targets) <= set(rows) & free:
        raise ConfigError(f"sample: all that the model draws is given ({', '.join(rows)}); leave one out")
    size = common_length(rows)
    return {name: np.repeat(values, num * size // len(values), axis=0) for name, values in rows.items()}


def givable(system: System) -> tuple[str, ...]:
    """The targets that may be given, so that the others are drawn; () for a model of one target.

    These are the targets that are not conditions; where all targets are conditions, all of them.
    """
    several = system.targets if len(system.targets) > 1 else ()
    return tuple(name for name in several if name not in system.conditions) or several
