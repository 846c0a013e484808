"""The cells of a sweep file. A cell is one run that the sweep asks for: its config, its hash, its workdir's name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen_jax.config import loading, migration, override, python_file
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError, SweepError

FIELDS = {"label", "config", "overrides", "seeds", "baseline"}
SAMPLED_FIELDS = {"label", "samples_of", "overrides"}  # of an entry that samples from trained runs with other settings
WORKDIR_OF = "cell:"  # `cell:LABEL` as the value of an override stands for the workdir of the cell with that label
# Config fields that change no number of a run; they are left out of its hash.
REPORTING = {"reference", "train.log_steps", "train.eval_steps", "train.sample_steps"}
REPORTING |= {"train.checkpoint_steps", "train.checkpoint_minutes", "train.keep_checkpoints"}
# Config fields that the numbers of every baseline depend on, and further fields for single baselines.
MEASURED = {"seed", "data", "derived", "evaluators", "objective.target"}
MEASURED_BY = {"linear_probe": {"encoders"}, "nearest_condition": {"encoders", "aligned"}}
MEASURED_BY |= {"mean_code": {"representation"}}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: a loaded config with overrides and a seed.

    Args:
      label: the row of the table; the cells of one label differ only in their seeds.
      reference: the config, `configs/X.py:argument`.
      overrides: `{field: value}`.
      baseline: the name of a baseline that is measured in place of a model; "" trains a model.
      config: with the overrides and the seed.
      needs: `{field: name of another cell}`, for fields that hold the workdir of a cell that this cell starts from.
      trained: the cell whose model is sampled again with other settings; None: this cell trains a model.
      changes: for a cell that trains nothing: the overrides that differ from `trained`.
    """

    label: str
    reference: str
    overrides: Mapping[str, Any]
    seed: int
    baseline: str
    config: Config
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    trained: Cell | None = None
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def placed(self, workdir: pathlib.Path) -> Config:
        """The config, where the fields of `needs` hold folders of the sweep's workdir."""
        return override.override(self.config, {field: str(workdir / name) for field, name in self.needs.items()})

    @functools.cached_property
    def config_hash(self) -> str:
        """A hash of every config field that a number of the run can depend on; 12 hexadecimal digits."""
        return self._digest(REPORTING)

    @functools.cached_property
    def trained_hash(self) -> str:
        """A hash of every config field that the trained model depends on; of a baseline, the `config_hash`."""
        if self.trained:
            return self.trained.trained_hash
        return self.config_hash if self.baseline else self._digest(REPORTING | {"evaluators"})

    @property
    def name(self) -> str:
        """The name of the cell's workdir; it holds the `trained_hash`.

        So a run with a changed config never finds an old workdir, and changed evaluators find the trained model.
        """
        if self.trained:
            return self.trained.name
        path, _, argument = self.reference.partition(":")
        parts = [self.baseline, "-".join(filter(None, (pathlib.Path(path).stem, argument)))]
        parts += [f"{k}={v}" for k, v in self.overrides.items() if not _under(k, REPORTING | {"evaluators"})]
        readable = re.sub(r"[^\w.=-]+", "-", "_".join(filter(None, parts)))[:120]
        return f"{readable}_seed={self.seed}_{self.trained_hash[:8]}"

    def _digest(self, leave_out: set[str]) -> str:
        fields = migration.hashed(override.flatten(json.loads(loading.to_json(self.config))))
        fields = {k: v for k, v in fields.items() if not _under(k, leave_out)}
        if self.baseline:
            measured = MEASURED | MEASURED_BY.get(self.baseline, set())
            fields = {k: v for k, v in fields.items() if _under(k, measured)}
        return hashlib.sha256(json.dumps([self.baseline, fields], sort_keys=True).encode()).hexdigest()[:12]


def _under(key: str, fields: set[str]) -> bool:
    """Whether the field `key` (`a.b.c`) is in `fields`, itself or by its first part (`a`)."""
    return key in fields or key.split(".")[0] in fields


def load(file: str | os.PathLike) -> list[Cell]:
    """The cells of a sweep file: entry by entry, within an entry seed by seed.

    Raises:
      SweepError, ConfigError: no such file, an entry with a wrong field, config or override, or two entries with one
        label or one model.
    """
    file = pathlib.Path(file)
    if not file.is_file():
        found = ", ".join(sorted(map(str, pathlib.Path("experiments").glob("*/sweep.py"))))
        raise SweepError(f"--sweep: no file {file}; there are: {found or 'none in experiments/'}")
    module = python_file.run(file, "--sweep")
    if "cells" not in module:
        raise SweepError(f"--sweep: {file} has no function cells()")
    with python_file.errors_of(file, "--sweep"):
        entries = list(module["cells"]())
    groups = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise SweepError(f"{file}, entry {number}: expected a dict, got {entry!r}")
        groups.append(_cells(entry, f"{file}, entry {number}", [cell for group in groups for cell in group]))
    labels, cells = [group[0].label for group in groups], [cell for group in groups for cell in group]
    if repeated := [label for label in labels if labels.count(label) > 1]:
        raise SweepError(f"{file}: label {repeated[0]!r}: expected one entry, got {labels.count(repeated[0])}")
    first = {}
    for cell in cells:
        for key in {cell.config_hash} if cell.trained else {cell.config_hash, cell.trained_hash}:
            if (same := first.setdefault(key, cell)) is not cell:
                what = "sample" if cell.trained else "train"
                raise SweepError(
                    f"{file}: {same.label} and {cell.label} {what} the same model with seed {cell.seed}; leave one out"
                )
    return cells


def _cells(entry: Mapping[str, Any], where: str, earlier: Sequence[Cell]) -> list[Cell]:
    fields, needed = (SAMPLED_FIELDS,) * 2 if "samples_of" in entry else (FIELDS, {"config", "seeds"})
    if unknown := sorted(set(entry) - fields):
        raise SweepError(f"{where}: no such field {unknown[0]!r}; the fields are: {', '.join(sorted(fields))}")
    if missing := sorted(needed - set(entry)):
        raise SweepError(f"{where}: expected a field {missing[0]!r}")
    if "samples_of" in entry:
        return _sampled(entry, where, earlier)
    if not entry["seeds"]:
        raise SweepError(f"{where}: seeds: expected at least one")
    overrides = dict(entry.get("overrides", {}))
    if "seed" in overrides:
        raise SweepError(f"{where}: overrides: expected the seed in `seeds`")
    default = entry["config"].removeprefix("configs/").replace(".py", "")
    default = " ".join([entry.get("baseline", ""), default, *(f"{k}={v}" for k, v in overrides.items())]).strip()
    try:
        config = override.override(loading.load(entry["config"], overrides.get("data.layout", "")), overrides)
        label, baseline = entry.get("label", default), entry.get("baseline", "")
        cells = []
        for seed in entry["seeds"]:
            needs = {
                field: _earlier(value.removeprefix(WORKDIR_OF), seed, earlier, f"{where}: {field}")
                for field, value in overrides.items()
                if isinstance(value, str) and value.startswith(WORKDIR_OF)
            }
            # The name of the needed cell holds its hash: when the needed cell changes, the hash of this cell changes.
            own = override.override(config, {"seed": seed, **needs})
            cells.append(Cell(label, entry["config"], overrides, seed, baseline, own, needs))
        return cells
    except ConfigError as error:
        raise SweepError(f"{where}: {error}") from error


def _sampled(entry: Mapping[str, Any], where: str, earlier: Sequence[Cell]) -> list[Cell]:
    """Cells that sample from the trained runs of an earlier entry with other settings (`samples_of`)."""
    changes = dict(entry["overrides"])
    runs = [cell for cell in earlier if cell.label == entry["samples_of"] and not cell.baseline and not cell.trained]
    if not runs:
        raise _no_run(entry["samples_of"], "", earlier, f"{where}: samples_of: ")
    try:
        return [
            dataclasses.replace(
                run,
                label=entry["label"],
                overrides={**run.overrides, **changes},
                config=override.override(run.config, changes),
                trained=run,
                changes=changes,
            )
            for run in runs
        ]
    except ConfigError as error:
        raise SweepError(f"{where}: {error}") from error


def _earlier(label: str, seed: int, cells: Sequence[Cell], where: str) -> str:
    """The workdir name of the earlier, trained cell with this label and seed."""
    for cell in cells:
        if (cell.label, cell.seed, cell.baseline) == (label, seed, ""):
            return cell.name
    raise _no_run(label, f" and seed {seed}", cells, f"{where}: {WORKDIR_OF}")


def _no_run(label: str, seed: str, cells: Sequence[Cell], where: str) -> SweepError:
    known = ", ".join(dict.fromkeys(cell.label for cell in cells if not cell.baseline and not cell.trained))
    return SweepError(f"{where}{label}: no earlier run has that label{seed}; labels: {known or 'none'}")
