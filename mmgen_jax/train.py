"""The train loop, the only one: restore, then for every step evaluate, save, take a batch, step, log."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import time

import jax
import numpy as np

from mmgen_jax import evaluate
from mmgen_jax.config.system import build_system, held_out_split, open_source
from mmgen_jax.data import pipeline
from mmgen_jax.errors import ConfigError, NotFinite
from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import check_batch
from mmgen_jax.runs import init_from
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import create_state, prepare_workdir
from mmgen_jax.train_step import active_players, steps, train_step
from mmgen_jax.training import checkpoint, metric_writer, parallel
from mmgen_jax.training.optimizers import check_stages
from mmgen_jax.training.progress import Progress
from mmgen_jax.training.state import TrainState, averaged


def train(config, workdir) -> TrainState:
    """Trains `config` in `workdir` from its newest checkpoint, or from the start, to `config.train.steps`.

    The end state of a run that was killed and started again is bitwise that of an uninterrupted one (on CPU).

    Raises:
      ConfigError, LookupFailed, BatchError: before anything is compiled or written.
      NotFinite: at the first log step after a value stopped being finite; no checkpoint of it is saved.
    """
    workdir, every = pathlib.Path(workdir), config.train
    source = open_source(config)
    label_preserving = tuple(getattr(source, "label_preserving", ()))
    system = build_system(config, source.modalities, label_preserving=label_preserving)
    layout = parallel.create(config.parallel.mode, every.batch_size, config.parallel.fsdp, config.parallel.num_devices)
    check_schedule(config, system)
    evaluate.build(config, system)  # what cannot be measured at the end is refused at the start
    check_batch(
        source.read(np.arange(every.batch_size) % len(source), np.zeros(every.batch_size, int)), source.modalities
    )
    create = functools.partial(create_state, config, system)
    abstract = layout.abstract(create)  # networks that do not fit together fail here, with nothing written
    with contextlib.ExitStack() as stack:
        batches = make_batches(source, config, layout, stack)
        prepare_workdir(workdir, config, source.modalities)
        checkpoints = stack.enter_context(checkpoint.Checkpointer(workdir / "checkpoints"))
        start = checkpoints.latest_step() or 0
        if start:
            state, data_state = checkpoints.restore(start, abstract)
            batches.set_state(data_state)
        else:
            state = init_from.load(layout.init(create), system.init_from)
        writer = stack.enter_context(metric_writer.MetricWriter(workdir, start))
        progress = stack.enter_context(Progress(every.steps, start))
        progress.write(summary(config, state, layout, start))
        step_fn = functools.partial(
            train_step,
            objective=system.objective,
            optimizers=system.optimizers,
            seed=config.seed,
            augment=system.augment,
        )
        sampler = Sampler(system, layout, every.batch_size, config.seed)
        pending, since = [], time.monotonic()

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
                    now = time.monotonic()
                    means["steps_per_second"] = len(pending) * every.steps_per_call / (now - since)
                    means["data_wait"] = batches.waited() / (now - since)  # share of the time spent waiting for data
                    writer.write(step, means)
                    progress.update(step, means)
                    pending, since = [], now
                else:
                    progress.update(step)

            if last and step > start:
                # First: what is trained outlives a failed evaluation.
                checkpoints.save(step, state, batches.get_state())
            if is_due(step, start, every.sample_steps, last):
                save_samples(workdir, step, config, system, sampler.load(*averaged(state)), writer)
            # A finished run that is started again is measured again: its evaluators may be others now.
            if (last or is_due(step, start, every.eval_steps, last)) and config.evaluators:
                results = evaluate.run(config, system, sampler.load(*averaged(state)))
                evaluate.write(workdir, config, step, results)
                if step > start:
                    writer.write(step, {name: entry["value"] for name, entry in results.items()})
            if not last and is_due(step, start, every.checkpoint_steps, last):
                # State and data position together, before the next batch is taken: that makes a resume exact.
                checkpoints.save(step, state, batches.get_state())
    return state


def is_due(step: int, start: int, interval: int, last: bool) -> bool:
    """Whether something with an interval happens at `step`: not where the run starts, always where it ends.

    What is due at a checkpoint's step is done before that is saved, so a resumed run does not repeat it.
    """
    return step > start and (last or (interval > 0 and step % interval == 0))


def check_schedule(config, system) -> None:
    """Intervals that the loop can keep, before anything runs."""
    every = config.train
    for name in ("steps_per_call", "num_samples", "batch_size"):
        if every[name] < 1:
            raise ConfigError(f"config.train.{name}: expected at least 1, got {every[name]}")
    for name in ("steps", "log_steps", "checkpoint_steps", "sample_steps", "eval_steps"):
        value, least = every[name], 0 if name in ("sample_steps", "eval_steps") else 1
        if value < least or value % every.steps_per_call:
            raise ConfigError(
                f"config.train.{name}: expected a multiple of train.steps_per_call={every.steps_per_call}, at least "
                f"{least}, got {value}"
            )
    for player, optimizer in system.optimizers.items():
        if every.steps_per_call > 1 and (optimizer.interval > 1 or optimizer.start_step or optimizer.stop_step):
            raise ConfigError(
                f"config.train.steps_per_call: {player} is not updated in every step, which needs steps_per_call=1"
            )
    check_stages(system.optimizers, system.objective.stages, every.steps)


def make_batches(source, config, layout: parallel.Parallel, stack: contextlib.ExitStack):
    """Shuffled batches of the model's modalities, already on the devices, with a state that can be saved."""
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
    sizes = {p: sum(leaf.size for leaf in jax.tree.leaves(tree)) for p, tree in state.params.items()}
    count = ", ".join(f"{player} {size / 1e6:.2f} M" for player, size in sizes.items())
    where = f"{layout.num_devices} × {jax.devices()[0].platform}, {layout.mode}"
    resumed = f"; resuming at step {start}" if start else ""
    return f"{config.reference or 'config'}: parameters {count}; on {where}{resumed}"


def save_samples(workdir: pathlib.Path, step: int, config, system, sampler, writer) -> list[pathlib.Path]:
    """Samples for the same first examples of the last split each time, with what was asked under them.

    None of an objective that only embeds.
    """
    if not sampler.supports("sample"):
        return []
    source = open_source(config, held_out_split(config))
    indices = np.arange(min(config.train.num_samples, len(source)))
    batch = source.read(indices, np.zeros(len(indices), int))
    conditions = {k: v for k, v in batch.items() if k in system.conditions}
    named = {k: system.modalities[k] for k in system.conditions}
    prompts = [save.describe(batch, named, int(i)) for i in indices] if conditions else None
    paths = save.save_samples(workdir / "samples", step, sampler(batch), system.modalities, prompts, conditions)
    if sampler.supports("reconstruct"):
        reconstructed = {f"{name}_reconstructed": array for name, array in sampler.reconstruct(batch).items()}
        shown = {**system.modalities, **{f"{name}_reconstructed": system.modalities[name] for name in system.targets}}
        beside = {name: batch[name] for name in system.targets if name in batch}
        paths += save.save_samples(workdir / "samples", step, reconstructed, shown, prompts, beside)
    writer.write_samples(step, paths)
    return paths


def diagnosis(not_finite: tuple[int, str], step: int, calls: int, steps_per_call: int, state) -> str:
    """Names the first step and metric that were not finite, and the tensors of the state that are not by now."""
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
        f"step {first}: {name} is not finite; {tensors}. The newest checkpoint is from before; lower the "
        "learning rate or set optimizers.<player>.clip_norm, in a new --workdir, or look at that step's batch"
    )
