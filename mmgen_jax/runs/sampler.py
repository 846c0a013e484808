"""The compiled functions that draw from a trained model, shared by the loop, the evaluators and the commands."""

from __future__ import annotations

import functools

import jax
import numpy as np

from mmgen_jax.config.system import System
from mmgen_jax.errors import InputError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.training import parallel


class Sampler:
    """`sampler(batch) -> {target: array}` on host arrays of any batch size, compiled for one.

    Call `load` with the parameters first. The n-th batch after a `load` or `rewind` gets the n-th noise of `seed`, so
    the same calls give the same samples.
    """

    def __init__(self, system: System, layout: parallel.Parallel, batch_size: int, seed: int = 0):
        self.system, self.layout, self.seed = system, layout.global_view(), seed
        self.batch_size = -(-batch_size // layout.num_devices) * layout.num_devices
        self._compiled = {}

    def load(self, params, collections) -> Sampler:
        self._variables = params, collections
        return self.rewind()

    def rewind(self) -> Sampler:
        self._calls = 0
        return self

    @property
    def variables(self):
        """`(params, collections)` that it samples with."""
        return self._variables

    def __call__(self, batch: Batch, given: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Samples of the targets given the batch's conditions; of the targets, the model sees only those `given`."""
        return self._run("sample", self.system.without_targets(batch, given), given=given)

    def supports(self, method: str) -> bool:
        return method in self.system.objective.abilities

    def reconstruct(self, batch: Batch) -> dict[str, np.ndarray]:
        return self._run("reconstruct", batch)

    def embed(self, batch: Batch) -> np.ndarray:
        """`[B, D]`, what the conditions are as one vector."""
        return self._run("embed", self.system.without_targets(batch))

    def embed_pair(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """`[B, D]` each, what the conditions are and what the target is, to compare by cosine."""
        return self._run("embed_pair", batch)

    def elbo(self, batch: Batch) -> np.ndarray:
        """`[B]` nats."""
        return self._run("elbo", batch)

    def _run(self, method: str, batch: Batch, **static):
        if not self.supports(method):
            raise InputError(f"{type(self.system.objective).__module__} has no {method!r}; leave out what asks for it")
        key = method, *static.values()
        if key not in self._compiled:
            function = functools.partial(getattr(self.system.objective, method), **static)
            self._compiled[key] = jax.jit(function)
        known = {k: np.asarray(v) for k, v in batch.items() if k.removesuffix(MASK_SUFFIX) in self._names}
        total = len(next(iter(known.values())))
        pieces = []
        for start in range(0, total, self.batch_size):
            rows = {k: _padded(v[start : start + self.batch_size], self.batch_size) for k, v in known.items()}
            rng = jax.random.fold_in(jax.random.key(self.seed), self._calls)
            self._calls += 1
            pieces.append(jax.device_get(self._compiled[key](*self._variables, self.layout.put(rows), rng)))
        return jax.tree.map(lambda *arrays: np.concatenate(arrays)[:total], *pieces)

    @property
    def _names(self) -> set[str]:
        return {*self.system.targets, *self.system.conditions}


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) if len(rows) < size else rows
