"""How the step is mapped over devices: `jit` on a mesh, or `pmap`.

Both give the same numbers: one device, many by `jit` (state replicated, or sharded over `fsdp`) and many by `pmap`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.layers.mapped import mapped

BATCH_AXES = ("data", "fsdp")
PMAP_AXIS = "data"


@dataclasses.dataclass(frozen=True)
class Parallel:
    """Devices, and how batch and state are laid out on them.

    Args:
      mode: `jit`: global view, arrays sharded on the mesh; `pmap`: per-device view, state replicated, gradients,
        metrics and batch statistics averaged over the mapped axis.
      mesh: axes `data` and `fsdp`; the batch is split over both, the state over `fsdp`.
    """

    mode: str
    mesh: Mesh

    @property
    def num_devices(self) -> int:
        return self.mesh.size

    def batch_sharding(self, steps_axis: bool = False) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(*([None] if steps_axis else []), BATCH_AXES))

    def state_sharding(self, abstract_state: Any) -> Any:
        """Per leaf: replicated, or its largest axis that `fsdp` divides split over it (ZeRO, Rajbhandari 2020)."""
        return jax.tree.map(lambda leaf: NamedSharding(self.mesh, self._spec(leaf.shape)), abstract_state)

    def _spec(self, shape: tuple[int, ...]) -> PartitionSpec:
        fsdp = self.mesh.shape["fsdp"]
        axes = [axis for axis, size in enumerate(shape) if size % fsdp == 0]
        if fsdp == 1 or not axes or np.prod(shape) < 1024:  # small leaves cost more to gather than to hold
            return PartitionSpec()
        largest = max(axes, key=lambda axis: shape[axis])
        return PartitionSpec(*["fsdp" if axis == largest else None for axis in range(len(shape))])

    def init(self, create: Callable[[], Any]) -> Any:
        """The state, born sharded: no device ever holds all of it."""
        shardings = self.state_sharding(jax.eval_shape(create))
        # It runs once, and XLA's CPU backend takes five times as long to compile it well: 8 s for a small GAN.
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        options = {"xla_backend_optimization_level": 0} if on_cpu else None
        return jax.jit(create, out_shardings=shardings, compiler_options=options)()

    def abstract(self, create: Callable[[], Any]) -> Any:
        """Shapes and shardings of the state, for a restore that allocates nothing first."""
        shapes = jax.eval_shape(create)
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            shapes,
            self.state_sharding(shapes),
        )

    def global_view(self) -> Parallel:
        """The same devices by `jit`; what samples and evaluates is mapped this way in either mode."""
        return dataclasses.replace(self, mode="jit")

    def put(self, batch: Mapping[str, np.ndarray], steps_axis: bool = False) -> dict[str, jax.Array]:
        """This process's rows of the batch, onto its devices; for `pmap` with a device axis before the batch's."""
        sharding = self.batch_sharding(steps_axis)
        if self.mode == "pmap":
            axis, local = int(steps_axis), self.num_devices // jax.process_count()
            batch = {k: v.reshape(*v.shape[:axis], local, -1, *v.shape[axis + 1 :]) for k, v in batch.items()}
        if jax.process_count() == 1:
            return jax.device_put(dict(batch), sharding)
        return {k: jax.make_array_from_process_local_data(sharding, np.asarray(v)) for k, v in batch.items()}

    def compile_step(self, step: Callable, state: Any, steps_per_call: int = 1) -> Callable:
        """Compiles `step(state, batch, players=…) -> (state, metrics)`; the state's buffers are donated.

        With `steps_per_call` above 1 the batch has a leading axis of that length, the steps run in one call without
        returning to the host, and each metric is `[steps_per_call]`.
        """

        def call(state, batch, players):
            with mapped(PMAP_AXIS if self.mode == "pmap" else None):
                if steps_per_call == 1:
                    return step(state, batch, players=players)
                return jax.lax.scan(lambda carry, rows: step(carry, rows, players=players), state, batch)

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


def create(mode: str, batch_size: int, fsdp: int = 1, num_devices: int = 0) -> Parallel:
    """The layout over the first `num_devices` devices, or over all of them (0).

    Raises:
      ConfigError: an unknown mode, or sizes that do not divide.
    """
    if jax.process_count() > 1:
        raise ConfigError(f"parallel: one process with all its devices, got {jax.process_count()} processes")
    devices = jax.devices()
    if mode not in ("jit", "pmap"):
        raise ConfigError(f"parallel.mode: expected 'jit' or 'pmap', got {mode!r}")
    if not 0 <= num_devices <= len(devices):
        raise ConfigError(f"parallel.num_devices: expected 0 (all) to {len(devices)}, got {num_devices}")
    devices = devices[: num_devices or None]
    if mode == "pmap" and fsdp != 1:
        raise ConfigError(f"parallel.fsdp: pmap replicates the state, expected 1, got {fsdp}; use parallel.mode=jit")
    if fsdp < 1 or len(devices) % fsdp:
        raise ConfigError(f"parallel.fsdp: expected a divisor of the {len(devices)} devices, got {fsdp}")
    if batch_size % len(devices):
        raise ConfigError(f"train.batch_size: expected a multiple of the {len(devices)} devices, got {batch_size}")
    mesh = Mesh(np.asarray(devices).reshape(-1, fsdp), BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    return Parallel(mode, mesh)
