"""A list of runs, each trained once: `experiments/T/sweep.py` says which, `results.jsonl` beside it what came out.

A sweep file defines `cells()`, a list of dicts:

    {"label": "VAE", "config": "configs/vae.py:digits", "overrides": {"objective.latent_dim": 8}, "seeds": (0, 1, 2)}

`config` is what `--config` takes, `overrides` what `--config.…` changes (may be left out), `label` a row's name in the
table (may be left out), `baseline` a file of `baselines/`, which is measured instead of a model that is trained.

    {"label": "VAE, sharper", "samples_of": "VAE", "overrides": {"objective.temperature": 0.8}}

trains nothing: it measures the runs of an earlier entry, sampled in another way (`runs.workdir.restore` says what may
change).

An override `"cell:LABEL"`, for a field that names a workdir (`encoders.X.init_from`), is the workdir of the run with
that label and the same seed, which stands earlier in the list. Where shards share a sweep, one that comes to a cell
before another has trained what it starts from fails there: run it again.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError, MmgenError, SweepError
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
    import jax

    from mmgen_jax import lookup, train
    from mmgen_jax.baselines import base
    from mmgen_jax.config.system import build_system, open_source
    from mmgen_jax.data import pipeline
    from mmgen_jax.runs.workdir import create_state
    from mmgen_jax.training import parallel

    config, every = cell.config, cell.config.train
    source = open_source(config)
    system = build_system(config, source.modalities)
    if cell.baseline:
        base.create(cell.baseline, config, system.target)
    else:
        parallel.create(config.parallel.mode, every.batch_size, config.parallel.fsdp, config.parallel.num_devices)
        train.check_schedule(config, system)
        pipeline.batches(source, batch_size=every.batch_size * every.steps_per_call, seed=config.seed, num_threads=0)
        jax.eval_shape(functools.partial(create_state, config, system))
    for fields in config.evaluators.values():
        evaluator = lookup.build(
            "evaluators", fields, target=system.target, seed=config.seed, data=config.data.to_dict()
        )
        for split in evaluator.splits:
            len(open_source(config, split, evaluator.names))  # opens it


def run(file: str | os.PathLike, workdir: str | os.PathLike, shard: str = "0/1") -> None:
    """Trains and measures every cell without a line in `results.jsonl`, each in `workdir/<its name>`.

    A cell that was interrupted goes on from its newest checkpoint. A cell that fails is reported and the others go on.

    Args:
      shard: `i/n`: of all cells those numbered i, i + n, …, counted from 0. Shards may run at once, one process each,
        on one machine or on several that share the folders.

    Raises:
      SweepError: before the first run where any cell of the sweep is wrong; at the end where some failed.
    """
    file, workdir = pathlib.Path(file), pathlib.Path(workdir)
    part, parts = _shard(shard)
    cells = load(file)
    check(cells)
    cells, path = cells[part::parts], file.parent / lines.FILE
    origin = {"commit": lines.commit(), "hardware": lines.hardware()}
    if origin["commit"].endswith("-dirty"):
        print(f"{origin['commit']}: code that is not committed cannot be run again from its lines; commit it first")
    times, failed = {}, []
    for line in lines.read(path):
        if line["steps"] and line["hardware"] == origin["hardware"]:
            times.setdefault(line["config"], []).append(line["seconds"])
    for number, cell in enumerate(cells, 1):
        done = {line["config_hash"] for line in lines.read(path)}  # another shard may have added to it
        if cell.config_hash in done:
            print(f"cell {number} of {len(cells)}: {cell.name} has its line in {path}", flush=True)
            continue
        waiting = [c for c in cells[number - 1 :] if not (c.config_hash in done or c.baseline or c.trained)]
        left = time_left([other.reference for other in waiting], times)
        print(f"cell {number} of {len(cells)}: {cell.name}; {left}", flush=True)
        began = time.monotonic()
        try:
            if cell.baseline:
                measured = _measure(cell)
            else:
                measured = (_sample if cell.trained else _train)(cell, workdir / cell.name, origin)
        except Exception as error:
            if not isinstance(error, (ConfigError, FloatingPointError)):
                traceback.print_exc()
            failed.append(f"{cell.name} ({type(error).__name__}: {' '.join(str(error).split())})")
            print(f"cell {number} of {len(cells)} failed: {failed[-1]}", flush=True)
            continue
        if not (cell.baseline or cell.trained):
            times.setdefault(cell.reference, []).append(time.monotonic() - began)
        lines.append(path, {"experiment": file.absolute().parent.name, **describe(cell), **origin, **measured})
    if failed:
        raise SweepError(f"{len(failed)} of {len(cells)} cells failed: {'; '.join(failed)}")
    print(f"results: {path}")


def describe(cell: Cell) -> dict[str, Any]:
    """What a line of the results says of its cell."""
    about = {"config": cell.reference, "overrides": dict(cell.overrides), "seed": cell.seed}
    return about | {"config_hash": cell.config_hash} | ({"baseline": cell.baseline} if cell.baseline else {})


def _train(cell: Cell, workdir: pathlib.Path, origin: dict[str, str]) -> dict[str, Any]:
    import jax

    from mmgen_jax import evaluate, train

    origin = _origins(workdir, origin)
    (workdir / evaluate.FILE).unlink(missing_ok=True)  # of a finished run whose evaluators may have changed
    try:
        train.train(cell.placed(workdir.parent), workdir)
    finally:
        jax.clear_caches()  # no other cell can use this one's compiled programs, and they would pile up
    measured = (workdir / evaluate.FILE).is_file()
    metrics = (evaluate.read if measured else evaluate.evaluate)(workdir) if cell.config.evaluators else {}
    return {**origin, "seconds": training_seconds(workdir), "steps": cell.config.train.steps, "metrics": metrics}


def _sample(cell: Cell, workdir: pathlib.Path, origin: dict[str, str]) -> dict[str, Any]:
    """As `_train`, of a run that is trained and measured in its own way first, unless that is done."""
    import jax

    from mmgen_jax import evaluate

    assert cell.trained is not None
    if not _finished(workdir, cell.trained.placed(workdir.parent)):
        _train(cell.trained, workdir, origin)
    about = _origins(workdir, origin) | {"seconds": training_seconds(workdir), "steps": cell.config.train.steps}
    try:
        return about | {"metrics": evaluate.evaluate(workdir, changes=cell.changes)}
    finally:
        jax.clear_caches()


def _finished(workdir: pathlib.Path, config) -> bool:
    """Whether the workdir holds this very config, evaluators too, trained to the end and measured."""
    from mmgen_jax import evaluate

    measured, saved = workdir / evaluate.FILE, workdir / "config.json"
    if not (measured.is_file() and saved.is_file() and saved.read_text() == loading.to_json(config)):
        return False
    return json.loads(measured.read_text())["checkpoint_step"] == config.train.steps


def _measure(cell: Cell) -> dict[str, Any]:
    from mmgen_jax import evaluate
    from mmgen_jax.baselines import base
    from mmgen_jax.config.system import build_system, open_source

    system = build_system(cell.config, open_source(cell.config).modalities)
    metrics = evaluate.run(cell.config, system, base.create(cell.baseline, cell.config, system.target))
    return {"seconds": 0.0, "steps": 0, "metrics": metrics}


def training_seconds(workdir: pathlib.Path) -> float:
    """The time that the steps behind a run's final state took, summed over its log windows.

    Compiling the step, and what is sampled, evaluated and saved between steps, count; setting up and the evaluation
    after the last step do not. Because a resumed run drops the log lines after its checkpoint, what a kill lost is not
    counted, and the time before it is.
    """
    from mmgen_jax.training import metric_writer

    seconds, step = 0.0, 0
    for line in metric_writer.read(workdir):
        if "steps_per_second" in line:
            seconds, step = seconds + (line["step"] - step) / line["steps_per_second"], line["step"]
    return round(seconds, 1)


def _origins(workdir: pathlib.Path, now: dict[str, str]) -> dict[str, str]:
    """Commit and hardware of every process that this run's checkpoints came from, and of this one, joined by ` + `."""
    record = workdir.with_name(workdir.name + ".json")
    checkpoints = workdir / "checkpoints"
    resumed = checkpoints.is_dir() and any(folder.name.isdigit() for folder in checkpoints.iterdir())
    before = json.loads(record.read_text()) if resumed and record.is_file() else []
    starts = [start for start in before if start != now] + [now]
    workdir.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(starts) + "\n")
    return {key: " + ".join(dict.fromkeys(start[key] for start in starts)) for key in now}


def time_left(references: Sequence[str], times: Mapping[str, Sequence[float]]) -> str:
    """An estimate for the runs of these configs in turn: the mean seconds of the config's own runs, else of all."""
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
