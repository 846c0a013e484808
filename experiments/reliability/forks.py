"""Runs a command in a fork of this process, and reads what a finished training wrote; the faults use both.

The process that forks has imported all and used no device. XLA does not optimise, so that a program compiles fast.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable

import jaxlib.version  # reads none of the variables below

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["JAX_PLATFORMS"] = "cpu"
FLAGS = " --xla_force_host_platform_device_count=1 --xla_backend_optimization_level=0"
if jaxlib.version.__version_info__[:2] == (0, 10):  # XLA stops at a flag that it does not know
    FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + FLAGS
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

from systems import config  # noqa: E402  (imports jax, which reads the variables above)

from mmgen_jax import cli, train  # noqa: E402
from mmgen_jax.errors import MmgenError  # noqa: E402

HANG = 900  # seconds
STEPS = 12
FIGURES: dict[str, object] = {}  # of a kind, beside its counts: they go into its line
TIMED = {"steps_per_second", "data_wait", "processor_seconds"}


class Fork:
    """A command in a fork of this process; its output is in a file."""

    def __init__(self, action: Callable[[], object], output: pathlib.Path):
        self.output, self.memory = output, 0  # bytes, of the command once it has ended
        self.code: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            with self.output.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = 2
            try:
                code = answered(action)
                sys.stdout.flush()
            finally:  # what left this block would clean up after the parent
                os._exit(code)

    def ended(self) -> bool:
        if self.code is None:
            pid, status, used = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.code, self.memory = os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024
        return self.code is not None

    def wait(self) -> int | None:
        """The exit code, minus the signal where one ended it; None where the run hangs."""
        deadline = time.monotonic() + HANG
        while not self.ended():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return None
            time.sleep(0.05)
        return self.code

    def send(self, number: int) -> None:
        if not self.ended():
            os.kill(self.pid, number)

    @property
    def printed(self) -> str:
        return self.output.read_text(errors="backslashreplace")


class Run(Fork):
    """A training."""

    def __init__(self, family: str, workdir: pathlib.Path, output: pathlib.Path | None = None, steps: int = STEPS):
        self.workdir = workdir
        output = output or workdir.with_name(workdir.name + ".txt")
        fields = {"checkpoint_steps": 3, "sample_steps": 6}
        super().__init__(lambda: train.train(config(family, steps, **fields), workdir), output)

    def reach(self, step: int) -> bool:
        """Waits until a line of metrics has this step; False where the run ends before."""
        while newest_line(self.workdir) < step:
            if self.ended():
                return False
            time.sleep(0.02)
        return True


def answered(action: Callable[[], object]) -> int:
    """The exit code of a command: `mmgen` does the same with errors."""
    try:
        action()
        return 0
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return int(end.code or 0)
    except (MmgenError, OSError) as error:
        print(f"mmgen: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 1
    except BaseException:
        import traceback

        traceback.print_exc()
        return 2


def one_line(printed: str) -> bool:
    """Whether a command ended by its line for an error."""
    return "Traceback" not in printed and printed.rstrip().splitlines()[-1].startswith("mmgen: ")


def newest_line(workdir: pathlib.Path) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return json.loads((workdir / "metrics.jsonl").read_text().split("\n")[-2])["step"]
    return 0


def content(workdir: pathlib.Path) -> dict:
    """All that a finished run is, without times."""
    metadata = json.loads((workdir / "checkpoints" / str(STEPS) / "_CHECKPOINT_METADATA").read_text())[
        "custom_metadata"
    ]
    told = [
        {k: v for k, v in json.loads(line).items() if k not in TIMED}
        for line in (workdir / "metrics.jsonl").read_text().splitlines()
    ]
    files = {path.name: path.read_bytes() for path in sorted((workdir / "samples").glob("0*"))}
    measured = json.loads(file.read_text()) if (file := workdir / "evaluation.json").is_file() else {}
    return {"digests": metadata["digests"], "data": metadata["data_state"], "lines": told, "samples": files} | measured


def whole(family: str, folder: pathlib.Path) -> dict:
    """The content of the uninterrupted run."""
    run = Run(family, folder / "whole")
    assert run.wait() == 0, run.printed
    return content(folder / "whole")


def mmgen(arguments: list[str]) -> None:
    sys.argv = ["mmgen", *arguments]
    cli.run()
