"""Checkpoints of the train state and the data position; the only file that uses Orbax.

A checkpoint is a folder `<directory>/<step>/` that appears by a single rename. A process that is killed while it writes
leaves a folder `<step>.orbax-checkpoint-tmp`, which is never read and is removed by the next run that saves. The state
is stored as a flat dict with one entry per leaf, named by the leaf's path (`params/generator/Dense_0/kernel`). The
format therefore depends neither on the containers (an optax named tuple, a flax dataclass) nor on the devices of the
saving run. The metadata of a checkpoint hold the data state, and the dtype and shape of every leaf.
"""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import jax
import numpy as np

from mmgen_jax.errors import CheckpointError, InputError


class Checkpointer:
    """Saves and restores `(state, data_state)`; the caller decides when to save.

    Args:
      directory: the folder of all checkpoints; created if `create`, otherwise the folder must exist.
      keep: how many of the newest checkpoints stay; None keeps all.
      create: False for a reader, which creates and removes no folder, so that it can read from a run in training.

    Raises:
      CheckpointError: not `create`, and the directory does not exist.
    """

    def __init__(self, directory: str | pathlib.Path, keep: int | None = 2, create: bool = True):
        from orbax.checkpoint import v1 as ocp  # takes 0.4 s, and commands without checkpoints import this file too

        directory = pathlib.Path(directory).absolute()
        if not create and not directory.is_dir():
            raise CheckpointError(f"{directory}: no such folder of checkpoints; train first, or check --workdir")
        context = ocp.Context()
        # To write a replicated array in slices, one from each replica, is faster only between hosts: on 8 devices of
        # one host it takes three times as long.
        context.array_options.saving.use_replica_parallel = jax.process_count() > 1
        # With asynchronous creation, an error in creating the folder (disk full, no permission) would be raised only
        # minutes later, at the timeout of the threads that wait for the folder.
        context.async_options.create_directories_asynchronously = False
        latest = ocp.training.preservation_policies.LatestN(keep)  # the default keeps everything
        self._checkpointer = ocp.training.Checkpointer(
            str(directory),
            context=context,
            preservation_policy=latest,  # pyright: ignore[reportArgumentType] Orbax types its protocol otherwise
            cleanup_tmp_directories=create,
        )
        self._directory = directory
        self._pending = None  # the save whose files are being written

    def latest_step(self) -> int | None:
        """The newest step with a complete checkpoint, or None."""
        self.wait()
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, data_state: dict[str, Any]) -> None:
        """Saves at `step`. Returns once the caller may donate `state`; a thread writes the files.

        Args:
          state: pytree of `jax.Array`.
          data_state: a dict that JSON can hold; saved in the same atomic checkpoint.

        Raises:
          CheckpointError: the step has a checkpoint already.
          TypeError: a leaf is no `jax.Array`, or `data_state` is not JSON.
          Exception: the error of the thread that wrote the previous checkpoint.
        """
        self.wait()
        json.dumps(data_state)  # raises here rather than in the writing thread
        if any(checkpoint.step == step for checkpoint in self._checkpointer.checkpoints):
            raise CheckpointError(f"{self._directory / str(step)}: step {step} is saved already; save each step once")
        leaves, _ = _named_leaves(state)
        for name, leaf in leaves.items():
            if not isinstance(leaf, jax.Array):
                raise TypeError(f"checkpoint leaf {name!r}: expected a jax.Array, got {type(leaf).__name__}")
        metadata = {"data_state": data_state, "leaves": {name: _spec(leaf) for name, leaf in leaves.items()}}
        # Orbax copies to the host before it returns (on CPU it holds views, and JAX does not reuse a buffer that has a
        # view). `force` skips Orbax's policy of when to save. The guard is for callers that forbid implicit transfers.
        with jax.transfer_guard("allow"):
            self._pending = self._checkpointer.save_checkpointables_async(
                step,
                {"state": {name: leaf for name, leaf in leaves.items() if leaf.size}},  # Orbax refuses size 0
                force=True,
                custom_metadata=metadata,
            )

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, dict[str, Any]]:
        """`(state, data_state)` as saved at `step`.

        Args:
          abstract_state: pytree of `jax.ShapeDtypeStruct`; each leaf is restored to its `sharding`, or to the default
            device where it has no sharding. The devices of the saving run do not matter.

        Raises:
          CheckpointError: the step has no checkpoint, or an incomplete one, or a leaf differs in name, shape or dtype.
        """
        self.wait()
        steps = [checkpoint.step for checkpoint in self._checkpointer.checkpoints]
        if step not in steps:
            raise CheckpointError(f"{self._directory}: has no checkpoint of step {step}; it has {steps or 'none'}")
        metadata: Any = self._checkpointer.checkpointables_metadata(step).custom_metadata
        if not metadata:  # a process was killed while it deleted the checkpoint
            raise CheckpointError(f"{self._directory / str(step)}: is incomplete; restore a newer step of {steps}")
        abstract, treedef = _named_leaves(abstract_state)
        names = {_current(name): name for name in metadata["leaves"]}
        saved = {name: metadata["leaves"][stored] for name, stored in names.items()}
        _check_leaves(self._directory / str(step), abstract, saved)
        default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding or default)
            for name, leaf in abstract.items()
        }
        stored = {names[name]: leaf for name, leaf in abstract.items() if leaf.size}
        restored = self._checkpointer.load_checkpointables(step, {"state": stored})["state"]
        leaves = [restored[names[name]] if leaf.size else _empty(leaf) for name, leaf in abstract.items()]
        return jax.tree.unflatten(treedef, leaves), metadata["data_state"]

    def wait(self) -> None:
        """Waits for the save in progress; raises the error of its thread."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()  # also ends the thread that Orbax started for the save

    def close(self) -> None:
        try:
            self.wait()
        finally:
            self._checkpointer.close()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _named_leaves(tree: Any) -> tuple[dict[str, Any], Any]:
    paths, treedef = jax.tree_util.tree_flatten_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in paths}
    if len(named) != len(paths):
        raise InputError("checkpoint: two leaves have the same path; names in the state must not contain '/'")
    return named, treedef


def _current(name: str) -> str:
    """The current name of a saved leaf: `stats` had the name `extra` in version 0.1."""
    return re.sub(r"^(ema/[^/]+/)?extra/", lambda found: f"{found[1] or ''}stats/", name)


def _spec(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _check_leaves(folder: pathlib.Path, expected: dict[str, Any], saved: dict[str, str]) -> None:
    for name in [*expected, *saved]:
        want, got = _spec(expected[name]) if name in expected else "no such leaf", saved.get(name, "no such leaf")
        if want != got:
            raise CheckpointError(
                f"{folder}: leaf {name!r}: expected {want}, got {got}; the workdir was trained with another config, "
                "so use that config (config.json in the workdir) or a new workdir"
            )


def _empty(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    return jax.make_array_from_callback(
        leaf.shape, leaf.sharding, lambda index: np.zeros(leaf.shape, leaf.dtype)[index]
    )
