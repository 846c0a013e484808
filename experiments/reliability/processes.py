"""Faults in one of two processes, and one, two and four processes of one training."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import time

import forks
import several
from forks import HANG

STEPS = "--config.train.steps={}"
# Seconds from the first end to the last: a broken connection is seen at once or after 8 s without a sign of life.
MOST_APART = dict.fromkeys(("SIGKILL", "raise", "SIGTERM", "hang", "damage"), 10)


def processes(count: int, folder: pathlib.Path):
    """Two processes of two devices, one of which fails in a different way each time; then one, two and four processes.

    Two processes share the state by `fsdp`, 5 steps a call; four have all of it, one step a call. Each fault comes two
    epochs (16 steps) after the one before: what hangs is a step, not the first call, for which processes wait longer.

    After every fault the same command is started again, in the same workdir. A fault counts as survived where all
    processes end, those that were not hit with a message, and the run at last has the losses of one process.
    """
    workdir, results = folder / "two", {}
    faults = ("SIGKILL", "raise", "SIGTERM", "SIGSTOP", "hang", "damage")
    harmed = 0  # the step of the damaged checkpoint
    for number, fault in enumerate(faults[: count or None]):
        if fault == "damage":  # of the newest checkpoint, in a file that process 1 alone reads
            harmed = several.harm_what_one_process_reads(workdir)
        own = {"FAULT": fault if fault != "damage" else "", "EPOCH": str(2 + 2 * number), "SLOW": "5"}
        running = several.start(workdir, 2, STEPS.format(100), **own)
        waited = running[:1] if fault == "SIGSTOP" else running  # a process that stands still never ends
        try:
            apart = seconds_apart(running) if fault != "SIGSTOP" else None
            ends = several.ended(waited, HANG)
        except subprocess.TimeoutExpired:
            ends = [(-9, "")]
        for process in running:
            process.kill()
        expected = ends[0][0] == 143 if fault == "SIGTERM" else ends[0][0] not in (0, -9)
        told = re.search("saved|mmgen: process|JAX distributed service|coordination service|Gloo", ends[0][1])
        if fault == "damage":  # process 1 says what it found, and moves the checkpoint aside
            told = told and len(ends) == 2 and f"moved to {workdir}/checkpoints/{harmed}.damaged" in ends[1][1]
        late = ends[0][0] == -9 or (apart is not None and apart > MOST_APART[fault])
        results[fault] = "hang" if late else "" if expected and told else "wrong"
        forks.FIGURES.setdefault("seconds_between_the_ends", {})[fault] = apart
        print(f"{fault}: exit {[code for code, _ in ends]}, {apart} s apart: {ends[0][1][-300:]}")
    last = [several.ended(several.start(workdir, 1, STEPS.format(90)))]
    last += [several.ended(several.start(workdir, 2, STEPS.format(100)))]
    last += [several.ended(several.start(folder / "1", 1, STEPS.format(100)))]
    plain = "--config.parallel.fsdp=1", "--config.train.steps_per_call=1"
    last += [several.ended(several.start(folder / "4", 4, STEPS.format(100), *plain))]
    assert all(code == 0 for ends in last for code, _ in ends), last
    losses = {}
    for name in ("two", "1", "4"):
        told = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        losses[name] = {line["step"]: line["generator/loss"] for line in told if "generator/loss" in line}
    same = {name: same_curve(losses[name], losses["1"]) for name in losses}
    for fault, result in results.items():
        yield f"{fault} to one of two processes", result or ("survived" if same["two"] else "lost")
    yield "two processes, one, and two again", "survived" if same["two"] else "lost"
    yield "four processes", "survived" if same["4"] else "lost"


def seconds_apart(running: list[subprocess.Popen]) -> float:
    """Waits until all processes have ended; the seconds from the first end to the last."""
    deadline, ends = time.monotonic() + HANG, {}
    while len(ends) < len(running) and time.monotonic() < deadline:
        ends |= {
            i: time.monotonic() for i, process in enumerate(running) if i not in ends and process.poll() is not None
        }
        time.sleep(0.1)
    return round(max(ends.values()) - min(ends.values()), 1) if len(ends) == len(running) else float(HANG)


def same_curve(got: dict[int, float], expected: dict[int, float]) -> bool:
    return list(got) == list(expected) and all(abs(got[s] / expected[s] - 1) < 1e-4 for s in expected)
