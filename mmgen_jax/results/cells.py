"""The cells of a sweep file: which runs it asks for, each with its config, its hash and its workdir's name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import runpy
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen_jax.config import loading, migration, override
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError, SweepError

FIELDS = {"label", "config", "overrides", "seeds", "baseline"}
SAMPLED_FIELDS = {"label", "samples_of", "overrides"}  # of an entry that trains nothing
WORKDIR_OF = "cell:"  # an override that stands for the workdir of another cell
# What leaves every number of a run as it is.
REPORTING = {"reference", "train.log_steps", "train.eval_steps", "train.checkpoint_steps", "train.sample_steps"}
# What the numbers of a baseline depend on; of a linear probe also which image the encoders read.
MEASURED = {"seed", "data", "evaluators", "objective.target"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: a config with its changes and its seed, loaded."""

    label: str
    reference: str  # `configs/X.py:argument`
    overrides: Mapping[str, Any]
    seed: int
    baseline: str
    config: Config
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)  # field to the name of the cell it starts from
    trained: Cell | None = None  # the run that this one only samples from in another way, if so
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # the other way: what differs from `trained`

    def placed(self, workdir: pathlib.Path) -> Config:
        """The config with the cells it starts from as folders of the sweep's workdir."""
        return override.override(self.config, {field: str(workdir / name) for field, name in self.needs.items()})

    @functools.cached_property
    def config_hash(self) -> str:
        """Of every field that a number can depend on."""
        return self._digest(REPORTING)

    @functools.cached_property
    def trained_hash(self) -> str:
        """Of every field that the trained model depends on; of a baseline, the `config_hash`."""
        if self.trained:
            return self.trained.trained_hash
        return self.config_hash if self.baseline else self._digest(REPORTING | {"evaluators"})

    @property
    def name(self) -> str:
        """Of the cell's workdir: a changed config never meets an old workdir, changed evaluators meet the old model."""
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
            measured = MEASURED | ({"encoders"} if self.baseline == "linear_probe" else set())
            fields = {k: v for k, v in fields.items() if _under(k, measured)}
        return hashlib.sha256(json.dumps([self.baseline, fields], sort_keys=True).encode()).hexdigest()[:12]


def _under(key: str, fields: set[str]) -> bool:
    """Whether `a.b.c` is one of the fields or in the part `a` that is one."""
    return key in fields or key.split(".")[0] in fields


def load(file: str | os.PathLike) -> list[Cell]:
    """The cells of a sweep file: entry by entry, seed by seed.

    Raises:
      SweepError, ConfigError: no such file, or an entry with a wrong field, config or override; all before any run.
    """
    file = pathlib.Path(file)
    if not file.is_file():
        found = ", ".join(sorted(map(str, pathlib.Path("experiments").glob("*/sweep.py"))))
        raise SweepError(f"--sweep: no file {file}; there are: {found or 'none in experiments/'}")
    module = runpy.run_path(str(file), run_name=f"sweep_{file.parent.name}")
    if "cells" not in module:
        raise SweepError(f"--sweep: {file} has no function cells()")
    groups = []
    for number, entry in enumerate(module["cells"]()):
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
        config = override.override(loading.load(entry["config"]), overrides)
        label, baseline = entry.get("label", default), entry.get("baseline", "")
        cells = []
        for seed in entry["seeds"]:
            needs = {
                field: _earlier(value.removeprefix(WORKDIR_OF), seed, earlier, f"{where}: {field}")
                for field, value in overrides.items()
                if isinstance(value, str) and value.startswith(WORKDIR_OF)
            }
            # The name holds the other cell's hash, so that a change of that one changes this one's too.
            own = override.override(config, {"seed": seed, **needs})
            cells.append(Cell(label, entry["config"], overrides, seed, baseline, own, needs))
        return cells
    except ConfigError as error:
        raise SweepError(f"{where}: {error}") from error


def _sampled(entry: Mapping[str, Any], where: str, earlier: Sequence[Cell]) -> list[Cell]:
    """The runs of an earlier entry, sampled in another way."""
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
    """The name of the trained cell with that label and seed."""
    for cell in cells:
        if (cell.label, cell.seed, cell.baseline) == (label, seed, ""):
            return cell.name
    raise _no_run(label, f" and seed {seed}", cells, f"{where}: {WORKDIR_OF}")


def _no_run(label: str, seed: str, cells: Sequence[Cell], where: str) -> SweepError:
    known = ", ".join(dict.fromkeys(cell.label for cell in cells if not cell.baseline and not cell.trained))
    return SweepError(f"{where}{label}: no earlier run has that label{seed}; labels: {known or 'none'}")
