"""The steps since the last line of metrics: their metrics, still on the devices, and the time that they took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.errors import NotFinite
from mmgen_jax.train_step import SKIPPED
from mmgen_jax.training.metric_writer import summarise
from mmgen_jax.training.progress import processor_seconds

KEY = "log_window"  # of a window's state, inside the data state of a checkpoint


def steps_of(saved: Mapping[str, Any] | None, steps_per_call: int) -> int:
    """The number of steps in a saved window; `saved` is the state that `LogWindow.get_state` gave under `KEY`."""
    return len((saved or {}).get("metrics", ())) * steps_per_call


class LogWindow:
    """Collects the metrics of calls of the step until `close` averages them.

    A checkpoint between two lines holds the open window (`get_state`), so that a resumed run writes the same lines as
    the uninterrupted run.

    Args:
      steps_per_call: number of steps in one call.
      saved: the window to go on with, as `get_state` gave it.
      max_skipped: how many steps of the run may have been skipped because they were not finite.
    """

    def __init__(self, steps_per_call: int, saved: Mapping[str, Any] | None = None, max_skipped: int = 0):
        self._per_call, self._max_skipped = steps_per_call, max_skipped
        self._skipped = (saved or {}).get("skipped", 0)  # in the windows before
        self._begin(saved or {})

    def _begin(self, saved: Mapping[str, Any]) -> None:
        self._calls: list[Mapping[str, Any]] = list(saved.get("metrics", ()))
        self._before = {name: saved.get(name, 0.0) for name in ("seconds", "processor_seconds", "data_seconds")}
        self._since, self._spent = time.monotonic(), processor_seconds()

    def add(self, metrics: Mapping[str, jax.Array]) -> None:
        """Adds the metrics of one call, each `[]` or `[steps_per_call]`."""
        self._calls.append(metrics)

    def check(self, step: int, state: Any, newest: int | None) -> dict[str, float]:
        """The mean of each metric so far.

        Args:
          step, state: the current step and state, for the message.
          newest: the step of the newest checkpoint, for the message.

        Raises:
          NotFinite: a value is NaN or infinite.
        """
        means, not_finite = summarise(self._calls, SKIPPED)
        if (skipped := self._skipped + self._skipped_now()) > self._max_skipped:
            reason = f"{skipped} steps were not finite and skipped, train.skip_bad_steps allows {self._max_skipped}"
            last = step - len(self._calls) * self._per_call + self._last_skipped()
            raise NotFinite(f"step {last}: {reason}; look at the data, or lower the learning rate", last)
        if not_finite is not None:
            offset, name = not_finite
            first = step - len(self._calls) * self._per_call + offset + 1
            raise NotFinite(diagnosis(first, name, step, state, newest), first)
        return means

    def close(self, step: int, state: Any, newest: int | None, data_seconds: float) -> dict[str, float]:
        """The metrics of a line, and begins the next window; arguments and errors as of `check`.

        Args:
          data_seconds: time in which the steps waited for data.
        """
        means = self.check(step, state, newest)
        taken = self._taken(data_seconds)
        self._skipped += self._skipped_now()
        means["steps_per_second"] = len(self._calls) * self._per_call / taken["seconds"]
        means["data_wait"] = taken["data_seconds"] / taken["seconds"]  # share of the time spent waiting for data
        means["processor_seconds"] = taken["processor_seconds"]
        self._begin({})
        return means

    def get_state(self, data_seconds: float) -> dict[str, Any]:
        """`{KEY: JSON values}` of the open window; empty after a `close` without skipped steps."""
        if not self._calls:
            return {KEY: {"skipped": self._skipped}} if self._skipped else {}
        calls = [{k: np.asarray(v).tolist() for k, v in call.items()} for call in jax.device_get(self._calls)]
        skipped = {"skipped": self._skipped} if self._skipped else {}
        return {KEY: {"metrics": calls, **skipped, **self._taken(data_seconds)}}

    def _skipped_now(self) -> int:
        return int(sum(np.sum(call[SKIPPED]) for call in jax.device_get(self._calls) if SKIPPED in call))

    def _last_skipped(self) -> int:
        """The number, from 1, of the window's last step that was skipped; 0 where none was."""
        each = [np.ravel(call.get(SKIPPED, np.zeros(self._per_call))) for call in jax.device_get(self._calls)]
        return int(max(np.flatnonzero(np.concatenate(each)) + 1, default=0)) if each else 0

    def _taken(self, data_seconds: float) -> dict[str, float]:
        taken = {
            "seconds": time.monotonic() - self._since,
            "processor_seconds": processor_seconds() - self._spent,
            "data_seconds": data_seconds,
        }
        return {name: value + self._before[name] for name, value in taken.items()}


def diagnosis(first: int, name: str, step: int, state: Any, newest: int | None) -> str:
    """The message of NotFinite: the first step and metric that were not finite, and the state's non-finite tensors.

    Args:
      step: the step at which the loop noticed.
      newest: the step of the newest checkpoint, None where there is none.
    """
    bad = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not jnp.isfinite(leaf).all()
    ]
    tensors = (
        f"{len(bad)} tensors of the state are not finite by step {step}, first {bad[0]}" if bad else "none in the state"
    )
    kept = f"The newest checkpoint, of step {newest}, is older" if newest else "There is no checkpoint yet"
    return (
        f"step {first}: {name} is not finite; {tensors}. {kept}; lower the learning rate or set "
        "optimizers.<player>.clip_norm, in a new --workdir, or look at that step's batch"
    )
