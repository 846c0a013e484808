"""The compiled functions that sample from a trained model, shared by the loop, the evaluators and the commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.config.system import System
from mmgen_jax.errors import InputError
from mmgen_jax.lookup import nearest
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch, check_batch, name_of
from mmgen_jax.networks.layers import randomness
from mmgen_jax.training import hosts, parallel, stopping

NUMBERS = "/numbers"  # among the rows of a batch; no modality can have the name


class Sampler:
    """`sampler(batch) -> {target: array}` on host arrays of any batch size, compiled for the size `batch_size`.

    Call `load` with the parameters first. The i-th example after a `load` or `rewind` gets the i-th noise of `seed`,
    however the examples are divided into batches, so the same examples give the same samples. With another
    `batch_size`, float32 sums may have another order: samples then agree up to rounding.
    """

    def __init__(self, system: System, layout: parallel.Parallel, batch_size: int, seed: int = 0):
        self.system, self.layout, self.seed = system, layout.global_view(), seed
        self.batch_size = -(-batch_size // layout.num_devices) * layout.num_devices
        self._compiled, self._executables = {}, {}

    def load(self, params, collections) -> Sampler:
        self._variables = params, collections
        return self.rewind()

    def rewind(self) -> Sampler:
        self._count = 0  # number of examples that have had their noise
        return self

    @property
    def variables(self):
        """`(params, collections)` of the model."""
        return self._variables

    def __call__(
        self, batch: Batch, given: tuple[str, ...] = (), numbers: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Samples of the targets given the batch's conditions; of the targets, the model sees only those `given`.

        A condition that the batch lacks is masked. The batch must have at least one condition; for an example without
        conditions, set `<name>/mask` to False.

        Args:
          numbers: `[B, 2] int32`, the numbers of each example's noise, see `randomness.numbered`; the default is the
            next numbers of group 0.

        Raises:
          InputError, BatchError: a batch without any condition of the model, or with wrong shapes, dtypes or values.
        """
        self._check("sample", batch, self.system.conditions)
        return self._run("sample", self.system.without_targets(batch, given), numbers=numbers, given=given)

    def supports(self, method: str) -> bool:
        return method in self.system.objective.abilities

    def reconstruct(self, batch: Batch) -> dict[str, np.ndarray]:
        self._check("reconstruct", batch, self.system.targets)
        return self._run("reconstruct", batch)

    def embed(self, batch: Batch) -> np.ndarray:
        """The embedding `[B, D]` of the conditions."""
        self._check("embed", batch, self.system.conditions)
        return self._run("embed", self.system.without_targets(batch))

    def embed_pair(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings of the conditions and of the target, each `[B, D]`, to compare by cosine similarity."""
        self._check("embed_pair", batch, (*self.system.conditions, *self.system.targets))
        return self._run("embed_pair", batch)

    def draw_latent(self, batch: Batch) -> np.ndarray:
        """Latents `[B, Z]`, drawn as in sampling."""
        self._check("draw_latent", batch, self.system.conditions)
        return self._run("draw_latent", self.system.without_targets(batch))

    def to_latent(self, batch: Batch) -> np.ndarray:
        """The latents `[B, Z]` of the batch's targets, from the model's encoder."""
        self._check("to_latent", batch, self.system.targets)
        return self._run("to_latent", batch)

    def from_latent(self, batch: Batch, latent: np.ndarray) -> dict[str, np.ndarray]:
        """The targets, decoded from latents `[B, Z]`, given the batch's conditions."""
        self._check("from_latent", batch, self.system.conditions)
        read = self.system.without_targets(batch)
        objective: Any = self.system.objective
        drawn = jax.eval_shape(objective.draw_latent, *self._variables, read, jax.random.key(0))
        if np.shape(latent)[1:] != drawn.shape[1:]:
            raise InputError(f"latents: expected [B, {drawn.shape[1]}], got {list(np.shape(latent))}")
        return self._run("from_latent", read, latent)

    def elbo(self, batch: Batch) -> np.ndarray:
        """The evidence lower bound `[B]`, in nats."""
        self._check("elbo", batch, self.system.targets)
        return self._run("elbo", batch)

    def align(self, batch: Batch, numbers: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The attention in drawing samples, by their `numbers`: `weights [B, S, N]`, `steps [B]`, `mask [B, N]`."""
        self._check("align", batch, self.system.conditions)
        return self._run("align", self.system.without_targets(batch), numbers=numbers)

    def log_weights(self, batch: Batch, num: int = 1, chunk: int = 0) -> np.ndarray:
        """Logarithms `[B, num]`, in nats, of importance weights; `chunk` latents are decoded at a time (0: all)."""
        self._check("log_weights", batch, self.system.targets)
        return self._run("log_weights", batch, num=num, chunk=chunk)

    def _run(
        self,
        method: str,
        batch: Batch,
        latent: np.ndarray | None = None,
        numbers: np.ndarray | None = None,
        **static,
    ):
        key = method, *static.values()
        if key not in self._compiled:
            function = functools.partial(getattr(self.system.objective, method), **static)
            # Of several processes, each gets all rows: the evaluators measure every example once in each.
            shardings = self.layout.replicated if self.layout.spans_processes else None
            self._compiled[key] = jax.jit(functools.partial(_numbered, function), out_shardings=shardings)
        known = {key: np.asarray(values) for key, values in batch.items() if name_of(key) in self._names}
        total = len(next(iter(known.values())))
        if numbers is None:
            numbers = np.stack([np.zeros(total, np.int32), np.arange(self._count, self._count + total)], axis=1)
            self._count += total
        known[NUMBERS] = numbers.astype(np.int32)
        rng = jax.random.fold_in(jax.random.key(self.seed), 0)
        if self.layout.spans_processes:
            rng = jax.random.wrap_key_data(self.layout.everywhere(np.asarray(jax.random.key_data(rng))))
        pieces, function = [], self._compiled[key]
        for start in range(0, total, self.batch_size):
            rows = {k: _padded(v[start : start + self.batch_size], self.batch_size) for k, v in known.items()}
            drawn = rng if latent is None else _padded(latent[start : start + self.batch_size], self.batch_size)
            arguments = (*self._variables, self.layout.put(rows, whole=True), drawn)
            if self.layout.spans_processes:
                function = self._together(key, function, arguments)
            else:
                stopping.check()
            pieces.append(jax.device_get(function(*arguments)))
        return jax.tree.map(lambda *arrays: np.concatenate(arrays)[:total], *pieces)

    def _together(self, key: Any, function: Any, arguments: Any) -> Callable[..., Any]:
        """The executable of a compiled function, once all processes have it and none is asked to stop."""
        shapes = jax.tree.map(lambda x: (jnp.shape(x), jnp.result_type(x)), arguments)
        place = key, str(shapes)
        if is_new := place not in self._executables:
            self._executables[place] = function.lower(*arguments).compile()
        hosts.meet(long=is_new)
        stopping.check_together()
        return self._executables[place]

    def _check(self, method: str, batch: Batch, needed: Sequence[str]) -> None:
        """Raises InputError for a missing method or a batch with none of `needed`, BatchError for an invalid batch."""
        if not self.supports(method):
            raise InputError(f"{type(self.system.objective).__module__} has no {method!r}; leave out what asks for it")
        check_named(batch)
        if not batch or (needed and not set(needed) & set(batch)):
            names = [name for name in batch if not name.endswith(MASK_SUFFIX)]
            expected = ", ".join(needed or self.system.targets)
            hint = nearest(names[0], needed) if names else ""
            raise InputError(
                f"batch: expected some of what the model reads ({expected}), got {', '.join(names) or 'nothing'}; "
                f"{hint}what is to be left out has <name>{MASK_SUFFIX} False"
            )
        read = {key: values for key, values in batch.items() if name_of(key) in self._names}
        # `embed_pair` also judges samples of other models, and samples may leave the range of their values a little.
        modalities = {name: self.system.modalities[name] for name in self._names}
        check_batch(read, modalities, values=method != "embed_pair")

    @property
    def _names(self) -> set[str]:
        return {*self.system.targets, *self.system.conditions}


def check_named(batch: Any) -> None:
    """Raises InputError for a batch that is no mapping of names."""
    if not isinstance(batch, Mapping):
        raise InputError(f"batch: expected arrays by name, {{name: [B, …]}}, got a {type(batch).__name__}; name them")
    if odd := [name for name in batch if not isinstance(name, str)]:
        raise InputError(f"batch: expected arrays by name, {{name: [B, …]}}, got the key {odd[0]!r}; name them")


def _numbered(function: Callable[..., Any], params, collections, rows: dict[str, jax.Array], drawn: jax.Array) -> Any:
    """Calls a method of an objective; the numbers among the rows determine its random draws."""
    rows = dict(rows)
    with randomness.numbered(rows.pop(NUMBERS)):
        return function(params, collections, rows, drawn)


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) if len(rows) < size else rows
