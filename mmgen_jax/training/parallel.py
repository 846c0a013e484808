"""The layout of batch and state over devices, and the compilation of the step: `jit` on a mesh, or `pmap`.

The numbers are the same on one device, on several devices by `jit` (with the state replicated, or sharded over `fsdp`)
and on several devices by `pmap`.
"""

from __future__ import annotations

import contextvars
import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.layers.mapped import mapped

BATCH_AXES = ("data", "fsdp")
PMAP_AXIS = "data"

_SPLIT: contextvars.ContextVar[Parallel | None] = contextvars.ContextVar("split_state", default=None)


@dataclasses.dataclass(frozen=True)
class Parallel:
    """The devices, and the layout of batch and state over them.

    Args:
      mode: `jit`, where the step sees the global batch, and arrays are sharded on the mesh; or `pmap`, where the step
        sees one device's part of the batch, the state is replicated, and gradients, metrics and batch statistics are
        averaged over the mapped axis.
      mesh: the devices, with axes `data` and `fsdp`; the batch is split over both axes, the state over `fsdp`.
    """

    mode: str
    mesh: Mesh

    @property
    def num_devices(self) -> int:
        return self.mesh.size

    @property
    def spans_processes(self) -> bool:
        """Whether devices of other processes belong to the layout, so that all have to make the same calls."""
        return len({device.process_index for device in self.mesh.devices.flat}) > 1

    def batch_sharding(self, steps_axis: bool = False) -> NamedSharding:
        """The sharding of an array `[B, ...]`, or with `steps_axis` of `[steps, B, ...]`."""
        return NamedSharding(self.mesh, PartitionSpec(*([None] if steps_axis else []), BATCH_AXES))

    @property
    def replicated(self) -> NamedSharding:
        """The sharding of an array that every device, and so every process, holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    def state_sharding(self, abstract_state: Any) -> Any:
        """The sharding of each leaf: its largest axis that `fsdp` divides is split (ZeRO, Rajbhandari et al., 2020).

        A leaf without such an axis, or of less than 1024 elements, is replicated.
        """
        return jax.tree.map(lambda leaf: NamedSharding(self.mesh, self._spec(leaf.shape)), abstract_state)

    def _spec(self, shape: tuple[int, ...]) -> PartitionSpec:
        fsdp = self.mesh.shape["fsdp"]
        axes = [axis for axis, size in enumerate(shape) if size % fsdp == 0]
        if fsdp == 1 or not axes or np.prod(shape) < 1024:  # gathering a small leaf costs more than its memory
            return PartitionSpec()
        largest = max(axes, key=lambda axis: shape[axis])
        return PartitionSpec(*["fsdp" if axis == largest else None for axis in range(len(shape))])

    def init(self, create: Callable[[], Any]) -> Any:
        """The state `create()`, computed in its sharding, so that no device ever holds all of a sharded state."""
        shardings = self.state_sharding(jax.eval_shape(create))
        # The initialisation runs once, so it is compiled without optimisation: on CPU, optimised code takes five times
        # as long to compile, 8 s for a small GAN.
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        options = {"xla_backend_optimization_level": 0} if on_cpu else None
        return jax.jit(create, out_shardings=shardings, compiler_options=options)()

    def abstract(self, create: Callable[[], Any]) -> Any:
        """Shapes, dtypes and shardings of the state `create()`, to restore a state without creating one first."""
        shapes = jax.eval_shape(create)
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            shapes,
            self.state_sharding(shapes),
        )

    def bytes_held(self, state: Any) -> int:
        """Bytes that a state, or its shapes as `abstract` gives them, takes on each device."""
        return sum(
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)
        )

    def check_parts(self, batch_size: int, parts: int) -> None:
        """Raises ConfigError where the parts of a batch cannot be shared evenly between the devices."""
        if batch_size % (self.num_devices * parts):
            raise ConfigError(
                f"config.train.accumulate: expected train.batch_size={batch_size} to be a multiple of accumulate × "
                f"{self.num_devices} devices, got {parts}"
            )

    def check_memory(self, abstract_state: Any) -> None:
        """Raises ConfigError where the state alone, as `abstract` gives it, is more than a device can hold.

        Of a state in parts, the parameters count once more: the losses read them whole.
        """
        device = next(device for device in self.mesh.devices.flat if device.process_index == jax.process_index())
        memory = (device.memory_stats() or {}).get("bytes_limit") or _host_memory()
        params = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state.params))
        needed = self.bytes_held(abstract_state) + (params if self.mesh.shape["fsdp"] > 1 else 0)
        if needed > memory:
            raise ConfigError(
                f"parameters, averages and the optimizers' state take {needed / 2**30:,.1f} GiB, a device has "
                f"{memory / 2**30:,.1f}; make the networks smaller, or split the state by parallel.fsdp"
            )

    def global_view(self) -> Parallel:
        """The same devices with mode `jit`, which sampling and evaluation use in both modes."""
        return dataclasses.replace(self, mode="jit")

    def put(
        self, batch: Mapping[str, np.ndarray], steps_axis: bool = False, whole: bool = False
    ) -> dict[str, jax.Array]:
        """Puts this process's rows `[B, ...]` (`steps_axis`: `[steps, B, ...]`) of the batch on its devices.

        For `pmap` the batch axis becomes `[devices, B / devices]`.

        Args:
          whole: the batch has the rows of all processes, the same in each.
        """
        sharding = self.batch_sharding(steps_axis)
        if self.mode == "pmap":
            axis, local = int(steps_axis), self.num_devices
            batch = {k: v.reshape(*v.shape[:axis], local, -1, *v.shape[axis + 1 :]) for k, v in batch.items()}
        if not self.spans_processes:
            return jax.device_put(dict(batch), sharding)
        if whole:
            rows = {k: np.asarray(v) for k, v in batch.items()}
            return {k: jax.make_array_from_callback(v.shape, sharding, v.__getitem__) for k, v in rows.items()}
        return {k: jax.make_array_from_process_local_data(sharding, np.asarray(v)) for k, v in batch.items()}

    def everywhere(self, array: np.ndarray) -> jax.Array:
        """An array that is the same in every process, replicated on all devices."""
        return jax.make_array_from_callback(array.shape, self.replicated, array.__getitem__)

    def compile_step(self, step: Callable, state: Any, steps_per_call: int = 1) -> Callable:
        """The compiled `(state, batch, players) -> (state, metrics)` of `step`; the state's buffers are donated.

        With `steps_per_call` above 1, a call runs that many steps without a return to the host: the batch has a leading
        axis of length `steps_per_call`, and each metric is `[steps_per_call]`.
        """

        def call(state, batch, players):
            token = _SPLIT.set(self if self.mesh.shape["fsdp"] > 1 else None)
            try:
                with mapped(PMAP_AXIS if self.mode == "pmap" else None):
                    if steps_per_call == 1:
                        return step(state, batch, players=players)
                    return jax.lax.scan(lambda carry, rows: step(carry, rows, players=players), state, batch)
            finally:
                _SPLIT.reset(token)

        if self.mode == "jit":
            shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
            return jax.jit(call, static_argnames="players", donate_argnums=0, out_shardings=(shardings, None))
        return jax.pmap(
            call,
            axis_name=PMAP_AXIS,
            in_axes=(None, int(steps_per_call > 1), None),
            out_axes=(None, None),
            static_broadcasted_argnums=2,
            devices=list(self.mesh.devices.flat),
            donate_argnums=0,
        )


def gathered(params: Any) -> Any:
    """Parameters of a state in parts, whole on every device, as the losses read them; else unchanged.

    Without this, XLA would split the activations as the parameters are split, and exchange them.
    """
    if (layout := _SPLIT.get()) is None:
        return params
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, layout.replicated), params)


def in_parts(grads: Any) -> Any:
    """Gradients, or whatever has the shapes of parameters, each device with the part whose parameters it updates."""
    if (layout := _SPLIT.get()) is None:
        return grads
    return jax.tree.map(jax.lax.with_sharding_constraint, grads, layout.state_sharding(grads))


def _host_memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def create(mode: str, batch_size: int, fsdp: int = 1, num_devices: int = 0) -> Parallel:
    """The layout over `num_devices` devices, the same number of each process; 0 is all devices.

    Args:
      batch_size: the global batch size, a multiple of the number of devices.
      fsdp: number of parts of a sharded state, a divisor of the number of devices; 1 replicates the state.

    Raises:
      ConfigError: an unknown mode, sizes that do not divide, or `pmap` with several processes.
    """
    devices, processes = jax.devices(), jax.process_count()
    if mode not in ("jit", "pmap"):
        raise ConfigError(f"parallel.mode: expected 'jit' or 'pmap', got {mode!r}")
    if not 0 <= num_devices <= len(devices):
        raise ConfigError(f"parallel.num_devices: expected 0 (all) to {len(devices)}, got {num_devices}")
    if mode == "pmap" and processes > 1:
        raise ConfigError(f"parallel.mode: pmap is for one process, got {processes} processes; use parallel.mode=jit")
    if num_devices % processes:
        raise ConfigError(f"parallel.num_devices: expected a multiple of the {processes} processes, got {num_devices}")
    if num_devices:
        each = num_devices // processes
        of = [[device for device in devices if device.process_index == process] for process in range(processes)]
        devices = [device for own in of for device in own[:each]]
    if mode == "pmap" and fsdp != 1:
        raise ConfigError(f"parallel.fsdp: pmap replicates the state, expected 1, got {fsdp}; use parallel.mode=jit")
    if fsdp < 1 or len(devices) % fsdp:
        raise ConfigError(f"parallel.fsdp: expected a divisor of the {len(devices)} devices, got {fsdp}")
    if batch_size % len(devices):
        raise ConfigError(f"train.batch_size: expected a multiple of the {len(devices)} devices, got {batch_size}")
    return Parallel(mode, _mesh(devices, fsdp))


def local() -> Parallel:
    """The layout of one device of this process: for the judges, which any process may train or apply by itself."""
    return Parallel("jit", _mesh(jax.local_devices()[:1], 1))


def _mesh(devices: list[Any], fsdp: int) -> Mesh:
    return Mesh(np.asarray(devices).reshape(-1, fsdp), BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
