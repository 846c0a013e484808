"""progress.py: plain lines in a file, a bar on a terminal."""

import io
import itertools

import jax
import pytest

from mmgen_jax.training import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock is 4 s after the one before."""
    ticks = itertools.count(0, 4)
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(ticks)))


def test_a_file_gets_plain_lines_now_and_then(clock):
    stream = io.StringIO()
    with progress.Progress(1000, 900, stream) as shown:
        for step in range(901, 907):
            shown.update(step, {"loss": 1 / 3})
    lines = stream.getvalue().splitlines()
    # One look a step, and compiling the first one is no part of the rate: 3 steps in 12 s.
    assert lines[0] == "step 904/1000  0.25 steps/s  0:06:24 left  loss 0.3333"
    assert len(lines) == 2 and lines[-1].startswith("step 906/1000") and "\r" not in stream.getvalue()


def test_steps_without_metrics_may_not_have_been_computed_yet(clock):
    stream = io.StringIO()
    with progress.Progress(1000, 0, stream) as shown:
        for step in range(1, 12):
            shown.update(step)
        assert stream.getvalue() == ""
        shown.update(12, {"loss": 1.0})
    assert stream.getvalue() == "step 12/1000  0.25 steps/s  1:05:52 left  loss 1\n"


def test_the_last_step_and_an_early_stop_are_always_shown():
    stream = io.StringIO()
    with progress.Progress(5, 0, stream) as shown:
        for step in range(1, 6):
            shown.update(step)
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == ["step 5/5"]
    stream = io.StringIO()
    with progress.Progress(5, 0, stream) as shown:
        shown.update(2)
    assert stream.getvalue().startswith("step 2/5")
    stream = io.StringIO()
    progress.Progress(5, 5, stream).close()
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_starts_where_the_run_resumes():
    stream = Terminal()
    with progress.Progress(10, 4, stream) as shown:
        shown.update(10, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
        shown.write("saved")
    text = stream.getvalue()
    assert "4/10" in text and "10/10" in text and "saved\n" in text and "\r" in text
    assert "a 1  b 2  c 3" in text and "d 4" not in text


def test_a_compiled_loop_tells_how_far_it_is():
    @jax.jit
    def loop(x):
        def step(i, x):
            progress.report(i + 1, 250)
            return x + 1

        return jax.lax.fori_loop(0, 250, step, x)

    stream = Terminal()
    with progress.watched(stream):
        assert int(loop(0)) == 250 and int(loop(1)) == 251
    text = stream.getvalue()
    assert text.count("250/250") >= 2  # a bar for each loop
    assert int(loop(2)) == 252  # nothing watches
    assert stream.getvalue() == text


def test_a_watcher_closes_its_bar_where_the_loop_stops():
    stream = io.StringIO()
    with pytest.raises(KeyError), progress.watched(stream):
        progress._watchers[-1].update(3, 10)
        raise KeyError
    assert stream.getvalue().startswith("step 3/10") and not progress._watchers
