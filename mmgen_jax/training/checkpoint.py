"""Checkpoints of the train state and the data position, by Orbax (elsewhere, only `hosts.meet` uses Orbax).

A checkpoint is a folder `<directory>/<step>/` that appears by a single rename. A process that is killed while it writes
leaves a folder `<step>.orbax-checkpoint-tmp`, which is never read and is removed by the next run that saves. The state
is stored as a flat dict with one entry per leaf, named by the leaf's path (`params/generator/Dense_0/kernel`). The
format therefore depends neither on the containers (an optax named tuple, a flax dataclass) nor on the devices of the
saving run. The metadata of a checkpoint hold the data state, and the dtype, shape and digest of every leaf.

`restore` compares every digest (`training/digest.py` says which damage it shows); checkpoints of version 0.1 have none.
`restore_newest` takes the newest whole checkpoint, and moves a damaged one aside, to `<step>.damaged`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import logging

from mmgen_jax.data.cache import disk
from mmgen_jax.errors import CheckpointError, DamagedCheckpoint, InputError, MmgenError
from mmgen_jax.training import damaged, digest, hosts

LOOKS = 100  # how often a reader looks again for a checkpoint that vanished under it


class Checkpointer:
    """Saves and restores `(state, data_state)`; the caller decides when to save.

    Args:
      directory: the folder of all checkpoints, a string or a path of `pathlib` or `etils.epath` (of an object store);
        created if `create`, otherwise the folder must exist.
      keep: how many of the newest checkpoints stay; None keeps all.
      create: False for a reader, which creates and removes no folder, so that it can read from a run in training.

    Raises:
      CheckpointError: not `create`, and the directory does not exist.
    """

    def __init__(self, directory: Any, keep: int | None = 2, create: bool = True):
        from orbax.checkpoint import v1 as ocp  # takes 0.4 s, and commands without checkpoints import this file too

        directory = pathlib.Path(directory).absolute() if isinstance(directory, (str, pathlib.Path)) else directory
        if not create and not directory.is_dir():
            raise CheckpointError(f"{directory}: no such folder of checkpoints; train first, or check --workdir")
        if create:
            hosts.first(functools.partial(damaged.set_aside_unopenable, directory))
        context = ocp.Context()
        # To write a replicated array in slices, one from each replica, is faster only between hosts: on 8 devices of
        # one host it takes three times as long.
        context.array_options.saving.use_replica_parallel = jax.process_count() > 1
        # With asynchronous creation, an error in creating the folder (disk full, no permission) would be raised only
        # minutes later, at the timeout of the threads that wait for the folder.
        context.async_options.create_directories_asynchronously = False
        latest = ocp.training.preservation_policies.LatestN(keep)  # the default keeps everything
        self._checkpointer = None  # of a reader: Orbax would refuse a folder of which one checkpoint cannot be opened
        if create:
            self._checkpointer = ocp.training.Checkpointer(
                str(directory),
                context=context,
                preservation_policy=latest,  # pyright: ignore[reportArgumentType] Orbax types its protocol otherwise
                cleanup_tmp_directories=True,
            )
        self._directory, self._ocp, self._context = directory, ocp, context
        self._pending = None  # the save whose files are being written
        self.newest = self.latest_step() or 0  # the step of the newest checkpoint, one in progress included; 0: none

    def latest_step(self) -> int | None:
        """The newest step with a complete checkpoint, or None."""
        self.wait()
        return max(self._steps(), default=None)

    def save(self, step: int, state: Any, data_state: dict[str, Any]) -> None:
        """Saves at `step`. Returns once the caller may donate `state`; a thread writes the files.

        Args:
          state: pytree of `jax.Array`.
          data_state: a dict that JSON can hold; saved in the same atomic checkpoint.

        Raises:
          CheckpointError: the step has a checkpoint already.
          CheckpointError, Exception: the thread that wrote the previous checkpoint failed; see `wait`.
          TypeError: a leaf is no `jax.Array`, or `data_state` is not JSON.
        """
        self.wait()
        checkpointer = self._checkpointer
        assert checkpointer is not None, "a reader saves nothing"
        json.dumps(data_state)  # raises here rather than in the writing thread
        if step in self._steps():
            raise CheckpointError(f"{self._directory / str(step)}: step {step} is saved already; save each step once")
        leaves, _ = _named_leaves(state)
        for name, leaf in leaves.items():
            if not isinstance(leaf, jax.Array):
                raise TypeError(f"checkpoint leaf {name!r}: expected a jax.Array, got {type(leaf).__name__}")
        metadata = {"data_state": data_state, "leaves": {name: _spec(leaf) for name, leaf in leaves.items()}}
        metadata["digests"] = digest.of(leaves)
        metadata["sha256"] = damaged.sha256(metadata)
        self._size = sum(leaf.nbytes for leaf in leaves.values())
        # Orbax copies to the host before it returns (on CPU it holds views, and JAX does not reuse a buffer that has a
        # view). `force` skips Orbax's policy of when to save. The guard is for callers that forbid implicit transfers.
        with jax.transfer_guard("allow"):
            self._pending = self._finish(
                lambda: checkpointer.save_checkpointables_async(
                    step,
                    {"state": {name: leaf for name, leaf in leaves.items() if leaf.size}},  # Orbax refuses size 0
                    force=True,
                    custom_metadata=metadata,
                )
            )
        self.newest = step

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, dict[str, Any]]:
        """`(state, data_state)` as saved at `step`.

        Args:
          abstract_state: pytree of `jax.ShapeDtypeStruct`; each leaf is restored to its `sharding`, or to the default
            device where it has no sharding. The devices of the saving run do not matter.

        Raises:
          DamagedCheckpoint: the checkpoint is incomplete, or its bits are not those that were saved.
          CheckpointError: the step has no checkpoint, or a leaf differs in name, shape or dtype.
        """
        self.wait()
        steps, folder = self._steps(), self._directory / str(step)
        if step not in steps:
            raise CheckpointError(f"{self._directory}: has no checkpoint of step {step}; it has {steps or 'none'}")
        metadata = self._metadata(step)
        if not metadata or "leaves" not in metadata:  # also where a process was killed while it deleted the checkpoint
            raise DamagedCheckpoint(f"{folder}: is incomplete; restore another step of {steps}")
        if metadata.get("sha256") not in (None, damaged.sha256(metadata)):
            raise DamagedCheckpoint(f"{folder}: is damaged: its metadata have changed since they were saved")
        abstract, treedef = _named_leaves(abstract_state)
        names = {_current(name): name for name in metadata["leaves"]}
        saved = {name: metadata["leaves"][stored] for name, stored in names.items()}
        _check_leaves(folder, abstract, saved)
        default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding or default)
            for name, leaf in abstract.items()
        }
        stored = {names[name]: leaf for name, leaf in abstract.items() if leaf.size}
        try:
            with self._context:
                restored = self._ocp.load_checkpointables(folder, {"state": stored})["state"]
        except Exception as error:  # of Orbax and TensorStore, of many types
            if hosts.several() and isinstance(error, TimeoutError):  # no damage: this process has read its part
                raise MmgenError(f"{folder}: another process has not read its part in time: {error}") from error
            raise DamagedCheckpoint(f"{folder}: is damaged: {damaged.reason(error)}") from error
        found = digest.of(restored)
        for name, expected in metadata.get("digests", {}).items():
            if name in found and found[name] != expected:
                raise DamagedCheckpoint(f"{folder}: is damaged: leaf {_current(name)!r} is not what was saved")
        leaves = [restored[names[name]] if leaf.size else _empty(leaf) for name, leaf in abstract.items()]
        return jax.tree.unflatten(treedef, leaves), metadata["data_state"]

    def restore_newest(self, abstract_state: Any) -> tuple[int, Any, dict[str, Any]] | None:
        """`(step, state, data_state)` of the newest whole checkpoint, None where there is no checkpoint.

        A damaged checkpoint is named in a warning. Where the run goes on (`create`), it is moved aside, so that its
        step can be saved again. A reader beside a run in training, whose checkpoint was deleted, looks again.

        Raises:
          CheckpointError: every checkpoint is damaged, the newest does not match `abstract_state`, or only some
            processes cannot read their part of the newest.
        """
        broken: dict[int, str] = {}
        looks = 0
        # The first process chooses the step. A step that all find damaged is skipped. If only some find damage, the
        # run ends: the other processes wait in Orbax until these processes end.
        while steps := hosts.broadcast([step for step in self._steps() if step not in broken]):
            failure, restored = "", None
            try:
                restored = self.restore(steps[-1], abstract_state)
            except DamagedCheckpoint as error:
                failure = str(error).removeprefix(f"{self._directory / str(steps[-1])}: ")
            try:
                failed = hosts.any_process(restored is None, failed=restored is None)
            except MmgenError as error:
                if restored is not None:
                    raise
                raise self._seen_by_some(steps, failure) from error
            if failed:
                if self._checkpointer is not None:
                    self._checkpointer.reload()
                if hosts.broadcast(steps[-1] not in self._steps()) and looks < LOOKS:
                    looks += 1
                else:
                    broken[steps[-1]] = failure or "is damaged, as another process found"
                continue
            assert restored is not None
            state, data_state = restored
            for step, reason in broken.items():
                folder = self._directory / str(step)
                if self._checkpointer is not None:
                    hosts.first(functools.partial(damaged.move, folder))
                moved = f"; moved to {damaged.aside(folder)}" if self._checkpointer is not None else ""
                logging.warning("checkpoint %d %s%s; step %d is taken instead", step, reason, moved, steps[-1])
            if broken and self._checkpointer is not None:
                self._checkpointer.reload()
            self.newest = steps[-1]
            return steps[-1], state, data_state
        if broken:
            each = "; ".join(f"step {step} {reason}" for step, reason in broken.items())
            raise CheckpointError(f"{self._directory}: no checkpoint is whole: {each}; train in a new --workdir")
        return None

    def _seen_by_some(self, steps: list[int], failure: str) -> CheckpointError:
        """The error of a process that finds the newest of `steps` damaged where others do not; moves the step aside."""
        folder, advice = self._directory / str(steps[-1]), "look at the disk, and start again"
        if self._checkpointer is not None and len(steps) > 1:
            with contextlib.suppress(OSError):  # another process has moved it, or none can
                damaged.move(folder)
            moved = f"move it to {damaged.aside(folder)}" if folder.exists() else f"moved to {damaged.aside(folder)}"
            advice = f"{moved}, and the same command goes on from step {steps[-2]}"
        return CheckpointError(f"{folder}: {failure}, in a part that not all processes read; {advice}")

    def _steps(self) -> list[int]:
        if self._checkpointer is None:
            return sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdigit())
        return [checkpoint.step for checkpoint in self._checkpointer.checkpoints]

    def _metadata(self, step: int) -> Any:
        """The metadata of a checkpoint, None where they are missing or no JSON."""
        try:
            with self._context:
                return self._ocp.checkpointables_metadata(self._directory / str(step)).custom_metadata
        except Exception:  # of Orbax, which reads the files of the arrays too
            return None

    def wait(self) -> None:
        """Waits for the save in progress; raises the error of its thread, CheckpointError where the disk is full."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._finish(pending.result)  # also ends the thread that Orbax started for the save

    def _finish(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except Exception as error:  # an OSError, or TensorStore's ValueError that quotes it
            self.newest = max(self._steps(), default=0)
            if not re.search("No space left|quota exceeded|ENOSPC|EDQUOT", str(error), re.IGNORECASE):
                raise
            missing = disk.missing(self._directory, self._size)
            raise CheckpointError(f"{self._directory}: no space left for the checkpoint: {missing}") from error

    def close(self) -> None:
        try:
            self.wait()
        finally:
            if self._checkpointer is not None:
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


def _check_leaves(folder: Any, expected: dict[str, Any], saved: dict[str, str]) -> None:
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
