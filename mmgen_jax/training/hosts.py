"""Several processes, one program: connects them by `jax.distributed`, and holds the state that they share.

Every process runs the same calls in the same order, on its own devices and its own rows of each batch. Process 0 alone
checks and writes the workdir and prints. An error in one process ends that process at once, without waiting for the
others; JAX then ends the others, by the broken connection or after `HEARTBEAT_SECONDS` without a heartbeat. A process
that hangs while its heartbeat goes on, as in a data source, is noticed at the next `meet`. Every operation that waits
for the other processes calls `meet` first, so every wait ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from mmgen_jax.errors import ConfigError, MmgenError

AUTO = "auto"
HEARTBEAT_SECONDS = 8  # all have ended within 10 s
CONNECT_SECONDS = 300
NOTICE = "RECEIVED_PREEMPTION_NOTICE"  # the key that JAX sets for all processes when SIGTERM reaches one of them
FAILED_SECONDS = 200  # Orbax gives up its own wait for the others after 300 s
LONG_SECONDS = 1800  # for work that one process may have to do alone: to compile, prepare data, train a judge

_stopped = False  # whether all processes have agreed to stop
_turn = 0  # of the training loop, see `stop_now`
_wait_seconds = 600.0  # how long `meet` waits, see `wait_at_most`


def connect(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    """Connects this process with the others; before the first use of a device.

    Args:
      coordinator: `HOST:PORT` of process 0; `auto` asks the scheduler (SLURM, Cloud TPU, Kubernetes, MPI), as
        `jax.distributed.initialize` does; "" is one process alone.
      num_processes, process_id: None with `auto`.

    Raises:
      ConfigError: an incomplete address, or no connection.
    """
    if not coordinator:
        if num_processes is not None or process_id is not None:
            raise ConfigError("--num_processes, --process_id: expected --coordinator=HOST:PORT beside them")
        return
    if coordinator != AUTO:
        if not coordinator.rpartition(":")[0] or not coordinator.rpartition(":")[2].isdigit():
            raise ConfigError(f"--coordinator: expected HOST:PORT of process 0, or auto, got {coordinator!r}")
        if num_processes is None or process_id is None:
            raise ConfigError(f"--coordinator={coordinator}: expected --num_processes=N and --process_id=0 … N-1")
        if not 0 <= process_id < num_processes:
            raise ConfigError(f"--process_id: expected 0 to {num_processes - 1}, got {process_id}")
    try:
        jax.distributed.initialize(
            None if coordinator == AUTO else coordinator,
            num_processes,
            process_id,
            initialization_timeout=CONNECT_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
        if several():
            _meet()
        if not is_first():
            logging.set_verbosity(logging.ERROR)  # the first process prints
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"--coordinator={coordinator}: the processes could not connect: {reason}") from error


def _meet() -> None:
    """Connects the devices of all processes while the processes are at the same place.

    On CPU, a process waits for 30 s for the others to connect, and the first step may take longer to compile than that.
    """
    devices = np.asarray(jax.devices())
    sharding = jax.sharding.NamedSharding(jax.sharding.Mesh(devices, "all"), jax.sharding.PartitionSpec("all"))
    ones = jax.make_array_from_callback(devices.shape, sharding, lambda index: np.ones(devices.shape)[index])
    jax.jit(jnp.sum)(ones).block_until_ready()


def wait_at_most(seconds: float) -> None:
    """Sets how long `meet` waits for the other processes."""
    global _wait_seconds
    _wait_seconds = seconds


def meet(long: bool = False, failed: bool = False) -> None:
    """Waits on the host until every process is here: a computation of all devices would wait without end.

    The first process to arrive sets the time limit for all.

    Args:
      failed: whether this process cannot go on: it waits for `FAILED_SECONDS` at most.
      long: whether one process may have had work that another has done before: a program to compile, data to prepare, a
        judge to train. The processes then wait for `LONG_SECONDS` at least.

    Raises:
      MmgenError: a process is not here in time; the message has its number.
    """
    if not several():
        return
    from orbax.checkpoint import multihost  # the barrier of `jax.distributed`, for which JAX itself has no public call

    seconds = max(_wait_seconds, LONG_SECONDS) if long else _wait_seconds
    seconds = min(seconds, FAILED_SECONDS) if failed else seconds
    try:
        multihost.get_barrier_sync_fn()(key="mmgen_jax", timeout_ms=round(1000 * seconds))
    except jax.errors.JaxRuntimeError as error:
        late = re.search(r"timed out task names:\s*([\d\s,]+)", str(error))
        if late is None:  # the connection broke
            raise
        raise MmgenError(
            f"process {', '.join(late[1].replace(',', ' ').split())} has not come to the next step within "
            f"{seconds:g} s (parallel.wait_seconds={_wait_seconds:g}): look at its data source, disk and machine"
        ) from error


def several() -> bool:
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this is the process that writes and prints."""
    return jax.process_index() == 0


def output() -> TextIO | None:
    """The stream for progress: None is stderr; all processes but the first show no progress."""
    return None if is_first() else open(os.devnull, "w")


def first(action: Callable[[], Any]) -> None:
    """Calls `action` in process 0; the others wait for its outcome, and raise its error too."""
    if not several():
        action()
        return
    failure = None
    if is_first():
        try:
            action()
        except Exception as error:
            failure = error
    meet(long=True)
    message = broadcast("" if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    if message:
        raise MmgenError(message)


def broadcast(value: Any) -> Any:
    """The value of process 0, JSON, in every process."""
    if not several():
        return value
    from jax.experimental import multihost_utils

    meet()
    data = np.frombuffer(json.dumps(value if is_first() else None).encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data))))
    padded = np.zeros(size, np.uint8)
    padded[: len(data)] = data[:size]
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(padded)).astype(np.uint8)))


def any_process(flag: bool, failed: bool = False) -> bool:
    """Whether the flag is set in any process; `failed` as in `meet`."""
    if not several():
        return flag
    from jax.experimental import multihost_utils

    meet(long=not failed, failed=failed)  # after a checkpoint is read, from disks that need not be equally fast
    return bool(np.any(multihost_utils.process_allgather(np.int32(flag))))


def stop_now() -> bool:
    """Whether all processes stop now, because SIGTERM reached one of them.

    All processes call `stop_now` at the same point of the program: in each turn of the train loop and of the sampler.
    All stop on the same turn, one after the highest turn that a process has reached. A turn may have several steps.
    """
    global _stopped, _turn
    if several():
        from jax.experimental import multihost_utils

        _turn += 1
        _stopped = multihost_utils.reached_preemption_sync_point(_turn)
    return _stopped


def noticed() -> bool:
    """Whether SIGTERM has reached one of several processes, before they have agreed on where to stop.

    Processes ask at any time, each for itself. The answer may end only work that a process does on its own.
    """
    if not several():
        return False
    from jax._src import distributed  # there is no public way to the client

    client = distributed.global_state.client
    assert client is not None, "several processes are connected"
    try:
        client.key_value_try_get(NOTICE)
    except jax.errors.JaxRuntimeError as error:
        if "NOT_FOUND" not in str(error):  # the connection broke
            raise
        return False
    return True


def all_stop() -> bool:
    """Whether this process may end without harm to others: it is alone, or all processes have agreed to stop."""
    return _stopped or not several()


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Ends the process with a message where the block fails in one of several processes.

    An exception that left the block would wait, in destructors and at the exit of the interpreter, for the others.
    """
    try:
        yield
    except BaseException as error:
        if all_stop():
            raise
        text = " ".join(str(error).split())[:2000]
        told = (MmgenError, OSError, jax.errors.JaxRuntimeError, KeyboardInterrupt, SystemExit)
        if not isinstance(error, told):
            traceback.print_exc()
        where = f"process {jax.process_index()} of {jax.process_count()}"
        print(f"mmgen: {where}: {type(error).__name__}: {text}; all processes end", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(_exit_code(error))


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
