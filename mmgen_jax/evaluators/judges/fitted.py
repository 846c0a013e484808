"""Judges that are systems of this package: trained by its own step on one device, and applied by its sampler."""

from __future__ import annotations

import collections
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mmgen_jax.config.schema import Config
from mmgen_jax.config.system import System, build_system
from mmgen_jax.data import pipeline
from mmgen_jax.errors import InputError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.runs import sampler, workdir
from mmgen_jax.train_step import steps, train_step
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

BATCH_SIZE = 200  # of a judge when it is applied


class Pairs:
    """The examples of a source that have all of `names`; all examples of a source without masks.

    Raises:
      InputError: there is none.
    """

    def __init__(self, source, names: tuple[str, ...]):
        self.source, self.modalities = source, source.modalities
        rows = np.arange(len(source))
        masks = [name + MASK_SUFFIX for name in names if name + MASK_SUFFIX in source.read(rows[:1], rows[:1])]
        if masks:
            parts = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
            batches = [source.read(part, np.zeros_like(part)) for part in parts]
            rows = rows[np.concatenate([np.all([batch[mask] for mask in masks], axis=0) for batch in batches])]
        if not len(rows):
            raise InputError(f"judge: expected examples with {' and '.join(names)}, got none; add some")
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        batch = self.source.read(self._rows[np.asarray(indices)], epochs)
        return {name: values for name, values in batch.items() if not name.endswith(MASK_SUFFIX)}

    def all(self) -> dict[str, np.ndarray]:
        """Every example, as one batch."""
        indices = np.arange(len(self))
        return self.read(indices, np.zeros_like(indices))


def fit(config: Config, source: Pairs, batch_size: int) -> tuple[System, Mapping[str, Any]]:
    """The config's system and its averaged parameters, NumPy arrays; deterministic from `config.seed`."""
    system = build_system(config, source.modalities, label_preserving=())
    size = min(batch_size, len(source))
    layout = parallel.local()
    state = layout.init(functools.partial(workdir.create_state, config, system))
    step = functools.partial(
        train_step,
        objective=system.objective,
        optimizers=system.optimizers,
        seed=config.seed,
        augment=system.augment,
    )
    compiled = layout.compile_step(step, state)
    batches = map(layout.put, pipeline.batches(source, batch_size=size, seed=config.seed, num_threads=0))
    loop = steps(compiled, state, batches, stop=config.train.steps, players=lambda _: system.objective.players)
    _, state, _ = collections.deque(loop, maxlen=1)[0]
    return system, jax.device_get(averaged(state)[0])


def sampler_of(system: System, params: Mapping[str, Any]) -> sampler.Sampler:
    """The sampler of a fitted judge without batch statistics."""
    return sampler.Sampler(system, parallel.local(), BATCH_SIZE).load(params, {player: {} for player in params})
