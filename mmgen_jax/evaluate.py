"""Evaluation: every evaluator of a config on its splits, into `evaluation.json`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.system import System, open_source
from mmgen_jax.contracts import Draw
from mmgen_jax.data import pipeline
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import check_batch
from mmgen_jax.runs.workdir import restore

FILE = "evaluation.json"


def run(config, system: System, sampler: Draw, split: str = "") -> dict[str, dict[str, Any]]:
    """`{"<split>/<evaluator>/<metric>": {"value", "n", …}}`, on one split or on each evaluator's own.

    Raises:
      ConfigError: the data has no such split.
    """
    metrics = {}
    for name, evaluator, part, source in build(config, system, split):
        batches = pipeline.batches(
            source, batch_size=sampler.batch_size, seed=0, shuffle=False, epochs=1, drop_remainder=False
        )
        entries = evaluator(sampler.rewind(), batches)  # so that no entry depends on what else was measured
        metrics |= {f"{part}/{name}/{metric}": entry for metric, entry in entries.items()}
    return metrics


def build(config, system: System, split: str = "") -> list[tuple[str, Any, str, Any]]:
    """`(name, evaluator, split, source)` of all that `run` will measure; nothing is computed.

    Raises:
      ConfigError, LookupFailed, BatchError: an evaluator, a split or its data that cannot be used.
    """
    built = []
    for name, fields in config.evaluators.items():
        target = fields.get("target") or system.target
        context = {"target": target, "seed": config.seed, "data": config.data.to_dict()}
        rate = system.modalities[target].sample_rate if target in system.modalities else 0
        evaluator = lookup.build("evaluators", fields, **context, **({"sample_rate": rate} if rate else {}))
        for part in (split,) if split else evaluator.splits:
            source = open_source(config, part, evaluator.names)
            check_batch(source.read(np.arange(1), np.zeros(1, np.int64)), source.modalities)
            built.append((name, evaluator, part, source))
    return built


def write(workdir: pathlib.Path, config, step: int, metrics: dict[str, dict[str, Any]]) -> pathlib.Path:
    path = workdir / FILE
    content = {"checkpoint_step": int(step), "config": config.reference, "metrics": metrics}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)
    return path


def evaluate(workdir, split: str = "", changes: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Evaluates the newest checkpoint of a workdir and writes `evaluation.json` (other splits' entries are kept).

    Args:
      changes: to what sampling reads, see `runs.workdir.restore`; then nothing is written, since the file is of the
        run's own config.
    """
    workdir = pathlib.Path(workdir)
    config, system, sampler, step = restore(workdir, changes=changes)
    if not config.evaluators:
        raise ConfigError(f"--workdir={workdir}: its config has no evaluators, so there is nothing to measure")
    metrics = run(config, system, sampler, split)
    if changes:
        return metrics
    if split and (workdir / FILE).is_file():
        before = json.loads((workdir / FILE).read_text())
        if before["checkpoint_step"] == step:
            metrics = before["metrics"] | metrics
    write(workdir, config, step, metrics)
    return metrics


def table(metrics: dict[str, dict[str, Any]]) -> str:
    """The metrics as lines for a terminal: name, value, interval, and what else they were measured beside."""
    beside = ("judge_accuracy", "baseline", "reference", "chance")
    width = max(map(len, metrics), default=0)
    lines = []
    for name, entry in metrics.items():
        line = f"{name:<{width}}  {entry['value']:10.4f}"
        if "interval" in entry:
            line += "  [{:.4f}, {:.4f}]".format(*entry["interval"])
        line += "".join(f"  {key} {entry[key]:.4f}" for key in beside if isinstance(entry.get(key), float))
        lines.append(line + f"  n={entry['n']}" if "n" in entry else line)
    return "\n".join(lines)


def read(workdir: pathlib.Path) -> dict[str, dict[str, Any]]:
    return json.loads((workdir / FILE).read_text())["metrics"]
