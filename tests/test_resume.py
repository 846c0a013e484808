"""A run that is killed and started again ends bitwise where the uninterrupted one does."""

import functools
import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from tiny import Training, metrics_lines

from mmgen_jax.config import loading
from mmgen_jax.data import pipeline
from mmgen_jax.runs.workdir import create_state
from mmgen_jax.training import checkpoint, parallel

STEPS, CHECKPOINT_STEPS = 48, 6
CONFIG = f"""
import sys
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
from tiny import config

ARGUMENTS = ("gan", "vae", "autoencoder")

def get_config(arg):
    return config(arg, steps={STEPS}, checkpoint_steps={CHECKPOINT_STEPS})
"""
TIMED = {"steps_per_second", "data_wait", "processor_seconds"}  # metrics that are no function of the config
ENVIRONMENT = os.environ | {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",  # all but the first process load what it compiled
    "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"),
    "PYTHONPATH": os.pathsep.join(sys.path),
}


class Run:
    """`mmgen train` in a process of its own."""

    def __init__(self, reference: str, workdir: pathlib.Path):
        self.workdir = workdir
        self._output = workdir.with_suffix(".txt")  # no pipe: it would have to be read all the time
        command = [sys.executable, "-m", "mmgen_jax", "train", f"--config={reference}", f"--workdir={workdir}"]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT)

    def finish(self) -> str:
        """What it printed."""
        assert self._process.wait(timeout=300) == 0, self._printed()
        return self._printed()

    def kill_after(self, step: int) -> None:
        """SIGKILL at a random moment soon after `step`."""
        deadline = time.monotonic() + 300
        while last_step(self.workdir) < step:
            assert self._process.poll() is None and time.monotonic() < deadline, self._printed()
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.02))
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL, self._printed()

    def _printed(self) -> str:
        return self._output.read_text()


def last_step(workdir: pathlib.Path) -> int:
    """The newest step in metrics.jsonl, which has a line for each."""
    file = workdir / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def end_state(config, workdir: pathlib.Path):
    """`(state, data_state)` of the newest checkpoint."""
    system = Training(config).system
    layout = parallel.create("jit", batch_size=8, num_devices=1)
    with checkpoint.Checkpointer(workdir / "checkpoints", create=False) as checkpoints:
        assert checkpoints.latest_step() == STEPS
        return checkpoints.restore(STEPS, layout.abstract(functools.partial(create_state, config, system)))


def bits(tree) -> dict[str, tuple]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): (leaf.dtype, leaf.shape, np.asarray(leaf).tobytes()) for path, leaf in leaves}


@pytest.mark.parametrize(
    "family", ["autoencoder", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vae", "gan"))]
)
def test_killed_twice_and_started_again_is_bitwise_the_uninterrupted_run(family, tmp_path):
    (tmp_path / "config.py").write_text(CONFIG)
    reference = f"{tmp_path / 'config.py'}:{family}"
    config = loading.load(reference)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    Run(reference, whole).finish()
    killed_after = []
    for number in (1, 2):
        # Beyond what the last one wrote, so that it is this one that gets there. A checkpoint is written beside the
        # steps that follow: the first kill may come before there is one, but the second checkpoint waits for the first.
        Run(reference, killed).kill_after(max(last_step(killed), number * CHECKPOINT_STEPS) + random.randint(1, 9))
        killed_after.append(last_step(killed))
    assert "resuming at step" in Run(reference, killed).finish()

    (expected, expected_data), (got, got_data) = end_state(config, whole), end_state(config, killed)
    for part in ("step", "params", "stats", "opt", "ema"):
        assert bits(getattr(got, part)), f"{part} is empty: {family} is meant to have some"
        assert bits(getattr(got, part)) == bits(getattr(expected, part)), f"{part}, killed after steps {killed_after}"

    assert got_data == expected_data
    batches = pipeline.batches(Training(config).source, batch_size=8, seed=config.seed)
    following = next(itertools.islice(batches, STEPS, None))
    batches.set_state(got_data)
    assert bits(next(batches)) == bits(following)

    lines = [{k: v for k, v in line.items() if k not in TIMED} for line in metrics_lines(killed)]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines == [{k: v for k, v in line.items() if k not in TIMED} for line in metrics_lines(whole)]
