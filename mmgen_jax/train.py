"""The train loop: restore the newest checkpoint, then for every step take a batch, step, log, save and measure."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mmgen_jax import check_data, contracts, evaluate
from mmgen_jax.config import schema, without_data
from mmgen_jax.config.system import System, build_system, open_source
from mmgen_jax.data import pipeline, read_ahead
from mmgen_jax.modalities.modality import Batch, check_batch
from mmgen_jax.runs import bad_batch, init_from, remote, samples
from mmgen_jax.runs.callable_module import CallableModule
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import check_place, create_state, prepared
from mmgen_jax.train_step import active_players, steps, train_step
from mmgen_jax.training import checkpoint, collapse, compiled, hosts, log_window, metric_writer, parallel, stopping
from mmgen_jax.training.optimizers import check_schedule, check_warmups
from mmgen_jax.training.progress import Progress
from mmgen_jax.training.state import TrainState, averaged

sys.modules[__name__].__class__ = CallableModule  # `mmgen_jax.train(…)` is `mmgen_jax.api.train(…)`


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
    layout.check_parts(every.batch_size, schema.optional(config, "train", "accumulate"))
    check_schedule(config, system.optimizers, system.objective.stages)
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


@hosts.ending()
def train(config, workdir, profile: int = 0) -> TrainState:
    """Trains `config` to `config.train.steps`, from the newest checkpoint in `workdir` or from the start.

    On CPU, a run that was killed and started again ends in bitwise the same state as an uninterrupted run.

    Args:
      profile: a step after which a trace of a few steps is written to `workdir/profile`; 0: none.

    Returns:
      The state after the last step.

    Raises:
      ConfigError, LookupFailed, BatchError: before anything is compiled or written; before the first step where the run
        is past `profile`.
      NotFinite: at the first log step after a value became NaN or infinite; that state is not saved.
    """
    workdir, every = check_place(remote.opened(workdir), "--workdir"), config.train
    hosts.wait_at_most(schema.optional(config, "parallel", "wait_seconds"))
    compiled.check_profile(profile, 0, every.steps)
    ready = prepare(config, begun=(workdir / "config.json").is_file())
    source, system, layout = ready.source, ready.system, ready.layout
    with contextlib.ExitStack() as stack:
        batches = make_batches(source, config, layout, stack)
        hosts.first(lambda: stack.enter_context(prepared(workdir, config, source)))
        keep = schema.optional(config, "train", "keep_checkpoints") or None
        checkpoints = stack.enter_context(checkpoint.Checkpointer(remote.checkpoints(workdir), keep))
        stack.callback(remote.store, workdir)
        stack.enter_context(hosts.ending())  # before the other processes are waited for
        start, unreported = 0, None
        if found := checkpoints.restore_newest(ready.abstract):
            start, state, data_state = found
            unreported = data_state.pop(log_window.KEY, None)
            batches.set_state(data_state)
        else:
            state = init_from.load(layout.init(ready.create), system)
        writer = stack.enter_context(metric_writer.MetricWriter(workdir, start, hosts.is_first()))
        progress = stack.enter_context(Progress(every.steps, start, hosts.output()))
        progress.write(compiled.summary(config, state, layout, start))
        if line := writer.gap(start - log_window.steps_of(unreported, every.steps_per_call)):
            progress.write(line)
        for line in check_data.notes(source, "layout_found"):
            progress.write(f"data: {line}")
        for line in check_data.notes(source, "warnings"):
            progress.write(f"WARNING {line}")
        for line in system.objective.warnings(source):
            progress.write(f"WARNING {line}")
        skips = schema.optional(config, "train", "skip_bad_steps")
        step_fn = functools.partial(
            train_step,
            objective=system.objective,
            optimizers=system.optimizers,
            seed=config.seed,
            augment=system.augment,
            accumulate=schema.optional(config, "train", "accumulate"),
            skip_bad=skips > 0,
            rematerialise=schema.optional(config, "train", "rematerialise"),
        )
        compiled.check_profile(profile, start, every.steps)
        trace = compiled.Trace(workdir, profile)
        sampler = Sampler(system, layout, every.batch_size, config.seed)
        step, watch = start, collapse.Watch()
        window = log_window.LogWindow(every.steps_per_call, unreported, skips)
        minutes = stopping.Clock(schema.optional(config, "train", "checkpoint_minutes"))
        # Samples and evaluation of the resumed step are done already, unless their files are missing.
        hosts.meet(long=True)  # after the first state is compiled
        sampled, measured = hosts.broadcast([samples.are_saved(workdir, start), writer.has_evaluation(start)])

        def save() -> None:
            """Saves state, data position and unreported metrics, which belong to one step, unless they are saved."""
            if step > checkpoints.newest:
                hosts.meet()  # the digests and Orbax have collectives of their own
                window.check(step, state, checkpoints.newest)
                unreported = window.get_state(batches.waited())
                writer.sync()
                remote.store(workdir)
                checkpoints.save(step, state, {**batches.get_state(), **unreported})
                minutes.restart()

        def is_due(interval: int) -> bool:
            """Whether an action that repeats every `interval` steps (0: never) is due; all are due at the last step."""
            return step > 0 and (step >= every.steps or (interval > 0 and step % interval == 0))

        def look(drawn) -> None:
            for line in watch.of_samples(step, drawn, ready.shown or {}):
                progress.write(line)

        arm = stack.enter_context(stopping.handled())
        stack.enter_context(bad_batch.kept(workdir, source, config, progress.write))
        stack.enter_context(stopping.saved(save, checkpoints.wait, lambda: step, progress.write))
        step_call = compiled.Compiled(layout.compile_step(step_fn, state, every.steps_per_call))
        if start < every.steps:
            players = active_players(start, system.optimizers, system.objective.players)
            progress.write(step_call.costs(state, batches.peek(), players))
        loop = steps(
            step_call,
            state,
            batches,
            start=start,
            stop=every.steps,
            per_call=every.steps_per_call,
            players=lambda step: active_players(step, system.optimizers, system.objective.players),
        )
        for step, state, metrics in loop:
            if metrics is not None:
                arm()
                window.add(metrics)
                if line := trace.after(step, metrics):
                    progress.write(line)
                if is_due(every.log_steps) or is_due(every.checkpoint_steps):
                    means = window.close(step, state, checkpoints.newest, batches.waited())
                    writer.write(step, means)
                    progress.update(step, means)
                    for line in watch.warnings(step, means):
                        progress.write(line)
                    # Saved first: whatever happens to the samples and the evaluation, the run goes on from here.
                    if is_due(every.checkpoint_steps) or minutes.passed():
                        save()
                else:
                    progress.update(step)
                stopping.check_together()

            if is_due(every.sample_steps) and not (step == start and sampled):
                window.check(step, state, checkpoints.newest)
                paths = samples.save_all(workdir, step, ready.shown, sampler.load(*averaged(state)), look)
                writer.write_samples(step, paths)
            # A finished run that is started again is evaluated again: the config's evaluators may have changed.
            known = step == start and measured
            if config.evaluators and is_due(every.eval_steps) and (step >= every.steps or not known):
                window.check(step, state, checkpoints.newest)
                results = evaluate.run(config, system, sampler.load(*averaged(state)), built=ready.measures)
                hosts.first(functools.partial(evaluate.write, workdir, config, step, results))
                if not known:
                    values = {name: entry["value"] for name, entry in results.items() if entry["value"] is not None}
                    writer.write(step, values)
        if line := trace.close():
            progress.write(line)
    return state


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
        steps=steps,
        check=functools.partial(check_batch, modalities=source.modalities),
    )
    return stack.enter_context(contextlib.closing(read_ahead.prefetch_to_device(batches, put, waiting=stopping.check)))
