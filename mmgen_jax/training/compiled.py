"""The size of a run, and its compiled step: one program for each set of players, its costs, a trace of some calls."""

from __future__ import annotations

import math
import pathlib
import re
from collections.abc import Callable
from typing import Any

import jax

from mmgen_jax.errors import ConfigError
from mmgen_jax.training import hosts, parallel

OPERATIONS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
COLLECTIVE = re.compile(rf"= (.*?) ({OPERATIONS})(?:-done)?\(")  # the result's shapes, and the operation
SHAPE = re.compile(r"\b(?:pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")
TRACED = 3  # calls of the step in a trace
FOLDER = "profile"


def summary(config, state, layout: parallel.Parallel, start: int) -> str:
    """The first line of a run: config, parameters of each player, devices, and the step of a resumed run."""
    sizes = {p: sum(leaf.size for leaf in jax.tree.leaves(tree)) for p, tree in state.params.items()}
    count = ", ".join(f"{player} {size / 1e6:.2f} M" for player, size in sizes.items())
    held = layout.bytes_held(state) / 2**20
    processes = f" in {jax.process_count()} processes" if hosts.several() else ""
    where = f"{layout.num_devices} × {jax.devices()[0].platform}{processes}, {layout.mode}"
    resumed = f"; resuming at step {start}" if start else ""
    return f"{config.reference or 'config'}: parameters {count}; state {held:,.1f} MiB a device; on {where}{resumed}"


class Compiled:
    """`(state, batch, players) -> (state, metrics)`, compiled ahead of its first call with these players.

    A call moves no array between host and devices, because a hidden transfer would cost every step its time: the
    arguments are on the devices already, else JAX raises an error that names the array.

    Args:
      function: as `Parallel.compile_step` gives it.
    """

    def __init__(self, function: Callable[..., Any]):
        self._function, self._made, self._called = function, {}, set()

    def compile(self, state: Any, batch: Any, players: tuple[str, ...]) -> Any:
        """The executable for `players`; arrays or abstract arrays of the shapes and shardings of a call will do."""
        if players not in self._made:
            self._made[players] = self._function.lower(state, batch, players).compile()
        return self._made[players]

    def __call__(self, state: Any, batch: Any, players: tuple[str, ...]) -> Any:
        executable = self.compile(state, batch, players)
        hosts.meet(long=players not in self._called)
        self._called.add(players)
        with jax.transfer_guard("disallow"):
            return executable(state, batch)

    def costs(self, state: Any, batch: Any, players: tuple[str, ...]) -> str:
        """One line: memory, floating-point operations and exchanged bytes of a call on one device, as XLA counts them.

        XLA counts the body of a loop once: with several steps a call, or a scan in a network, the operations are fewer
        than those that run.
        """
        executable = self.compile(state, batch, players)
        told = []
        if (memory := executable.memory_analysis()) is not None:
            own = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
            told.append(
                f"memory {(own + memory.temp_size_in_bytes) / 2**20:,.1f} MiB a device (state, batch and results "
                f"{own / 2**20:,.1f}, in between {memory.temp_size_in_bytes / 2**20:,.1f})"
            )
        costs = executable.cost_analysis() or {}
        costs = costs[0] if isinstance(costs, list) else costs
        if "flops" in costs:
            told.append(f"{costs['flops'] / 1e9:,.3f} GFLOP a device")
        if jax.device_count() > 1 and (sent := collectives(executable.as_text() or "")):
            each = ", ".join(f"{name} {size / 2**20:,.1f}" for name, size in sent.items())
            told.append(f"from other devices {sum(sent.values()) / 2**20:,.1f} MiB ({each})")
        return f"step of {', '.join(players)}: {'; '.join(told) or 'this device does not tell its costs'}"


def collectives(program: str) -> dict[str, int]:
    """`{operation: bytes}` of the results of a compiled program's collectives on each device.

    Operations inside a loop count once.
    """
    found: dict[str, int] = {}
    for result, operation in COLLECTIVE.findall(program):
        shapes = SHAPE.findall(result)
        sizes = (
            max(1, int(bits or 8) // 8) * math.prod(int(n) for n in sides.split(",") if n) for bits, sides in shapes
        )
        found[operation] = found.get(operation, 0) + sum(sizes)
    return found


def check_profile(step: int, start: int, stop: int) -> None:
    """Raises ConfigError where a run from `start` to `stop` does not pass the step of a trace; 0 is no trace."""
    if step and not max(start, 1) <= step < stop:
        raise ConfigError(f"--profile={step}: expected a step from {max(start, 1)} to {stop - 1}, where this run goes")


class Trace:
    """A trace of `TRACED` calls of the step, after `step` steps, in `workdir/profile` (for TensorBoard or Perfetto).

    Args:
      step: 0 for none.
    """

    def __init__(self, workdir: pathlib.Path, step: int):
        self._folder, self._step, self._left, self._begun = workdir / FOLDER, step, TRACED, False

    def after(self, step: int, metrics: Any) -> str:
        """Called after every call of the step with its metrics; returns a line once the trace is written, else ""."""
        if self._begun:
            self._left -= 1
            return self.close(metrics) if not self._left else ""
        if self._left and 0 < self._step <= step:
            jax.block_until_ready(metrics)  # the calls before are no part of the trace
            jax.profiler.start_trace(str(self._folder))
            self._begun = True
        return ""

    def close(self, metrics: Any = None) -> str:
        """Ends a trace that has begun, and returns its line; "" where there is none."""
        if not self._begun:
            return ""
        jax.block_until_ready(metrics)
        self._begun = False
        jax.profiler.stop_trace()
        return f"trace: {self._folder}"
