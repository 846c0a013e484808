"""The samples that a run saves during training: always for the same held-out examples, with the prompts as captions."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable

import numpy as np
from absl import logging

from mmgen_jax import contracts
from mmgen_jax.config.system import held_out_split, open_source
from mmgen_jax.modalities import save
from mmgen_jax.modalities.grid import save_grid, to_uint8
from mmgen_jax.modalities.modality import Batch
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import hosts

ROLE = 0x5A3B1E  # makes this random draw independent of other draws with the same seed
LOOKED_AT = 16  # examples read for each example shown, to find an example of every class


def examples(config) -> Batch:
    """`train.num_samples` examples of the held-out split, as `choose` picks them."""
    source = open_source(config, held_out_split(config))
    indices = choose(source, min(config.train.num_samples, len(source)), config.seed)
    return source.read(indices, np.zeros(len(indices), int))


def choose(source: contracts.Source, num: int, seed: int) -> np.ndarray:
    """`[num]` random indices, from the seed; where the source has a label, the classes take turns.

    A split may be sorted: its first examples would be of one class.
    """
    rng = np.random.default_rng([seed, ROLE])
    labels = [name for name, modality in source.modalities.items() if modality.num_classes]
    drawn = rng.choice(len(source), min(len(source), LOOKED_AT * num), replace=False)
    if not labels:
        return drawn[:num]
    read = (source.read(part, np.zeros(len(part), int)) for part in np.array_split(drawn, -(-len(drawn) // num)))
    classes = np.concatenate([np.asarray(batch[labels[0]]) for batch in read])
    seen: dict[int, int] = {}
    turns = []
    for label in classes.tolist():
        turns.append(seen.setdefault(label, 0))
        seen[label] += 1
    return drawn[np.lexsort((classes, turns))][:num]


def save_all(
    workdir: pathlib.Path,
    step: int,
    batch: Batch | None,
    sampler: Sampler,
    look: Callable[[dict[str, np.ndarray]], None] = lambda drawn: None,
) -> list[pathlib.Path]:
    """Saves samples for a batch, with their alignments and reconstructions where the objective has them.

    The files are written in a hidden folder and then moved, so that `are_saved` sees all of them or none. Where they
    cannot be written, as on a full disk, a warning says so: samples stop no training.

    Args:
      look: called with the samples.

    Returns:
      The files' paths. An alignment is a picture of the attention, tokens upwards and steps to the right.
    """
    if batch is None:
        return []
    system, folder = sampler.system, _unfinished(workdir)
    conditions = {name: values for name, values in batch.items() if name in system.conditions}
    named = {name: system.modalities[name] for name in system.conditions}
    size = len(next(iter(batch.values())))
    prompts = [save.describe(batch, named, i) for i in range(size)] if conditions else None
    look(drawn := sampler(batch))
    aligned = _alignments(batch, size, sampler) if sampler.supports("align") else None
    again = sampler.reconstruct(batch) if sampler.supports("reconstruct") else {}
    if not hosts.is_first():
        return []
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed here
    try:
        paths = save.save_samples(folder, step, drawn, system.modalities, prompts, conditions)
        if aligned is not None:
            paths += save_grid(folder / f"{step:07d}_alignment", {"alignment": aligned}, prompts or [""] * size)
        if again:
            paths += save.save_samples(folder, step, *_reconstructed(system, batch, again, prompts))
        moved = [path.replace(folder.parent / path.name) for path in paths]
        shutil.rmtree(folder)
    except OSError as error:
        logging.warning("the samples of step %d could not be written: %s", step, error)
        return []
    return moved


def _alignments(batch: Batch, size: int, sampler: Sampler) -> np.ndarray:
    """Pictures `[B, 1, N, S, 1]` of the attention weights of the samples, the first token at the bottom."""
    numbers = np.stack([np.zeros(size, np.int32), np.arange(size, dtype=np.int32)], axis=1)  # as of the samples
    weights = sampler.align(batch, numbers)["weights"].swapaxes(1, 2)[:, ::-1]
    return to_uint8(2.0 * weights - 1.0)[:, None, :, :, None]


def _reconstructed(system, batch: Batch, again: Batch, prompts: list[str] | None):
    """The arguments of `save_samples` for reconstructions beside their originals."""
    arrays = {f"{name}_reconstructed": array for name, array in again.items()}
    shown = {**system.modalities, **{f"{name}_reconstructed": system.modalities[name] for name in system.targets}}
    return arrays, shown, prompts, {name: batch[name] for name in system.targets if name in batch}


def are_saved(workdir: pathlib.Path, step: int) -> bool:
    """Whether the samples of `step` are complete."""
    return any((workdir / "samples").glob(f"{step:07d}_*")) and not _unfinished(workdir).exists()


def _unfinished(workdir: pathlib.Path) -> pathlib.Path:
    return workdir / "samples" / ".unfinished"
