"""Reports the contents of a data source, and every problem that would stop a training run on it."""

from __future__ import annotations

import functools
import inspect
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError, MmgenError, printable
from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch, Modality, check_batch
from mmgen_jax.runs import samples

LISTED = 20  # at most this many ignored files are listed
BATCH_SIZE = 64


def check(config: Config, out: str | pathlib.Path | None = None, overwrite: bool = False) -> int:
    """Runs `check_source` on the config's data, then checks that model, steps and evaluators fit the data.

    Args:
      out: see `check_source`.
      overwrite: whether `out` may hold files; see `runs.workdir.check_out`.

    Returns:
      The exit code: 1 where training would fail for another reason than its devices, else 0.
    """
    import jax

    from mmgen_jax import evaluate
    from mmgen_jax.config import without_data
    from mmgen_jax.config.system import build_system, open_source
    from mmgen_jax.data import pipeline
    from mmgen_jax.runs.workdir import check_out, create_state
    from mmgen_jax.training.optimizers import check_schedule

    out = None if out is None else check_out(out, overwrite)
    try:
        source_class = lookup.find("data", config.data.get("name"))
        fields = {key: value for key, value in config.data.items() if key not in ("name", "fraction", "part")}
        if "seed" in inspect.signature(source_class).parameters:
            fields.setdefault("seed", config.seed)
        without_data.check(config)
        opened = functools.partial(open_source, config) if config.get("derived") else None
        if check_source(source_class, fields, out, opened=opened):
            return 1
        source = open_source(config)
        label_preserving = tuple(getattr(source, "label_preserving", ()))
        system = build_system(config, source.modalities, label_preserving=label_preserving)
        pipeline.check_size(source, config.train.batch_size * config.train.steps_per_call)
        check_schedule(config, system.optimizers, system.objective.stages)
        evaluate.build(config, system)
        try:
            jax.eval_shape(functools.partial(create_state, config, system))
        except MmgenError:
            raise
        except Exception as error:  # of flax or JAX
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(f"the networks do not fit together: {what}") from error
    except MmgenError as error:
        print(f"PROBLEM {error}")
        return 1
    return 0


def check_source(
    source_class: type,
    fields: Mapping[str, Any],
    out: str | pathlib.Path | None = None,
    num_pictured: int = 8,
    max_examples: int = 10_000,
    opened: Callable[[str], Any] | None = None,
) -> int:
    """Prints counts, shapes, lengths, rates and missing partners per modality and split, then every problem.

    A source may have a classmethod `examine(**fields) -> Listing`, which finds all problems of the source's files; the
    constructor stops at the first problem. A source may also have two methods that return lines: `layout_found()` tells
    how the source reads its files, and `warnings()` lists possible mistakes in the data.

    Args:
      source_class: `Source` of a data module.
      fields: the arguments of `source_class`, without `split`.
      out: folder for pictures of a few examples of each split, as `<split>/<modality>.png` and so on.
      num_pictured: examples in a picture, chosen as the samples of a run are (`runs/samples.py`).
      max_examples: at most this many examples of each split are read; the printed size of the split counts all of them.
      opened: `(split) -> source`, used in place of `source_class` where the config adds modalities (`config.derived`).

    Returns:
      1 where there is a problem, else 0.
    """
    fields, parameters = dict(fields), inspect.signature(source_class)
    fields.pop("split", None)
    try:
        parameters.bind(split="", **fields)
    except TypeError as error:
        print(f"PROBLEM data: {error}; the fields are {', '.join(parameters.parameters)}")
        return 1
    problems, skipped, ignored, layout, more, warnings = [], [], [], {}, {}, {}
    try:
        if hasattr(source_class, "examine"):
            found = source_class.examine(**fields)
            ignored, layout, warnings = found.ignored, dict.fromkeys(found.layout), dict.fromkeys(found.warnings)
            problems, skipped = list(map(str, found.problems)), found.bad
            _say(*(f"layout: {line}" for line in layout))
        for split in source_class.splits if not problems else ():
            source = opened(split) if opened else source_class(split=split, **fields)
            _check_split(split, source, out, num_pictured, fields.get("seed", 0), max_examples, problems)
            more |= dict.fromkeys(line for line in notes(source, "layout_found") if line not in layout)
            warnings |= dict.fromkeys(notes(source, "warnings"))
    except (MmgenError, OSError) as error:
        problems.append(str(error))
    lines = [f"layout: {line}" for line in more] + [f"WARNING {line}" for line in warnings]
    _say(*lines, *(f"SKIPPED {error}" for error in skipped))
    if ignored:
        print(f"{len(ignored)} files are not used:")
        _say(*(f"  {line}" for line in ignored[:LISTED]))
        if len(ignored) > LISTED:
            print(f"  … and {len(ignored) - LISTED} more")
    if problems:
        _say(*(f"PROBLEM {line}" for line in problems))
    else:
        print(f"nothing stops training; warnings: {len(warnings)}" if warnings else "no problems with the data")
    return int(bool(problems))


def _say(*lines: str) -> None:
    """Prints lines that may hold names of files; a control character of a name does not reach the terminal."""
    for line in lines:
        print(printable(line.replace("\n", "\\n")))


def notes(source: Any, method: str) -> list[str]:
    """The lines of `layout_found` or `warnings`; none where the source lacks the method."""
    return list(getattr(source, method, list)())


def _check_split(split: str, source, out, num_pictured: int, seed: int, max_examples: int, problems: list[str]) -> None:
    """Reads the split, prints its statistics and writes its pictures; adds errors of `check_batch` to `problems`."""
    read = min(len(source), max_examples)
    print(f"{split}: {len(source)} examples" + (f", of which {read} were read" if read < len(source) else ""))
    counts = {name: _Count(modality) for name, modality in source.modalities.items()}
    for start in range(0, read, BATCH_SIZE):
        indices = np.arange(start, min(start + BATCH_SIZE, read))
        batch = source.read(indices, np.zeros_like(indices))
        try:
            check_batch(batch, source.modalities)
        except MmgenError as error:
            problems.append(f"{split}[{start}:{indices[-1] + 1}]: {error}")
            continue
        for name, count in counts.items():
            count.add(batch, name)
    if out is not None and not problems:
        indices = samples.choose(source, num_pictured, seed)
        batch = source.read(indices, np.zeros_like(indices))
        few = {name: batch[name] for name in source.modalities if name in batch}
        prompts = [_prompt(batch, source.modalities, i) for i in range(len(indices))]
        save.save_samples(pathlib.Path(out) / split, None, few, source.modalities, prompts)
    for name, count in counts.items():
        print(printable(f"  {name:<10}{count}"))


def _prompt(batch: Batch, modalities: Mapping[str, Modality], i: int) -> str:
    """The example's first text, and which modalities it lacks."""
    texts = [
        modality.tokenizer.decode(batch[name][i])
        for name, modality in modalities.items()
        if modality.tokenizer and batch.get(name + MASK_SUFFIX, {i: True})[i]
    ]
    missing = [name for name in modalities if not batch.get(name + MASK_SUFFIX, {i: True})[i]]
    return " ".join(texts[:1] + [f"(no {name})" for name in missing])


class _Count:
    """Counts the examples that have one modality and the examples that lack it; keeps the statistics of its kind."""

    def __init__(self, modality: Modality):
        self.modality, self.statistics = modality, modality.traits.statistics()
        self.present = self.missing = 0

    def add(self, batch: Batch, name: str) -> None:
        size = len(next(iter(batch.values())))
        if name not in batch:
            self.missing += size
            return
        mask = np.asarray(batch.get(name + MASK_SUFFIX, np.ones(size, bool)))
        values = np.asarray(batch[name])[mask]
        self.present, self.missing = self.present + len(values), self.missing + size - len(values)
        if len(values):
            self.statistics.add(values)

    def __str__(self) -> str:
        line = f"{self.modality.kind} {list(self.modality.shape)}, {self.present} present, {self.missing} missing"
        return f"{line}; {self.statistics}" if self.present else line
