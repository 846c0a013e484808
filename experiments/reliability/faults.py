"""Injects faults into small trainings, and counts which of them lost something.

    python experiments/reliability/faults.py --kind=kill --count=60 --append
    python experiments/reliability/faults.py --kind=all --append           # every kind, with its default count

A run counts as survived where it ends, after the same command was started again, with the state, the position in the
data, the lines of metrics, the samples and the evaluation of the uninterrupted run, bit for bit. Else the count says
what happened: `lost` (something differs or is missing), `hang` (no end within `HANG` seconds), `traceback` (an end
without its one line), `wrong` (an end that claims success with other numbers).

A training (`systems.py`: one of every family) is a fork of this process (`forks.py`). A disk that is full is a small
file system in memory; that kind needs the right to mount one. `hostile`, `long` and `processes` have their own files.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import forks  # sets the variables that jax reads when it is imported
from damage import damage, flips
from forks import Fork, Run, content, mmgen, newest_line, whole
from long import long
from processes import processes
from systems import FAMILIES

from mmgen_jax.results import lines

SHARD = [0, 1]  # of the families: number i of n
# A signal meets the loop, which knows no family; a SIGKILL meets all of a family's state.
SIGNALLED = tuple(FAMILIES)[:6]


def kill(count: int, folder: pathlib.Path):
    """SIGKILL at random moments: several in each run, each after a step that the run had not yet reached."""
    yield from _ended(count, folder, lambda: signal.SIGKILL, lambda number: (-number,))


def signals(count: int, folder: pathlib.Path):
    """SIGTERM, SIGINT and SIGHUP at random moments after the first step."""
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    yield from _ended(count, folder, lambda: random.choice(numbers), lambda number: (128 + number,), SIGNALLED)


def _ended(count: int, folder: pathlib.Path, choose, codes, families=tuple(FAMILIES)):
    shares = [len(range(number, count, len(families))) for number in range(len(families))]
    for family, share in list(zip(families, shares))[SHARD[0] :: SHARD[1]]:
        if not share:
            continue
        (here := folder / family.replace(" ", "_")).mkdir()
        longest = float(forks.FIGURES.get("longest_seconds", 0))  # from a signal to the end of the process
        expected, made = whole(family, here), 0
        while made < share:  # one run after the other, each ended several times
            shutil.rmtree(workdir := here / "ended", ignore_errors=True)
            workdir.mkdir()
            results = []
            while made + len(results) < share:
                run, number = Run(family, workdir), choose()
                if not run.reach(newest_line(workdir) + random.randint(1, 3)):
                    assert run.code == 0, run.printed
                    break  # the run was done before
                time.sleep(random.uniform(0, 0.3))
                run.send(number)
                sent = time.monotonic()
                code = run.wait()
                longest = max(longest, time.monotonic() - sent)
                if code == 0:
                    break  # the run was faster than the signal
                told = number == signal.SIGKILL or one_line_of_a_stop(run.printed)
                results.append("hang" if code is None else "" if code in codes(number) and told else "traceback")
                if results[-1]:
                    print(f"exit {code} after signal {number}: {run.printed[-2000:]}")
            last = Run(family, workdir)
            done = last.wait() == 0
            final = "lost" if not done else "survived" if content(workdir) == expected else "wrong"
            forks.FIGURES["longest_seconds"] = round(longest, 1)
            for result in results:
                yield family, result or final
            made += len(results)


def one_line_of_a_stop(printed: str) -> bool:
    return "Traceback" not in printed and "saved; the same command goes on" in printed


def full(count: int, folder: pathlib.Path):
    """A file system with little space left: the run ends with one line, or goes on without TensorBoard and samples."""
    expected = whole("variational", folder) | {"samples": None}  # of a full disk, samples are given up with a warning
    size = sum(path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file())
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4 * size}", "none", str(disk)], check=True)
    try:
        for number in range(count):
            for path in disk.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            free = shutil.disk_usage(disk).free
            left = int(size * (number + 0.5) / count)
            (disk / "ballast").write_bytes(b"0" * (free - left))
            (disk / "run").mkdir()
            run = Run("variational", disk / "run", folder / "run.txt")
            code = run.wait()
            (disk / "ballast").unlink()
            if code is None or code == 2:
                yield f"{left} bytes left", "hang" if code is None else "traceback"
                continue
            last = Run("variational", disk / "run", folder / "run.txt")
            ok = last.wait() == 0 and content(disk / "run") | {"samples": None} == expected
            yield f"{left} bytes left", "survived" if ok else "lost"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


SWEPT = """
import pathlib
HERE = pathlib.Path(__file__).parent
CONFIG = "from systems import config\\n\\ndef get_config(arg=''):\\n    return config('variational', 12)\\n"

def cells():
    (HERE / "small.py").write_text(CONFIG)
    return [{"label": "small", "config": str(HERE / "small.py"), "seeds": (0, 1, 2)}]
"""


def double(count: int, folder: pathlib.Path):
    """Two trainings in one workdir: the second is refused, the first is not disturbed.

    Then half as many times two sweeps over the same cells: each cell is run once, and has one line.
    """
    for number in range(count // 2):
        (there := folder / f"sweep{number}").mkdir()
        (there / "sweep.py").write_text(SWEPT)
        command = ["sweep", f"--sweep={there / 'sweep.py'}", f"--workdir={there / 'runs'}"]
        first = Fork(lambda command=command: mmgen(command), folder / "first.txt")
        time.sleep(random.uniform(0, 3))
        second = Fork(lambda command=command: mmgen(command), folder / "second.txt")
        codes = first.wait(), second.wait()
        made = [json.loads(line)["seed"] for line in (there / "results.jsonl").read_text().splitlines()]
        ok = codes == (0, 0) and sorted(made) == [0, 1, 2]
        if not ok:
            print(made, first.printed[-800:], second.printed[-800:])
        yield f"two sweeps, exit codes {codes}", "hang" if None in codes else "survived" if ok else "wrong"
    expected = whole("variational", folder)
    for number in range(count):
        (workdir := folder / str(number)).mkdir()
        first = Run("variational", workdir)
        first.reach(random.randint(1, 4))
        second = Run("variational", workdir, folder / "second.txt")
        codes = second.wait(), first.wait()
        ok = codes[0] in (0, 1) and codes[1] == 0 and content(workdir) == expected
        yield f"exit codes {codes}", "hang" if None in codes else "survived" if ok else "lost"


def hostile(count: int, folder: pathlib.Path):
    """Files and command lines of `hostile.py`: each is read, or refused by one line."""
    import hostile as kinds

    for number, case in enumerate(kinds.CASES[: count or None]):
        (here := folder / str(number)).mkdir()
        for arguments, _ in kinds.commands(case, here):
            run = Fork(lambda arguments=arguments: mmgen(arguments), folder / "hostile.txt")
            result = kinds.judged(case, here, run.wait(), run.printed, run.memory)
            if result != "survived":
                print(f"exit {run.code}, {run.memory / 2**20:.0f} MiB: {run.printed[-1500:]!r}")
            yield case.name, result
        shutil.rmtree(here)


KINDS = {"flips": flips, "damage": damage, "kill": kill, "signal": signals, "double": double, "full": full}
KINDS |= {"hostile": hostile, "long": long, "processes": processes}
DEFAULTS = {"flips": 100, "damage": 0, "kill": 60, "signal": 20, "double": 4, "full": 10}
DEFAULTS |= {"hostile": 0, "long": 20_000, "processes": 0}  # 0, of damage too: all; of long: steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Injects faults into small trainings, and counts what they cost.")
    parser.add_argument("--kind", choices=[*KINDS, "all"], required=True)
    parser.add_argument("--count", type=int, default=0, help="faults; 0 is the default of the kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", default="0/1", help="of kill and signal: the families i of n, as i/n")
    parser.add_argument("--append", action="store_true", help="append a line to results.jsonl")
    asked = parser.parse_args()
    if asked.kind == "all":  # each in a process of its own: this one may not use a device before it forks
        for kind in KINDS:
            subprocess.run(
                [sys.executable, __file__, f"--kind={kind}", *(["--append"] if asked.append else [])], check=True
            )
        return
    random.seed(asked.seed)
    SHARD[:] = map(int, asked.shard.split("/"))
    counts, began = collections.Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for what, result in KINDS[asked.kind](asked.count or DEFAULTS[asked.kind], pathlib.Path(folder)):
            counts[result] += 1
            print(f"{asked.kind}: {what}: {result}", flush=True)
    line = {"kind": asked.kind, "injected": counts.total(), "seed": asked.seed, "shard": asked.shard}
    line |= {name: counts[name] for name in ("survived", "lost", "hang", "traceback", "wrong")}
    line |= forks.FIGURES | {
        "seconds": round(time.monotonic() - began),
        "commit": lines.commit(),
        "hardware": lines.hardware(),
    }
    print(json.dumps(line))
    if asked.append:
        lines.append(pathlib.Path(__file__).with_name("results.jsonl"), line)


if __name__ == "__main__":
    main()
