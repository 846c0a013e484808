"""Sampling: the compiled functions that evaluators and the loop share, and the `mmgen sample` command."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from absl import logging

from mmgen_jax import checkpoint, lookup, media, parallel, train_state
from mmgen_jax import config as configs
from mmgen_jax import modalities as modality_module
from mmgen_jax import system as systems
from mmgen_jax.conditioning import MASK_SUFFIX
from mmgen_jax.modalities import DTYPE, Batch, Modality
from mmgen_jax.system import System


class Sampler:
    """`sampler(batch) -> {target: array}` on host arrays of any batch size, compiled for one.

    Call `load` with the parameters first. The n-th batch after a `load` or `rewind` gets the n-th noise of `seed`, so
    the same calls give the same samples.
    """

    def __init__(self, system: System, layout: parallel.Parallel, batch_size: int, seed: int = 0):
        self.system, self.layout, self.seed = system, layout.global_view(), seed
        self.batch_size = -(-batch_size // layout.num_devices) * layout.num_devices
        self._compiled = {}

    def load(self, params, extra) -> Sampler:
        self._variables = params, extra
        return self.rewind()

    def rewind(self) -> Sampler:
        self._calls = 0
        return self

    @property
    def variables(self):
        """`(params, extra)` that it samples with."""
        return self._variables

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Samples of the target given the batch's conditions; the target itself is not shown to the model."""
        return self._run("sample", self.system.without_target(batch))

    def supports(self, method: str) -> bool:
        return hasattr(self.system.objective, method)

    def reconstruct(self, batch: Batch) -> dict[str, np.ndarray]:
        return self._run("reconstruct", batch)

    def embed(self, batch: Batch) -> np.ndarray:
        """`[B, D]`, what the conditions are as one vector."""
        return self._run("embed", self.system.without_target(batch))

    def embed_pair(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """`[B, D]` each, what the conditions are and what the target is, to compare by cosine."""
        return self._run("embed_pair", batch)

    def elbo(self, batch: Batch) -> np.ndarray:
        """`[B]` nats."""
        return self._run("elbo", batch)

    def _run(self, method: str, batch: Batch):
        if not self.supports(method):
            raise ValueError(f"{type(self.system.objective).__module__} has no {method!r}; leave out what asks for it")
        if method not in self._compiled:
            self._compiled[method] = jax.jit(getattr(self.system.objective, method))
        known = {k: np.asarray(v) for k, v in batch.items() if k.removesuffix(MASK_SUFFIX) in self._names}
        total = len(next(iter(known.values())))
        pieces = []
        for start in range(0, total, self.batch_size):
            rows = {k: _padded(v[start : start + self.batch_size], self.batch_size) for k, v in known.items()}
            rng = jax.random.fold_in(jax.random.key(self.seed), self._calls)
            self._calls += 1
            pieces.append(jax.device_get(self._compiled[method](*self._variables, self.layout.put(rows), rng)))
        return jax.tree.map(lambda *arrays: np.concatenate(arrays)[:total], *pieces)

    @property
    def _names(self) -> set[str]:
        return {self.system.target, *self.system.conditions}


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) if len(rows) < size else rows


def restore(workdir: pathlib.Path, batch_size: int = 0, changes: Mapping[str, Any] | None = None):
    """What a workdir holds, ready to sample: `(config, system, sampler, step)`; no data source is opened.

    Args:
      batch_size: to sample in; 0 is the run's own, which gives the noise that the run itself was evaluated with.
      changes: `{"objective.temperature": 0.8}`, of what the objective lists as its `sampling` fields.

    Raises:
      config.ConfigError: the workdir is missing, was never trained, or has no checkpoint yet; a change that sampling
        cannot make.
    """
    config, modalities = read_workdir(workdir)
    config = changed(config, changes or {})
    system = systems.build(config, modalities)
    with checkpoint.Checkpointer(workdir / "checkpoints", create=False) as checkpoints:
        step = checkpoints.latest_step()
        if step is None:
            raise configs.ConfigError(f"--workdir={workdir}: no checkpoint yet; train it with mmgen train first")
        layout = parallel.create("jit", batch_size=0)
        state, _ = checkpoints.restore(step, layout.abstract(lambda: create_state(config, system)))
    sampler = Sampler(system, layout, batch_size or config.train.batch_size, seed=config.seed)
    return config, system, sampler.load(*train_state.averaged(state)), step


def changed(config, changes: Mapping[str, Any]):
    """The config with changes to what sampling reads.

    Raises:
      config.ConfigError: a change that sampling cannot make.
    """
    fields = getattr(lookup.find("objectives", config.objective.name), "sampling", ())
    allowed = [f"objective.{field}" for field in fields]
    if unknown := sorted(set(changes) - set(allowed)):
        raise configs.ConfigError(
            f"--config.{unknown[0]}: is fixed by the training; {config.objective.name!r} can change in sampling: "
            + (", ".join(allowed) or "nothing")
        )
    return configs.override(config, changes)


def read_workdir(workdir: pathlib.Path):
    """Config and modalities that a run saved."""
    if not workdir.is_dir():
        raise configs.ConfigError(f"--workdir={workdir}: no such folder; expected one that mmgen train made")
    for file in ("config.json", "modalities.json"):
        if not (workdir / file).is_file():
            raise configs.ConfigError(f"--workdir={workdir}: no {file} in it; expected a folder that mmgen train made")
    config = configs.from_json((workdir / "config.json").read_text())
    return config, modality_module.from_json((workdir / "modalities.json").read_text())


def create_state(config, system: System) -> train_state.TrainState:
    """The initial state; the shapes come from the modalities, so no data is needed."""
    examples = {name: zeros(modality, 2) for name, modality in system.modalities.items()}
    rng = jax.random.key(config.seed)
    return train_state.create(system.objective, system.optimizers, rng, examples)


def zeros(modality: Modality, num: int) -> np.ndarray:
    return np.zeros((num, *modality.shape), DTYPE[modality.kind])


def sample(
    workdir, out, given: Mapping[str, Any], num: int, seed: int = 0, changes: Mapping[str, Any] | None = None
) -> list[pathlib.Path]:
    """Draws `num` samples given one text, image, audio or video file per kind, and writes them to `out`.

    A model that embeds pairs and draws nothing finds the `num` nearest held-out examples instead (`retrieve.py`).

    Args:
      given: `{kind: text or file name}`; conditions that are not given are masked.
      changes: see `restore`.

    Raises:
      ConfigError: the model has no condition of a kind that is given, or has several; see also `restore`.
      features.text.TextError, data.decode.DataError: what is given cannot be read.
    """
    workdir = pathlib.Path(workdir)
    config, modalities = read_workdir(workdir)
    system = systems.build(changed(config, changes or {}), modalities)
    if not hasattr(system.objective, "sample"):
        if not hasattr(system.objective, "embed_pair"):
            raise configs.ConfigError(f"{workdir}: its objective draws nothing; measure it with mmgen evaluate")
        from mmgen_jax import retrieve

        return retrieve.retrieve(workdir, out, given, num)
    conditions = system.conditions
    if conditions and not given:
        kinds = ", ".join(f"--{modalities[name].kind}" for name in conditions)
        raise configs.ConfigError(f"sample: the model draws from conditions, give at least one of {kinds}")
    batch = {name: np.repeat(value[None], num, axis=0) for name, value in read(given, conditions, modalities).items()}
    _, system, sampler, _ = restore(workdir, min(num, config.train.batch_size), changes)  # what fits in memory
    sampler.seed = seed
    prompts = [media.describe(batch, modalities, i) for i in range(num)] if batch else None
    batch = batch or {system.target: zeros(modalities[system.target], num)}
    return media.save_samples(out, None, sampler(batch), modalities, prompts, batch)


def read(given: Mapping[str, str], names: tuple[str, ...], modalities: Mapping[str, Modality]) -> dict[str, np.ndarray]:
    """What is given for a model that reads `names`: `{name: array}` without a batch axis; warns of unknown words.

    Raises:
      ConfigError: the model reads none of a kind that is given, or several.
      features.text.TextError, data.decode.DataError: what is given cannot be read.
    """
    arrays = {}
    for kind, value in given.items():
        name = _condition(kind, names, modalities)
        arrays[name] = _read(kind, value, name, modalities[name])
        if kind == "text" and (unknown := modalities[name].tokenizer.unknown(value)):  # a closed one refused them
            logging.warning("--text: words that the model does not know, and reads as one: %s", ", ".join(unknown))
    return arrays


def _condition(kind: str, conditions: tuple[str, ...], modalities: Mapping[str, Modality]) -> str:
    matching = [name for name in conditions if modalities[name].kind == kind]
    if len(matching) != 1:
        known = ", ".join(f"{name} ({modalities[name].kind})" for name in conditions) or "none"
        raise configs.ConfigError(f"--{kind}: the model has {len(matching)} conditions of that kind; it has: {known}")
    return matching[0]


def _read(kind: str, value: str, name: str, modality: Modality) -> np.ndarray:
    from mmgen_jax.data import decode

    if kind == "text":
        return modality.tokenizer.encode(value, modality.shape[0])
    if kind == "image":
        return decode.image(value, modality.shape, name)
    if kind == "audio":
        return decode.audio(value, modality.shape[0], modality.sample_rate, name)
    return decode.video(value, modality.shape, modality.frame_rate, name)
