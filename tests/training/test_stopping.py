"""Ends that are not planned: signals, errors of the data, a failing evaluation. The same command goes on exactly."""

import os
import signal
import threading

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate, train
from mmgen_jax.config.override import override
from mmgen_jax.config.system import open_source
from mmgen_jax.data import pipeline, read_ahead, scenes
from mmgen_jax.data.cache import disk
from mmgen_jax.training import checkpoint, stopping
from mmgen_jax.training.progress import Progress

TIMED = {"steps_per_second", "data_wait", "processor_seconds"}  # metrics that are no function of the config


def config(**fields):
    made = override(tiny.config("vae", steps=6, log_steps=2, checkpoint_steps=100, sample_steps=3), fields)
    with made.unlocked():
        made.parallel.num_devices = 1
        made.train.checkpoint_minutes = 1e-9  # at every log step
        made.evaluators = {"pixels": {"name": "reconstruction"}}
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run: `(workdir, state)`."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, train.train(config(), workdir)


def assert_same_run(workdir, state, whole):
    jax.tree.map(np.testing.assert_array_equal, state, whole[1])
    got, expected = (
        [{k: v for k, v in line.items() if k not in TIMED} for line in tiny.metrics_lines(path)]
        for path in (workdir, whole[0])
    )
    assert got == expected
    assert evaluate.read(workdir) == evaluate.read(whole[0])
    for path in (whole[0] / "samples").iterdir():
        assert (workdir / "samples" / path.name).read_bytes() == path.read_bytes(), path.name


def newest(workdir):
    with checkpoint.Checkpointer(workdir / "checkpoints", create=False) as checkpoints:
        return checkpoints.latest_step()


def at_step(monkeypatch, step, act):
    """Calls `act` once, when the loop shows that `step` is done."""
    update, done = Progress.update, []

    def shown(self, now, metrics=None):
        update(self, now, metrics)
        if now == step and not done:
            done.append(now)
            act()

    monkeypatch.setattr(Progress, "update", shown)


def test_a_signal_saves_and_the_same_command_goes_on(whole, tmp_path, monkeypatch, capsys):
    """At step 3 samples are due; step 5 lies between two log lines."""
    for number, step in ((signal.SIGTERM, 3), (signal.SIGINT, 5)):
        handler = signal.getsignal(number)
        with monkeypatch.context() as patch:
            at_step(patch, step, lambda number=number: os.kill(os.getpid(), number))
            with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as end:
                train.train(config(), tmp_path)
        assert number == signal.SIGINT or end.value.code == 128 + number
        assert f"stopped at step {step}, saved; the same command goes on" in capsys.readouterr().err.splitlines()
        assert newest(tmp_path) == step and signal.getsignal(number) is handler
    assert_same_run(tmp_path, train.train(config(), tmp_path), whole)


def test_a_second_signal_interrupts_at_once_and_saves_nothing(monkeypatch):
    saves = []
    with pytest.raises(SystemExit), stopping.handled() as arm:
        arm()
        with stopping.saved(lambda: saves.append(1), lambda: None, lambda: 1, print):
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(SystemExit):
                stopping.check()
            os.kill(os.getpid(), signal.SIGTERM)  # to the process, and at once to its group: one signal
            assert not stopping.interrupted()
            monkeypatch.setattr(stopping, "TOGETHER", 0.0)
            os.kill(os.getpid(), signal.SIGTERM)
    assert not saves
    stopping.check()  # the flag is gone with the block


def test_where_nothing_is_saved_nothing_is_said_to_be_saved():
    said, saves = [], []
    with pytest.raises(OSError), stopping.saved(lambda: saves.append(1), lambda: None, lambda: 0, said.append):
        raise OSError("no batch")
    assert said == ["stopped before the first step, so nothing is saved"] and not saves


def test_before_the_first_step_a_signal_acts_as_always():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may ignore the signal
    try:
        _interrupt_at_once()
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_at_once():
    with stopping.handled(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 1)


def at_batch(monkeypatch, number, act):
    """Calls `act` before the batch of a number (from 0) is read; the threads read the batches in any order."""
    read, asked, size = scenes.Source.read, config(), config().train.batch_size
    expected = pipeline.at(open_source(asked), number * size, size, asked.seed)["index"]

    def acting(self, indices, epochs):
        if np.array_equal(indices, expected):
            act()
        return read(self, indices, epochs)

    monkeypatch.setattr(scenes.Source, "read", acting)


def test_an_error_of_the_data_loses_no_step(whole, tmp_path, monkeypatch, capsys):
    def fail():
        raise OSError(5, "Input/output error", "share/7.png")

    with monkeypatch.context() as patch:
        at_batch(patch, 4, fail)
        with pytest.raises(OSError, match="Input/output"):
            train.train(config(), tmp_path)
    assert newest(tmp_path) == 4 and "stopped at step 4, saved; the same command goes on" in capsys.readouterr().err
    assert_same_run(tmp_path, train.train(config(), tmp_path), whole)


def test_a_signal_ends_a_run_whose_data_source_hangs(whole, tmp_path, monkeypatch, capsys):
    """The thread that reads cannot be ended; the command ends without it (`commands.process.leaving_what_hangs`)."""
    answer = threading.Event()
    monkeypatch.setattr(read_ahead, "CLOSE_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        at_batch(patch, 4, lambda: answer.wait(600))
        at_step(patch, 4, threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start)
        with pytest.raises(SystemExit):
            train.train(config(), tmp_path)
    step, hung = newest(tmp_path), read_ahead.is_hanging()
    answer.set()
    assert hung and step == 4 and f"stopped at step {step}, saved; the same command goes on" in capsys.readouterr().err
    assert_same_run(tmp_path, train.train(config(), tmp_path), whole)


def test_a_signal_ends_the_wait_for_what_another_process_builds(tmp_path):
    with stopping.handled() as arm, disk.lock(tmp_path / "lock"):
        arm()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(SystemExit), disk.lock(tmp_path / "lock", wait=True):
            pass


@pytest.mark.slow
def test_what_was_due_at_the_last_checkpoint_is_made_up_for(whole, tmp_path, monkeypatch):
    """As after a kill between the last save and what follows."""
    for place, step in (("samples.save_all", 3), ("evaluate.run", 6)):
        with monkeypatch.context() as patch:
            patch.setattr(f"mmgen_jax.train.{place}", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                train.train(config(), tmp_path)
        assert newest(tmp_path) == step
    assert_same_run(tmp_path, train.train(config(), tmp_path), whole)


def test_a_checkpoint_by_the_clock(whole):
    assert sorted(path.name for path in (whole[0] / "checkpoints").iterdir()) == ["4", "6"]


def test_the_command_ends_as_a_scheduler_expects(tmp_path, monkeypatch):
    (tmp_path / "config.py").write_text(
        "from tiny import config\n\n\ndef get_config(arg=''):\n    return config('autoencoder', steps=6)\n"
    )
    at_step(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGHUP))
    code, _, errors = tiny.mmgen("train", f"--config={tmp_path / 'config.py'}", f"--workdir={tmp_path / 'run'}")
    assert code == 129 and "saved; the same command goes on" in errors and "Traceback" not in errors
