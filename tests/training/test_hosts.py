"""Two processes with two devices each, on loopback, are one process with four; they end together and resume exactly."""

import json
import random
import re
import signal

import numpy as np
import pytest
import tiny
from several import ended, harm_what_one_process_reads, start

from mmgen_jax import train
from mmgen_jax.config import loading
from mmgen_jax.config.override import override
from mmgen_jax.data import pipeline
from mmgen_jax.errors import ConfigError
from mmgen_jax.training import hosts, parallel


def losses(workdir):
    return {line["step"]: line["generator/loss"] for line in tiny.metrics_lines(workdir) if "generator/loss" in line}


# What a process prints whose peer is gone: its own line, or JAX's.
TOLD = "mmgen: process|JAX distributed service|coordination service|Gloo"


def resumed(printed: str) -> int:
    """The step at which a run goes on."""
    found = re.search(r"resuming at step (\d+)", printed)
    return int(found[1]) if found else 0


def test_two_processes_are_one_and_end_together_and_resume(tmp_path):
    """`fsdp` over both processes, 5 steps a call; an error in one."""
    few = "--config.train.steps=30", "--config.train.checkpoint_steps=10"
    results = ended(start(tmp_path / "two", 2, *few, FAULT="raise", EPOCH="2"))
    assert all(code not in (0, None) for code, _ in results), results
    assert "process 1 of 2: OSError: [Errno 5] Input/output error: 'share/7.png'; all processes end" in results[1][1]
    assert re.search(TOLD, results[0][1]), results[0][1]

    results = ended(start(tmp_path / "two", 2, *few))
    assert [code for code, _ in results] == [0, 0] and 10 <= resumed(results[0][1]) < 30, results
    # Of the second process, the collectives and JAX alone print.
    assert not re.search("step|config|data:", results[1][1].replace("JAX", "")) and "4 × cpu in 2" in results[0][1]
    assert_is_one_run(tmp_path, *few)


def assert_is_one_run(folder, *changes):
    """The run in `folder/two` has the losses and the evaluation of one process."""
    fields = dict(change.removeprefix("--config.").split("=") for change in changes)
    train.train(override(loading.load(str(folder / "two.py")), fields), folder / "one")
    got, expected = losses(folder / "two"), losses(folder / "one")
    assert list(got) == list(expected) == list(range(5, int(fields.get("train.steps", 60)) + 1, 5))
    np.testing.assert_allclose(list(got.values()), list(expected.values()), rtol=1e-4)
    entries = [json.loads((folder / name / "evaluation.json").read_text())["metrics"] for name in ("two", "one")]
    assert {name: entry["n"] for name, entry in entries[0].items()} == {
        name: entry["n"] for name, entry in entries[1].items()
    }


@pytest.mark.slow
def test_two_processes_end_together_by_a_signal_and_where_one_hangs(tmp_path):
    """The run goes on in one process, then in two."""
    results = ended(start(tmp_path / "two", FAULT="SIGTERM", SLOW="3"))
    assert [code for code, _ in results] == [143, 143], results
    assert re.search(r"stopped at step \d+, saved; the same command goes on", results[0][1])

    results = ended(start(tmp_path / "two", FAULT="hang"))
    assert all(code not in (0, None) for code, _ in results) and resumed(results[0][1]) >= 5, results
    late = "process 1 has not come to the next step within 15 s (parallel.wait_seconds=15): look at its"
    assert f"process 0 of 2: MmgenError: {late}" in results[0][1]
    step = harm_what_one_process_reads(tmp_path / "two")
    results = ended(start(tmp_path / "two"))
    assert all(code not in (0, None) for code, _ in results), results
    told = f"process 1 of 2: CheckpointError: .*/{step}: is damaged: .*, in a part that not all processes read"
    assert re.search(f"{told}; moved to .*/{step}.damaged, and the same command goes on", results[1][1]), results[1][1]
    ((code, printed),) = ended(start(tmp_path / "two", 1, "--config.train.steps=55"))
    assert code == 0 and resumed(printed) == step - 5 < 55, printed
    results = ended(start(tmp_path / "two"))
    assert [code for code, _ in results] == [0, 0] and resumed(results[0][1]) == 55, results
    assert_is_one_run(tmp_path)


@pytest.mark.slow
def test_two_processes_without_fsdp_end_as_one_that_is_killed_stopped_or_interrupted(tmp_path):
    """`jit` with the state in each device; a signal meets a step, or the evaluation. The run ends like one process.

    At last the processes are tasks of SLURM, and one of them trains a judge.
    """
    plain = "--config.parallel.fsdp=1", "--config.train.steps_per_call=1", "--config.train.eval_steps=10"

    killed = ended(start(tmp_path / "two", 2, *plain, FAULT="SIGKILL", EPOCH="3"))
    assert killed[1][0] == -signal.SIGKILL and killed[0][0] not in (0, None), killed
    assert re.search(TOLD, killed[0][1]), killed[0][1]

    running = start(tmp_path / "two", 2, *plain, FAULT="SIGSTOP", EPOCH="5")
    try:
        ((code, printed),) = ended(running[:1])  # the process that stands still does not end
        assert code not in (0, None) and resumed(printed) >= 5 and re.search(TOLD, printed), printed
    finally:
        running[1].kill()

    results = ended(start(tmp_path / "two", 2, *plain, IN_EVALUATION="SIGINT"))
    assert [code for code, _ in results] == [143, 130] and resumed(results[0][1]) >= 10, results
    step = re.search(r"stopped at step (\d+), saved; the same command goes on", results[0][1])
    assert step and int(step[1]) % 10 == 0, results[0][1]

    endless = dict(JUDGE=str(10**8), MMGEN_CACHE=str(tmp_path / "endless"))
    results = ended(start(tmp_path / "two", 2, *plain, IN_JUDGE="SIGTERM", **endless))
    assert [code for code, _ in results] == [143, 143], results
    assert sum(printed.count("a judge is trained") for _, printed in results) == 1
    assert f"stopped at step {step[1]}, saved; the same command goes on" in results[0][1]

    cache, job = str(tmp_path / "cache"), str(random.randint(1, 60_000))  # a port follows from the job's number
    results = ended(start(tmp_path / "two", 2, *plain, JUDGE="2", MMGEN_CACHE=cache, SLURM_JOB_ID=job))
    assert all(code == 0 and "embeddings (4, " in printed for code, printed in results), results
    assert sum(printed.count("a judge is trained") for _, printed in results) == 1
    assert resumed(results[0][1]) == int(step[1])
    assert_is_one_run(tmp_path, *plain)


@pytest.mark.parametrize("steps", [1, 5])
def test_a_batch_does_not_depend_on_the_number_of_processes(steps):
    class Source:
        def __len__(self):
            return 37

        def read(self, indices, epochs):
            return {"index": indices, "epoch": epochs}

    def first(**fields):
        batches = pipeline.batches(Source(), batch_size=4 * steps, seed=1, num_threads=0, steps=steps, **fields)
        return [next(batches) for _ in range(12)]

    whole = first()
    parts = [first(process_index=number, process_count=2) for number in range(2)]
    for batch, *own in zip(whole, *parts):
        for name in batch:
            rows = [part[name].reshape(steps, 2) for part in own]
            np.testing.assert_array_equal(np.concatenate(rows, axis=1).ravel(), batch[name])


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (("", 2, 0), "expected --coordinator=HOST:PORT beside them"),
        (("host", 2, 0), "expected HOST:PORT of process 0, or auto, got 'host'"),
        (("host:80", None, 0), "expected --num_processes=N"),
        (("host:80", 2, 2), "--process_id: expected 0 to 1, got 2"),
    ],
)
def test_an_address_that_is_not_whole_is_refused(arguments, expected):
    with pytest.raises(ConfigError, match=expected):
        hosts.connect(*arguments)


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"mode": "pmap"}, "pmap is for one process, got 2 processes; use parallel.mode=jit"),
        ({"mode": "jit", "num_devices": 3}, "parallel.num_devices: expected a multiple of the 2 processes, got 3"),
    ],
)
def test_layouts_that_processes_cannot_share_are_refused(fields, expected, monkeypatch):
    monkeypatch.setattr("jax.process_count", lambda: 2)
    with pytest.raises(ConfigError, match=expected):
        parallel.create(batch_size=8, **fields)
