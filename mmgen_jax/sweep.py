"""Trains every run of a list once: `experiments/T/sweep.py` lists the runs, `results.jsonl` beside it has the results.

A sweep file defines `cells()`, a list of dicts:

    {"label": "VAE", "config": "configs/vae.py:digits", "overrides": {"objective.latent_dim": 8}, "seeds": (0, 1, 2)}

`config` is a value of `--config`. `overrides` are changes as by `--config.…` (optional). `label` is the name of a row
in the table (optional). `baseline` names a file of `baselines/`, which is measured in place of a trained model.

    {"label": "VAE, sharper", "samples_of": "VAE", "overrides": {"objective.temperature": 0.8}}

This entry trains nothing: it measures the runs of an earlier entry with other sampling settings
(`runs.workdir.restore` says which settings may change).

A field that names a workdir (`encoders.X.init_from`) may have the override `"cell:LABEL"`: the workdir of the run with
this label and the same seed. That run must stand earlier in the list. Where several shards share a sweep, a cell fails
if another shard has not yet trained the run that the cell starts from: run the shard again.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen_jax.config import loading
from mmgen_jax.data.cache import disk
from mmgen_jax.errors import MmgenError, SweepError
from mmgen_jax.results import lines
from mmgen_jax.results.cells import Cell, load


def check(cells: Sequence[Cell]) -> None:
    """Raises SweepError where a cell's data, networks, optimizers or evaluators cannot be made; nothing is compiled."""
    from mmgen_jax.runs.workdir import changed

    seen = set()
    for cell in cells:
        entry = (cell.reference, repr(cell.overrides), cell.baseline)
        try:
            if entry not in seen:
                _check(cell)
            if cell.trained:
                changed(cell.trained.config, cell.changes)
        except MmgenError as error:
            raise SweepError(f"{cell.name}: {error}") from error
        seen.add(entry)


def _check(cell: Cell) -> None:
    from mmgen_jax import evaluate, train
    from mmgen_jax.baselines import base
    from mmgen_jax.config.system import build_system, open_source

    if not cell.baseline:
        train.prepare(cell.config)
        return
    system = build_system(cell.config, open_source(cell.config).modalities)
    base.create(cell.baseline, cell.config, system.target)
    evaluate.build(cell.config, system)


def check_data(cells: Sequence[Cell], path: pathlib.Path) -> None:
    """Raises SweepError where a cell's line in `path` was measured on data that has changed since.

    Lines of older versions of this code have no fingerprint. Such a line was measured on version 1 of its source, and
    is accepted while the source still has version 1.
    """
    from mmgen_jax.config.system import open_source

    measured = {line["config_hash"]: line.get("data") for line in lines.read(path)}
    for cell in cells:
        if cell.config_hash not in measured:
            continue
        before = measured[cell.config_hash]
        if before and (now := _fingerprint(cell)) != before:
            told = f"data with fingerprint {before}, the data now has {now}; restore the data, or"
        elif not before and (version := getattr(open_source(cell.config), "version", 1)) > 1:
            told = f"version 1 of {cell.config.data.name}, whose splits are now those of version {version};"
        else:
            continue
        raise SweepError(
            f"{path}: the line of {cell.name} is of {told} remove the lines of the old data and train anew in another "
            "--workdir"
        )


def _fingerprint(cell: Cell) -> str:
    from mmgen_jax.config.system import open_source
    from mmgen_jax.data import fingerprint

    return fingerprint.of(open_source(cell.config))


def run(file: str | os.PathLike, workdir: str | os.PathLike, shard: str = "0/1") -> None:
    """Trains and measures every cell without a line in `results.jsonl`, each in `workdir/<its name>`.

    A cell that was interrupted goes on from its newest checkpoint. A cell that fails is reported and the others go on.
    A cell that another process runs is left to that process.

    Args:
      shard: `i/n` runs the cells with the numbers i, i + n, …, counted from 0. Shards may run at once, one process
        each, on one machine or on several that share the folders.

    Raises:
      SweepError: before the first run where any cell of the sweep is wrong; at the end where some failed.
    """
    from mmgen_jax.runs import remote
    from mmgen_jax.runs.workdir import check_place

    remote.refuse(workdir, "mmgen sweep")
    file, workdir = pathlib.Path(os.path.expanduser(file)), check_place(workdir, "--workdir")
    part, parts = _shard(shard)
    cells = load(file)
    check(cells)
    cells, path = cells[part::parts], file.parent / lines.FILE
    check_data(cells, path)
    origin = {"commit": lines.commit(), "hardware": lines.hardware()}
    if origin["commit"].endswith("-dirty"):
        print(f"{origin['commit']}: code that is not committed cannot be run again from its lines; commit it first")
    times, failed = {}, []
    for line in lines.read(path):
        if line["steps"] and line["hardware"] == origin["hardware"]:
            times.setdefault(line["config"], []).append(line["seconds"])
    for number, cell in enumerate(cells, 1):
        where = f"cell {number} of {len(cells)}"
        try:
            with disk.lock(workdir / f".{cell.name}.lock"):
                _run(cell, where, cells[number - 1 :], path, workdir, origin, times)
        except disk.Busy as error:
            print(f"{where}: {cell.name} is run by {error}, and left to it", flush=True)
        except Exception as error:
            if not isinstance(error, MmgenError):
                traceback.print_exc()
            failed.append(f"{cell.name} ({type(error).__name__}: {' '.join(str(error).split())})")
            print(f"{where} failed: {failed[-1]}", flush=True)
    if failed:
        raise SweepError(f"{len(failed)} of {len(cells)} cells failed: {'; '.join(failed)}")
    print(f"results: {path}")


def _run(
    cell: Cell,
    where: str,
    waiting: Sequence[Cell],
    path: pathlib.Path,
    workdir: pathlib.Path,
    origin: dict[str, str],
    times: dict[str, list[float]],
) -> None:
    """Trains and measures a cell and appends its line, unless the line is there; `waiting` are this and later cells."""
    done = {line["config_hash"] for line in lines.read(path)}  # another shard may have added to it
    if cell.config_hash in done:
        print(f"{where}: {cell.name} has its line in {path}", flush=True)
        return
    untrained = [c for c in waiting if not (c.config_hash in done or c.baseline or c.trained)]
    left = time_left([other.reference for other in untrained], times)
    print(f"{where}: {cell.name}; {left}", flush=True)
    began = time.monotonic()
    about = describe(cell) | {"data": _fingerprint(cell)}  # before the run, which reads the data at its start
    if cell.baseline:
        measured = _measure(cell)
    else:
        measured = (_sample if cell.trained else _train)(cell, workdir / cell.name, origin)
    if not (cell.baseline or cell.trained):
        times.setdefault(cell.reference, []).append(time.monotonic() - began)
    lines.append(path, {"experiment": path.absolute().parent.name, **about, **origin, **measured})


def describe(cell: Cell) -> dict[str, Any]:
    """The fields of a results line that describe its cell."""
    about = {"config": cell.reference, "overrides": dict(cell.overrides), "seed": cell.seed}
    return about | {"config_hash": cell.config_hash} | ({"baseline": cell.baseline} if cell.baseline else {})


def _train(cell: Cell, workdir: pathlib.Path, origin: dict[str, str]) -> dict[str, Any]:
    import jax

    from mmgen_jax import evaluate, train

    origin = _origins(workdir, origin)
    (workdir / evaluate.FILE).unlink(missing_ok=True)  # left by a finished run, whose evaluators may have changed
    try:
        train.train(cell.placed(workdir.parent), workdir)
    finally:
        jax.clear_caches()  # no other cell can use this one's compiled programs, and they would pile up
    measured = (workdir / evaluate.FILE).is_file()
    metrics = (evaluate.read if measured else evaluate.evaluate)(workdir) if cell.config.evaluators else {}
    return {**origin, **training_times(workdir), "steps": cell.config.train.steps, "metrics": metrics}


def _sample(cell: Cell, workdir: pathlib.Path, origin: dict[str, str]) -> dict[str, Any]:
    """As `_train`, for an entry with `samples_of`; its run is first trained and measured with its own settings."""
    import jax

    from mmgen_jax import evaluate

    assert cell.trained is not None
    if not _finished(workdir, cell.trained.placed(workdir.parent)):
        _train(cell.trained, workdir, origin)
    about = _origins(workdir, origin) | training_times(workdir) | {"steps": cell.config.train.steps}
    try:
        return about | {"metrics": evaluate.evaluate(workdir, changes=cell.changes)}
    finally:
        jax.clear_caches()


def _finished(workdir: pathlib.Path, config) -> bool:
    """Whether the workdir holds exactly this config, its evaluators included, trained to the last step and measured."""
    from mmgen_jax import evaluate

    measured, saved = workdir / evaluate.FILE, workdir / "config.json"
    if not (measured.is_file() and saved.is_file() and saved.read_bytes() == loading.to_json(config).encode()):
        return False
    return _read(measured).get("checkpoint_step") == config.train.steps


def _read(file: pathlib.Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise SweepError(f"{file}: expected JSON, got a damaged file; remove it") from error


def _measure(cell: Cell) -> dict[str, Any]:
    from mmgen_jax import evaluate
    from mmgen_jax.baselines import base
    from mmgen_jax.config.system import build_system, open_source

    system = build_system(cell.config, open_source(cell.config).modalities)
    metrics = evaluate.run(cell.config, system, base.create(cell.baseline, cell.config, system.target))
    return {"seconds": 0.0, "steps": 0, "metrics": metrics}


def training_times(workdir: pathlib.Path) -> dict[str, float]:
    """`seconds` and `processor_seconds` of the steps that led to a run's final state, summed over its log windows.

    `processor_seconds` is absent where a log window lacks it: older versions of this code did not write it.

    Included: compiling the step, and sampling, evaluating and saving between steps. Not included: setting up, and the
    evaluation after the last step. A resumed run drops the log lines after its checkpoint. So steps that a kill lost
    are not counted, and the steps before the checkpoint are.
    """
    from mmgen_jax.training import metric_writer

    windows = [line for line in metric_writer.read(workdir) if "steps_per_second" in line]
    seconds, step = 0.0, 0
    for line in windows:
        seconds, step = seconds + (line["step"] - step) / line["steps_per_second"], line["step"]
    times = {"seconds": round(seconds, 1)}
    if all("processor_seconds" in line for line in windows):
        times["processor_seconds"] = round(sum(line["processor_seconds"] for line in windows), 1)
    return times


def _origins(workdir: pathlib.Path, now: dict[str, str]) -> dict[str, str]:
    """Commit and hardware of every process that trained this run, the current one included, joined by ` + `."""
    record = workdir.with_name(workdir.name + ".json")
    checkpoints = workdir / "checkpoints"
    resumed = checkpoints.is_dir() and any(folder.name.isdigit() for folder in checkpoints.iterdir())
    before = _read(record) if resumed and record.is_file() else []
    starts = [start for start in before if start != now] + [now]
    workdir.parent.mkdir(parents=True, exist_ok=True)
    disk.replace(record, json.dumps(starts) + "\n")
    return {key: " + ".join(dict.fromkeys(start[key] for start in starts)) for key in now}


def time_left(references: Sequence[str], times: Mapping[str, Sequence[float]]) -> str:
    """The estimated time for runs of these configs, from the mean seconds of a config's own runs, else of all runs."""
    every = [seconds for taken in times.values() for seconds in taken]
    if not every:
        return "time left unknown before the first is done"
    expected = [times.get(reference) or every for reference in references]
    seconds = round(sum(sum(taken) / len(taken) for taken in expected))
    return f"about {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left"


def _shard(shard: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", shard)
    part, parts = map(int, found.groups()) if found else (0, 0)
    if not part < parts:
        raise SweepError(f"--shard: expected i/n with 0 <= i < n, got {shard!r}")
    return part, parts
