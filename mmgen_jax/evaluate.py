"""Evaluation: runs every evaluator of a config on the evaluator's splits, and writes `evaluation.json`.

With `--step=N`, the file is `evaluation_<N>.json`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config import schema
from mmgen_jax.config.system import System, open_source
from mmgen_jax.contracts import Draw
from mmgen_jax.data.cache import disk
from mmgen_jax.errors import ConfigError, DataError, InputError, MmgenError
from mmgen_jax.evaluators.judges import files
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities.modality import check_batch
from mmgen_jax.runs import data, remote
from mmgen_jax.runs.callable_module import CallableModule
from mmgen_jax.runs.workdir import changed, read_workdir, restore

FILE = "evaluation.json"
sys.modules[__name__].__class__ = CallableModule  # `mmgen_jax.evaluate(…)` is `mmgen_jax.api.evaluate(…)`


@dataclasses.dataclass(frozen=True)
class Built:
    """An evaluator of a config, and a split that it measures."""

    name: str
    evaluator: Any
    split: str
    source: Any
    config: Any

    @functools.cached_property
    def shares_training_items(self) -> bool | None:
        """Whether the evaluator's judge was trained on some of the training examples of the config's model.

        Such a judge may prefer copies of the shared examples: a copy of a training example can score above a true one.
        The two parts of a split (`config.data.part`) share no family of examples.
        """
        names, part = (getattr(self.evaluator, "judged", self.evaluator.target),), self.config.data.get("part")
        if part and self.evaluator.data.get("part") == part:
            return False
        own = examples.whole(self.config.data.to_dict(), names, seed=self.config.seed)
        return files.shared(own, files.training(self.evaluator.data, names), *names)


def run(
    config, system: System, sampler: Draw, split: str = "", built: Sequence[Built] | None = None
) -> dict[str, dict[str, Any]]:
    """`{"<split>/<evaluator>/<metric>": {"value", "n", …}}`, on one split or on each evaluator's own splits.

    A metric that is not defined for the samples has the value None, and a reason `why`. An entry by a judge has two
    more fields. `judge_trained_on` is the judge's training data, None for a judge that is not a trained network.
    `shares_training_items` tells whether the judge and the model have training examples in common; it is None where
    only some of the examples were compared and none of these is shared. Every entry has `examples`, the order in which
    the examples were read, and `num_frames`, where the evaluator's target, or else other data that it reads, is a clip.

    Args:
      built: the result of an earlier call of `build`.

    Raises:
      ConfigError: the data has no such split.
    """
    metrics = {}
    for one in build(config, system, split) if built is None else built:
        batches = examples.batches(one.source, sampler.batch_size)
        entries = one.evaluator(sampler.rewind(), batches)  # so that no entry depends on the other entries
        about: dict[str, Any] = {"examples": examples.ORDER}
        read = one.source.modalities
        lengths = [read[name].num_frames for name in (getattr(one.evaluator, "target", ""), *read) if name in read]
        frames = {"num_frames": num} if (num := next(filter(None, lengths), 0)) else {}
        if judged := [entry for entry in entries.values() if "judge_trained_on" in entry]:
            about["shares_training_items"] = bool(judged[0]["judge_trained_on"]) and one.shares_training_items
        metrics |= {
            f"{one.split}/{one.name}/{metric}": ({} if "frames" in entry else frames) | entry | about
            for metric, entry in entries.items()
        }
    return metrics


def build(config, system: System, split: str = "") -> list[Built]:
    """Every evaluator and split that `run` will measure; no metric is computed.

    Args:
      split: measured in place of each evaluator's own splits.

    Raises:
      ConfigError, LookupFailed, BatchError: an evaluator, a split or its data cannot be used.
    """
    built = []
    for name, fields in config.evaluators.items():
        target = fields.get("target") or system.target
        context: dict[str, Any] = {"target": target, "seed": config.seed, "data": judged_data(config)}
        context["derived"] = config.get("derived", {})
        rate = system.modalities[target].sample_rate if target in system.modalities else 0
        context |= {"sample_rate": rate} if rate else {}
        context["reads"] = _values(system)
        evaluator = lookup.build("evaluators", fields, f"config.evaluators.{name}", **context)
        ability, able = getattr(evaluator, "ability", "sample"), system.objective.abilities
        if ability not in able:
            raise ConfigError(
                f"config.evaluators.{name}: {fields.name} needs a model that can {ability!r}, and objective "
                f"{config.objective.name!r} can: {', '.join(sorted(able))}; take it out (evaluators.{name}=none)"
            )
        where = f"config.evaluators.{name}: {fields.name}"
        if (wanted := getattr(evaluator, "target", system.target)) not in system.targets:
            raise ConfigError(
                f"{where}: target: expected what the model draws ({', '.join(system.targets)}), got {wanted!r}; "
                f"set evaluators.{name}.target, or take it out (evaluators.{name}=none)"
            )
        for part in (split,) if split else evaluator.splits:
            source = _opened(config, part, evaluator, name)
            try:
                if hasattr(evaluator, "suits"):
                    # Targets that belong together are each other's conditions.
                    evaluator.suits(source.modalities, system.conditions or system.targets[1:])
                if hasattr(evaluator, "check_model"):
                    evaluator.check_model(system.objective)
            except (ConfigError, InputError) as error:
                raise ConfigError(f"{where}: {error}; or take it out (evaluators.{name}=none)") from error
            check_batch(batch := source.read(np.arange(1), np.zeros(1, np.int64)), source.modalities)
            if hasattr(evaluator, "check"):
                evaluator.check(batch, system.conditions)
            built.append(Built(name, evaluator, part, source, config))
    return built


def _values(system: System) -> tuple[str, ...]:
    """Names of the model's continuous conditions.

    Discrete conditions (texts, labels, masks) are left out, because two examples may have equal ones by chance.
    """
    known = ((name, system.modalities[name]) for name in system.conditions if name in system.modalities)
    return tuple(n for n, m in known if np.issubdtype(m.dtype, np.floating) and not m.traits.binary)


def _opened(config, split: str, evaluator, name: str):
    """The split with all that the evaluator reads; raises ConfigError where the data lacks one of its `names`."""
    try:
        return open_source(config, split, evaluator.names)
    except (ConfigError, DataError) as error:
        everything = config.copy_and_resolve_references().unlock()
        everything.data.names = ()
        known = open_source(everything, split).modalities
        missing = [other for other in evaluator.names if other not in known]
        if not missing:
            raise error
        own = [field.name for field in dataclasses.fields(evaluator) if getattr(evaluator, field.name) == missing[0]]
        advice = f"set evaluators.{name}.{own[0]}, or take it out" if own else "take it out"
        has = ", ".join(f"{other} ({modality.kind})" for other, modality in known.items())
        raise ConfigError(
            f"config.evaluators.{name}: {config.evaluators[name].name} reads {missing[0]!r}, which the data lacks; it "
            f"has: {has}; {advice} (evaluators.{name}=none)"
        ) from error


def judged_data(config) -> dict[str, Any]:
    """`config.data` for a judge.

    A source that draws its splits at random gets the run's seed, so that the judge trains on no test example of the
    run.
    """
    return _seeded(config.data.to_dict(), config.seed)


def _seeded(data: Any, seed: int) -> Any:
    """A source's fields, with the seed where the source, or a source in it, draws its splits."""
    if not isinstance(data, Mapping):
        return data
    data = {key: _seeded(value, seed) for key, value in data.items()}
    if not isinstance(data.get("name"), str):
        return data
    fields = {field.name for field in dataclasses.fields(lookup.find("data", data["name"]))}
    return {"seed": seed, **data} if {"seed", "test_fraction"} <= fields else data


def write(
    workdir: pathlib.Path, config, step: int, metrics: dict[str, dict[str, Any]], file: str = FILE
) -> pathlib.Path:
    """Writes `evaluation.json` or another `file`; the same checkpoint's entries on splits not measured now are kept."""
    path = workdir / file
    before = _content(path) if path.is_file() else {}
    if before.get("checkpoint_step") == step:
        measured = {name.partition("/")[0] for name in metrics}
        parts = {name: name.split("/") for name in before["metrics"]}
        kept = {name for name, (split, by, *_) in parts.items() if split not in measured and by in config.evaluators}
        metrics = {name: entry for name, entry in before["metrics"].items() if name in kept} | metrics
    about = {"config": config.reference, "data": data.read(workdir).get("fingerprint", "")}
    content = {"checkpoint_step": int(step), **about, "metrics": metrics}
    disk.replace(path, json.dumps(content, indent=2) + "\n")
    return path


def evaluate(
    workdir,
    split: str = "",
    changes: Mapping[str, Any] | None = None,
    show: Callable[[dict[str, dict[str, Any]]], None] = lambda metrics: None,
    step: int = 0,
) -> dict[str, dict[str, Any]]:
    """Evaluates a checkpoint of a workdir and writes `evaluation.json` (other splits' entries are kept).

    Args:
      changes: changed fields of the config, see `runs.workdir.restore`. With a changed sampling field, nothing is
        written, because the file belongs to the run's own config. With changed places of the data alone, the file is
        written.
      show: called with the metrics before they are written, which may fail on a full disk.
      step: of the checkpoint, whose metrics are then written to `evaluation_<step>.json`; 0: the newest.

    Raises:
      ConfigError: nothing to measure, or the data differs from the data of the run; see also `restore`.
      MmgenError: a concurrent training has evaluated a newer checkpoint; its file is kept.
    """
    workdir = remote.opened(workdir)
    config = changed(read_workdir(workdir)[0], changes or {})
    if not config.evaluators:
        raise ConfigError(f"--workdir={workdir}: its config has no evaluators, so there is nothing to measure")
    data.check(workdir, config)
    config, system, sampler, at = restore(workdir, changes=changes, step=step)
    file = f"evaluation_{step}.json" if step else FILE
    before = checkpoint_step(workdir)
    metrics = run(config, system, sampler, split)
    show(metrics)
    if set(changes or {}) - set(schema.places(config)):
        return metrics
    if not step and before != (newer := checkpoint_step(remote.refreshed(workdir, FILE))) > at:
        raise MmgenError(f"{workdir / FILE}: is about step {newer} by now, not about {at}; it is left as it is")
    write(workdir, config, at, metrics, file)
    remote.store(workdir, file)
    return metrics


def table(metrics: dict[str, dict[str, Any]]) -> str:
    """The metrics as lines for a terminal: name, value, interval, and controls (judge accuracy, baselines, chance, …).

    The line of a metric without a value shows the reason.
    """
    beside = ("judge_accuracy", "baseline", "reference", "chance")
    width = max(map(len, metrics), default=0)
    lines = []
    for name, entry in metrics.items():
        if entry["value"] is None:
            lines.append(f"{name:<{width}}  {'–':>10}  {entry['why']}")
            continue
        line = f"{name:<{width}}  {entry['value']:10.4f}"
        if entry.get("interval"):
            line += "  [{:.4f}, {:.4f}]".format(*entry["interval"])
        also = {key: entry.get(key) for key in beside}
        also |= {key: baseline["value"] for key, baseline in entry.get("baselines", {}).items()}
        line += "".join(f"  {key} {value:.4f}" for key, value in also.items() if isinstance(value, float))
        lines.append(line + f"  n={entry['n']}" if "n" in entry else line)
    return "\n".join(lines)


def read(workdir: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The metrics of a workdir's `evaluation.json`, `{"<split>/<evaluator>/<metric>": {"value", "n", …}}`.

    Raises:
      InputError: a damaged file.
    """
    return _content(workdir / FILE)["metrics"]


def checkpoint_step(workdir: pathlib.Path) -> int:
    """The step of the checkpoint that `evaluation.json` is about; -1 without the file."""
    return _content(workdir / FILE).get("checkpoint_step", -1) if (workdir / FILE).is_file() else -1


def _content(path: pathlib.Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: expected JSON, got a damaged file; remove it and run mmgen evaluate") from error
