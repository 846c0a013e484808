"""The train loop: restore the newest checkpoint, then for every step evaluate, save, take a batch, step, log."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mmgen_jax import check_data, contracts, evaluate
from mmgen_jax.config import without_data
from mmgen_jax.config.system import System, build_system, open_source
from mmgen_jax.data import pipeline
from mmgen_jax.errors import ConfigError, NotFinite
from mmgen_jax.modalities.modality import Batch, check_batch
from mmgen_jax.runs import init_from, samples
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import check_place, create_state, prepare_workdir
from mmgen_jax.train_step import active_players, steps, train_step
from mmgen_jax.training import checkpoint, metric_writer, parallel
from mmgen_jax.training.optimizers import check_stages, check_warmups
from mmgen_jax.training.progress import Progress, processor_seconds
from mmgen_jax.training.state import TrainState, averaged


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Everything that a run needs, checked. The data is opened once: later changes of the data do not affect a run."""

    source: contracts.Source
    system: System
    layout: parallel.Parallel
    create: Callable[[], TrainState]
    abstract: Any  # the state's shapes
    measures: list[evaluate.Built]
    shown: Batch | None  # held-out examples to draw samples for; None where the objective draws none


def prepare(config, begun: bool = False) -> Prepared:
    """Makes every check of a config that is possible before anything is compiled or written.

    Args:
      begun: whether the run has begun already. Its warm-ups are then not checked, because version 0.1 allowed a warm-up
        that is longer than the run.
    """
    every = config.train
    without_data.check(config)
    source = open_source(config)
    label_preserving = tuple(getattr(source, "label_preserving", ()))
    system = build_system(config, source.modalities, label_preserving=label_preserving)
    layout = parallel.create(config.parallel.mode, every.batch_size, config.parallel.fsdp, config.parallel.num_devices)
    check_schedule(config, system)
    if not begun:
        check_warmups(system.optimizers)
    pipeline.check_size(source, every.batch_size * every.steps_per_call)
    measures = evaluate.build(config, system)
    check_batch(
        source.read(np.arange(every.batch_size) % len(source), np.zeros(every.batch_size, int)), source.modalities
    )
    create = functools.partial(create_state, config, system)
    abstract = layout.abstract(create)  # networks that do not fit together fail here
    layout.check_memory(abstract)
    shown = samples.examples(config) if "sample" in system.objective.abilities else None
    return Prepared(source, system, layout, create, abstract, measures, shown)


def train(config, workdir) -> TrainState:
    """Trains `config` to `config.train.steps`, from the newest checkpoint in `workdir` or from the start.

    On CPU, a run that was killed and started again ends in bitwise the same state as an uninterrupted run.

    Returns:
      The state after the last step.

    Raises:
      ConfigError, LookupFailed, BatchError: before anything is compiled or written.
      NotFinite: at the first log step after a value became NaN or infinite; that state is not saved.
    """
    workdir, every = check_place(workdir, "--workdir"), config.train
    ready = prepare(config, begun=(workdir / "config.json").is_file())
    source, system, layout = ready.source, ready.system, ready.layout
    with contextlib.ExitStack() as stack:
        batches = make_batches(source, config, layout, stack)
        prepare_workdir(workdir, config, source)
        checkpoints = stack.enter_context(checkpoint.Checkpointer(workdir / "checkpoints"))
        start = checkpoints.latest_step() or 0
        if start:
            state, data_state = checkpoints.restore(start, ready.abstract)
            batches.set_state(data_state)
        else:
            state = init_from.load(layout.init(ready.create), system.init_from)
        writer = stack.enter_context(metric_writer.MetricWriter(workdir, start))
        progress = stack.enter_context(Progress(every.steps, start))
        progress.write(summary(config, state, layout, start))
        for line in check_data.notes(source, "layout_found"):
            progress.write(f"data: {line}")
        for line in check_data.notes(source, "warnings"):
            progress.write(f"WARNING {line}")
        for line in system.objective.warnings(source):
            progress.write(f"WARNING {line}")
        step_fn = functools.partial(
            train_step,
            objective=system.objective,
            optimizers=system.optimizers,
            seed=config.seed,
            augment=system.augment,
        )
        sampler = Sampler(system, layout, every.batch_size, config.seed)
        pending, since, spent = [], time.monotonic(), processor_seconds()

        loop = steps(
            layout.compile_step(step_fn, state, every.steps_per_call),
            state,
            batches,
            start=start,
            stop=every.steps,
            per_call=every.steps_per_call,
            players=lambda step: active_players(step, system.optimizers, system.objective.players),
        )
        for step, state, metrics in loop:
            last = step >= every.steps
            if metrics is not None:
                pending.append(metrics)
                if step % every.log_steps == 0 or last or step % every.checkpoint_steps == 0:
                    means, not_finite = metric_writer.summarise(pending)
                    if not_finite is not None:
                        raise NotFinite(diagnosis(not_finite, step, len(pending), every.steps_per_call, state))
                    now, used = time.monotonic(), processor_seconds()
                    means["steps_per_second"] = len(pending) * every.steps_per_call / (now - since)
                    means["data_wait"] = batches.waited() / (now - since)  # share of the time spent waiting for data
                    means["processor_seconds"] = used - spent
                    writer.write(step, means)
                    progress.update(step, means)
                    pending, since, spent = [], now, used
                else:
                    progress.update(step)

            if last and step > start:
                # Save before the evaluation, so that a failed evaluation does not lose the trained state.
                checkpoints.save(step, state, batches.get_state())
            if is_due(step, start, every.sample_steps, last):
                paths = samples.save_all(workdir, step, ready.shown, sampler.load(*averaged(state)))
                writer.write_samples(step, paths)
            # A finished run that is started again is evaluated again: the config's evaluators may have changed.
            if (last or is_due(step, start, every.eval_steps, last)) and config.evaluators:
                results = evaluate.run(config, system, sampler.load(*averaged(state)), built=ready.measures)
                evaluate.write(workdir, config, step, results)
                if step > start:
                    known = {name: entry["value"] for name, entry in results.items() if entry["value"] is not None}
                    writer.write(step, known)
            if not last and is_due(step, start, every.checkpoint_steps, last):
                # State and data position are saved together, before the next batch is taken, so a resume is exact.
                checkpoints.save(step, state, batches.get_state())
    return state


def is_due(step: int, start: int, interval: int, last: bool) -> bool:
    """Whether an action that repeats every `interval` steps (0: never) is due at `step`.

    No action is due at the step where a run starts or resumes; every action is due at the last step. The actions at a
    checkpoint's step come before the checkpoint is saved, so a resumed run does not repeat them.
    """
    return step > start and (last or (interval > 0 and step % interval == 0))


def check_schedule(config, system) -> None:
    """Raises ConfigError where the loop cannot keep the intervals of `config.train` or the players' stages."""
    every = config.train
    for name in ("steps", "log_steps", "checkpoint_steps", "sample_steps", "eval_steps"):
        if every[name] % every.steps_per_call:
            raise ConfigError(
                f"config.train.{name}: expected a multiple of train.steps_per_call={every.steps_per_call}, got "
                f"{every[name]}"
            )
    for player, optimizer in system.optimizers.items():
        if every.steps_per_call > 1 and (optimizer.interval > 1 or optimizer.start_step or optimizer.stop_step):
            raise ConfigError(
                f"config.train.steps_per_call: {player} is not updated in every step (interval, start_step or "
                f"stop_step), expected steps_per_call=1, got {every.steps_per_call}"
            )
    check_stages(system.optimizers, system.objective.stages, every.steps)


def make_batches(source, config, layout: parallel.Parallel, stack: contextlib.ExitStack):
    """Iterator of shuffled batches on the devices; `get_state` and `set_state` save and restore the data position."""
    steps = config.train.steps_per_call

    def put(batch):
        if steps > 1:
            batch = {name: rows.reshape(steps, -1, *rows.shape[1:]) for name, rows in batch.items()}
        return layout.put(batch, steps_axis=steps > 1)

    batches = pipeline.batches(
        source,
        batch_size=config.train.batch_size * steps,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    return stack.enter_context(contextlib.closing(pipeline.prefetch_to_device(batches, put)))


def summary(config, state, layout: parallel.Parallel, start: int) -> str:
    """The first line of a run: config, parameters of each player, devices, and the step of a resumed run."""
    sizes = {p: sum(leaf.size for leaf in jax.tree.leaves(tree)) for p, tree in state.params.items()}
    count = ", ".join(f"{player} {size / 1e6:.2f} M" for player, size in sizes.items())
    where = f"{layout.num_devices} × {jax.devices()[0].platform}, {layout.mode}"
    resumed = f"; resuming at step {start}" if start else ""
    return f"{config.reference or 'config'}: parameters {count}; on {where}{resumed}"


def diagnosis(not_finite: tuple[int, str], step: int, calls: int, steps_per_call: int, state) -> str:
    """The message of NotFinite: the first step and metric that were not finite, and the state's non-finite tensors.

    Args:
      not_finite: `(offset, metric)` from `metric_writer.summarise`.
      step: the step at which the loop noticed, `calls` calls of `steps_per_call` steps after the previous log step.
    """
    offset, name = not_finite
    first = step - calls * steps_per_call + offset + 1
    bad = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if np.issubdtype(leaf.dtype, np.floating) and not np.isfinite(np.asarray(leaf)).all()
    ]
    tensors = (
        f"{len(bad)} tensors of the state are not finite by step {step}, first {bad[0]}" if bad else "none in the state"
    )
    return (
        f"step {first}: {name} is not finite; {tensors}. The newest checkpoint is older than this step; lower the "
        "learning rate or set optimizers.<player>.clip_norm, in a new --workdir, or look at that step's batch"
    )
