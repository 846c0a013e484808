"""How long a command takes to start, cold and warm, and what huge pages gain.

    python experiments/benchmarks/startup.py --append

Trains the quickstart for some steps as `mmgen train` does, twice in each round with one empty cache: the first run
compiles its programs and keeps them, the second reads them. Time counts from the command to the first line of
`metrics.jsonl`. `mmgen sample` of the run is timed in the same way, to its end. Huge pages: steps per second of two
configs with and without them, in turns, with a warm cache. All numbers are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from mmgen_jax.results.lines import FILE, append, commit, hardware

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/startup"
LEFT_OUT = ("JAX_COMPILATION_CACHE_DIR", "MMGEN_COMPILED", "MMGEN_HUGE_PAGES", "GLIBC_TUNABLES")
STEPS = {"quickstart": 100, "dcgan:digits": 300, "text_to_image_diffusion:digits": 200}
QUIET = ("--config.train.eval_steps=0", "--config.train.sample_steps=0", "--config.evaluators=none")


def command(folder: pathlib.Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """Starts `mmgen` with its own cache in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    kept |= {"MMGEN_COMPILED": str(folder / "compiled")} | environment
    return subprocess.Popen([sys.executable, "-m", "mmgen_jax", *arguments], env=kept, stdout=subprocess.DEVNULL)


def first_step(folder: pathlib.Path, workdir: pathlib.Path, config: str, **environment: str) -> float:
    """Seconds from the command to the first line of metrics; waits for the end of the run."""
    steps = [f"--config.train.steps={STEPS[config]}", "--config.train.log_steps=1"]
    began = time.monotonic()
    process = command(folder, "train", f"--config={config}", f"--workdir={workdir}", *steps, *QUIET, **environment)
    file = workdir / "metrics.jsonl"
    while process.poll() is None and not (file.exists() and file.stat().st_size):
        time.sleep(0.01)
    seconds = time.monotonic() - began
    if process.wait():
        raise SystemExit(f"mmgen train --config={config}: ended with {process.returncode}")
    return seconds


def sampled(folder: pathlib.Path, workdir: pathlib.Path, out: pathlib.Path) -> float:
    """Seconds of `mmgen sample` of 16 pictures."""
    began = time.monotonic()
    if command(folder, "sample", f"--workdir={workdir}", "--text=a large green star", f"--out={out}").wait():
        raise SystemExit("mmgen sample: failed")
    return time.monotonic() - began


def starts(rounds: int) -> dict[str, float]:
    """`{cold, warm}/{first_step_s, sample_s}` of the quickstart."""
    found = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for state in ("cold", "warm"):
                found.setdefault(f"{state}/first_step_s", []).append(first_step(folder, folder / state, "quickstart"))
                found.setdefault(f"{state}/sample_s", []).append(
                    sampled(folder, folder / state, folder / f"{state}_out")
                )
    return {key: round(statistics.median(values), 2) for key, values in found.items()}


def huge_pages(config: str, rounds: int) -> dict[str, float]:
    """`{with, without}/steps_per_second` of the second half of a run, and their ratio `gain`."""
    found = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        first_step(folder, folder / "warm_up", config)
        for i in range(rounds):
            for state, value in (("without", "0"), ("with", "1")):
                workdir = folder / f"{state}_{i}"
                first_step(folder, workdir, config, MMGEN_HUGE_PAGES=value)
                lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
                rates = [line["steps_per_second"] for line in lines if "steps_per_second" in line]
                found[state].append(statistics.median(rates[len(rates) // 2 :]))
    rates = {f"{state}/steps_per_second": round(statistics.median(values), 2) for state, values in found.items()}
    return rates | {"gain": round(rates["with/steps_per_second"] / rates["without/steps_per_second"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    args = parser.parse_args()
    for config in STEPS:
        began = time.monotonic()
        measured = starts(args.rounds) if config == "quickstart" else huge_pages(config, args.rounds)
        measured["load_average"] = round(os.getloadavg()[0], 2)
        line = {"experiment": NAME, "config": config, "overrides": {}, "seed": 0}
        line |= {"commit": commit(), "hardware": hardware(), "seconds": round(time.monotonic() - began, 1), "steps": 0}
        print(config, measured, flush=True)
        if args.append:
            append(FOLDER / FILE, line | {"metrics": measured})


if __name__ == "__main__":
    main()
