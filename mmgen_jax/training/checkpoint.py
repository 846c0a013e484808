"""Checkpoints of the train state and the position in the data, the only file that knows Orbax.

A checkpoint is a folder `<directory>/<step>/` that appears in one rename: a process killed while it writes leaves a
folder `<step>.orbax-checkpoint-tmp`, which is never read and is gone once the next run has saved. The state is stored
as a flat dict, one entry per leaf named by its path (`params/generator/Dense_0/kernel`), so that neither the containers
(an optax named tuple, a flax dataclass) nor the devices it was saved from are part of the format. Beside the arrays, in
the checkpoint's metadata, are the data state and the dtype and shape of every leaf.
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
    """Saves and restores `(state, data_state)`; when to save is the caller's decision.

    Args:
      directory: made when `create`, else it must exist.
      keep: how many checkpoints stay, the newest ones; None keeps all.
      create: False for a reader: makes no folder and removes none, so that it can look at a run that is training.

    Raises:
      CheckpointError: not `create` and the directory does not exist.
    """

    def __init__(self, directory: str | pathlib.Path, keep: int | None = 2, create: bool = True):
        from orbax.checkpoint import v1 as ocp  # 0.4 s, and commands that touch no checkpoint import this module

        directory = pathlib.Path(directory).absolute()
        if not create and not directory.is_dir():
            raise CheckpointError(f"{directory}: no such folder of checkpoints; train first, or check --workdir")
        context = ocp.Context()
        # Writing a replicated array in slices from each replica pays off between hosts only: on 8 devices of one host
        # it takes three times as long.
        context.array_options.saving.use_replica_parallel = jax.process_count() > 1
        # Else a folder that cannot be made (disk full, no permission) shows only when the threads that wait for it give
        # up, minutes later.
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
        """The newest step that is completely written, or None."""
        self.wait()
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, data_state: dict[str, Any]) -> None:
        """Saves at `step`; returns when the values are out of reach of a donation, and writes the files meanwhile.

        Args:
          state: pytree of `jax.Array`.
          data_state: what JSON can hold; saved in the same atomic checkpoint.

        Raises:
          CheckpointError: this step exists already.
          TypeError: a leaf is no `jax.Array`, or `data_state` is not JSON.
          Exception: what went wrong while the previous checkpoint was written.
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
        # Orbax copies to the host before it returns (on CPU it holds views, and jax does not reuse a buffer that is
        # viewed). `force` because its save policies are not asked. A train loop may forbid implicit transfers.
        with jax.transfer_guard("allow"):
            self._pending = self._checkpointer.save_checkpointables_async(
                step,
                {"state": {name: leaf for name, leaf in leaves.items() if leaf.size}},  # Orbax refuses size 0
                force=True,
                custom_metadata=metadata,
            )

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, dict[str, Any]]:
        """The state and data state saved at `step`.

        Args:
          abstract_state: pytree of `jax.ShapeDtypeStruct`; each leaf is restored to its `sharding`, whatever devices it
            was saved from, or to the default device where it has none.

        Raises:
          CheckpointError: no such step, an incomplete one, or the first leaf that differs in name, shape or dtype.
        """
        self.wait()
        steps = [checkpoint.step for checkpoint in self._checkpointer.checkpoints]
        if step not in steps:
            raise CheckpointError(f"{self._directory}: has no checkpoint of step {step}; it has {steps or 'none'}")
        metadata: Any = self._checkpointer.checkpointables_metadata(step).custom_metadata
        if not metadata:  # a process was killed while it deleted this old checkpoint
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
        """Waits until the save in progress is written; raises what went wrong with it."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()  # also ends the thread that Orbax starts for each save

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
    """The name of a leaf: `stats` were called `extra` in version 0.1."""
    return re.sub(r"^(ema/[^/]+/)?extra/", lambda found: f"{found[1] or ''}stats/", name)


def _spec(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _check_leaves(folder: pathlib.Path, expected: dict[str, Any], saved: dict[str, str]) -> None:
    for name in [*expected, *saved]:
        want, got = _spec(expected[name]) if name in expected else "no such leaf", saved.get(name, "no such leaf")
        if want != got:
            raise CheckpointError(
                f"{folder}: leaf {name!r}: expected {want}, got {got}; the workdir was trained with another config, "
                "so use that one (config.json) or a new workdir"
            )


def _empty(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    return jax.make_array_from_callback(
        leaf.shape, leaf.sharding, lambda index: np.zeros(leaf.shape, leaf.dtype)[index]
    )
