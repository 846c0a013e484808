"""Injects faults into small trainings, and counts which of them lost something.

    python experiments/reliability/faults.py --kind=kill --count=60 --append
    python experiments/reliability/faults.py --kind=all --append           # every kind, with its default count

A run counts as survived where it ends, after the same command was started again, with the state, the position in the
data, the lines of metrics, the samples and the evaluation of the uninterrupted run, bit for bit. Else the count says
what happened: `lost` (something differs or is missing), `hang` (no end within `HANG` seconds), `traceback` (an end
without its one line), `wrong` (an end that claims success with other numbers).

A training (`systems.py`: one of every family) is a fork of this process, which has imported all and used no device; XLA
does not optimise, so that a program compiles fast. A disk that is full is a small file system in memory; that kind
needs the right to mount one. `hostile` and `processes` have their cases in files of their own.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
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

import jax  # noqa: E402  (the variables above are read when jax is imported)
from systems import FAMILIES, config  # noqa: E402

from mmgen_jax import cli, train  # noqa: E402
from mmgen_jax.errors import MmgenError  # noqa: E402
from mmgen_jax.results import lines  # noqa: E402

HANG = 900  # seconds
STEPS = 12
SHARD = [0, 1]  # of the families: number i of n
SIGNALLED = tuple(FAMILIES)[
    :6
]  # a signal meets the loop, which knows no family; a SIGKILL meets all of a family's state
COMPILATION = "/jax/core/compile/backend_compile_duration"
MORE: dict[str, object] = {}  # figures of a kind beside its counts
TIMED = {"steps_per_second", "data_wait", "processor_seconds"}
DEFAULTS = {"kill": 60, "signal": 20, "full": 10, "double": 4}


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

    def __init__(self, family: str, workdir: pathlib.Path, output: pathlib.Path | None = None):
        self.workdir = workdir
        output = output or workdir.with_name(workdir.name + ".txt")
        fields = {"checkpoint_steps": 3, "sample_steps": 6}
        super().__init__(lambda: train.train(config(family, STEPS, **fields), workdir), output)

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
                code = run.wait()
                if code == 0:
                    break  # the run was faster than the signal
                results.append("hang" if code is None else "" if code in codes(number) else "traceback")
                if results[-1]:
                    print(f"exit {code} after signal {number}: {run.printed[-2000:]}")
            last = Run(family, workdir)
            done = last.wait() == 0
            final = "lost" if not done else "survived" if content(workdir) == expected else "wrong"
            for result in results:
                yield family, result or final
            made += len(results)


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


def double(count: int, folder: pathlib.Path):
    """Two trainings in one workdir: the second is refused, the first is not disturbed."""
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


def mmgen(arguments: list[str]) -> None:
    sys.argv = ["mmgen", *arguments]
    cli.run()


def processes(count: int, folder: pathlib.Path):
    """Two processes of two devices, one of which fails in a different way each time; then one, two and four processes.

    Two processes share the state by `fsdp`, 5 steps a call; four have all of it, one step a call.

    After every fault the same command is started again, in the same workdir. A fault counts as survived where all
    processes end, those that were not hit with a message, and the run at last has the losses of one process.
    """
    import several

    workdir, results = folder / "two", {}
    for fault in ("SIGKILL", "raise", "SIGTERM", "SIGSTOP", "hang")[: count or None]:
        running = several.start(workdir, 2, FAULT=fault, SLOW="5")
        waited = running[:1] if fault == "SIGSTOP" else running  # a process that stands still never ends
        began = time.monotonic()
        try:
            ends = several.ended(waited, HANG)
        except subprocess.TimeoutExpired:
            ends = [(-9, "")]
        for process in running:
            process.kill()
        expected = ends[0][0] == 143 if fault == "SIGTERM" else ends[0][0] not in (0, -9)
        results[fault] = "" if expected and ends[0][1].strip() else "hang" if ends[0][0] == -9 else "wrong"
        print(f"{fault}: exit {[code for code, _ in ends]} after {time.monotonic() - began:.0f} s: {ends[0][1][-300:]}")
    last = [several.ended(several.start(workdir, 1, "--config.train.steps=20"))]
    last += [several.ended(several.start(workdir, 2))]
    last += [several.ended(several.start(folder / "1", 1))]
    plain = "--config.parallel.fsdp=1", "--config.train.steps_per_call=1"
    last += [several.ended(several.start(folder / "4", 4, *plain))]
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


def same_curve(got: dict[int, float], expected: dict[int, float]) -> bool:
    return list(got) == list(expected) and all(abs(got[s] / expected[s] - 1) < 1e-4 for s in expected)


def long(count: int, folder: pathlib.Path):
    """`count` steps of a small autoencoder: memory, open files, compilations and lines of metrics."""
    workdir, every = folder / "long", max(count // 2000, 1)

    def trained() -> None:
        compiled_at = []  # the step of the newest line at each compilation
        jax.monitoring.register_event_duration_secs_listener(
            lambda event, *_, **__: compiled_at.append(newest_line(workdir)) if event == COMPILATION else None
        )
        train.train(small(count, every), workdir)
        (folder / "compiled.json").write_text(json.dumps(compiled_at))

    run, seen = Fork(trained, folder / "long.txt"), []
    while not run.ended():
        if step := newest_line(workdir):
            with contextlib.suppress(OSError, IndexError):  # it has just ended
                status = pathlib.Path(f"/proc/{run.pid}/status").read_text()
                kib = int(status.partition("VmRSS:")[2].split()[0])
                seen.append((step, kib / 1024, len(os.listdir(f"/proc/{run.pid}/fd"))))
        time.sleep(1)
    assert run.code == 0, run.printed
    warm = [(memory, files) for step, memory, files in seen if count // 10 <= step < count]
    memory, files = [m for m, _ in warm], [f for _, f in warm]
    later = [step for step in json.loads((folder / "compiled.json").read_text()) if 0 < step < count]
    steps = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    MORE.update(
        steps=count,
        memory_mib=[round(m, 1) for m in (memory[0], min(memory), max(memory))],
        open_files=[min(files), max(files)],
        compilations_after_the_first_line=len(later),
        lines=len(steps),
    )
    within = max(abs(m / memory[0] - 1) for m in memory) <= 0.02
    yield f"memory of {memory[0]:.0f} MiB stays within 2 %", "survived" if within else "lost"
    yield "the number of open files does not grow", "survived" if files[-1] <= files[0] else "lost"
    yield "nothing is compiled after the first line", "lost" if later else "survived"
    yield "every line of metrics is there", "survived" if steps == [*range(every, count + 1, every)] else "lost"


def small(steps: int, every: int):
    made = config("reconstruction", steps, log_steps=every, checkpoint_steps=steps // 10, batch_size=2)
    made = made.copy_and_resolve_references().unlock()
    made.data = {"name": "small_digits", "names": ("image",), "image_size": 16}
    made.generator.norm = made.target_encoder.norm = "none"
    made.train.num_samples, made.evaluators = 2, {}
    return made.lock()


def flips(count: int, folder: pathlib.Path):
    """One flipped bit in a random file of the newest checkpoint: the same state, or that of the checkpoint before."""
    yield from _damaged(count, folder, {"flip": _flip})


def damage(count: int, folder: pathlib.Path):
    """Files of the newest checkpoint cut off, emptied, removed, exchanged, or filled with noise."""
    yield from _damaged(count, folder, HARMS)


def _flip(file: pathlib.Path) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        file.write_bytes(data)


HARMS = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[: random.randrange(max(file.stat().st_size, 1))]),
    "empty": lambda file: file.write_bytes(b""),
    "remove": lambda file: file.unlink(),
    "noise": lambda file: file.write_bytes(os.urandom(file.stat().st_size)),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"0" * 100),
}


def _damaged(count: int, folder: pathlib.Path, harms):
    import jax.numpy as jnp
    import numpy as np

    from mmgen_jax.training.checkpoint import Checkpointer

    def state(step):
        return {"w": jnp.arange(3000, dtype=jnp.float32) * step, "b": jnp.full(7, step, jnp.bfloat16)}

    with Checkpointer(folder / "saved") as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, state(step), {"next_index": step})
    abstract = jax.eval_shape(lambda: state(1))
    for number in range(count):
        copy = shutil.copytree(folder / "saved", folder / "copy", dirs_exist_ok=False)
        name = list(harms)[number % len(harms)]
        file = random.choice([path for path in (copy / "20").rglob("*") if path.is_file()])
        harms[name](file)
        try:
            with Checkpointer(copy) as checkpoints:
                found = checkpoints.restore_newest(abstract)
            assert found is not None
            step, tree, data_state = found
            same = jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), tree, state(step))
            right = all(jax.tree.leaves(same)) and data_state == {"next_index": step}
            yield f"{name} {file.name}", "survived" if right else "wrong"
        except Exception as error:
            print(f"{name} {file.name}: {type(error).__name__}: {error}")
            yield f"{name} {file.name}", "lost"
        shutil.rmtree(copy)


KINDS = {"flips": flips, "damage": damage, "kill": kill, "signal": signals, "double": double, "full": full}
KINDS |= {"hostile": hostile, "long": long, "processes": processes}
DEFAULTS |= {"flips": 100, "damage": 28, "hostile": 0, "long": 20_000, "processes": 0}  # 0: all; of long: steps


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
    line |= MORE | {"seconds": round(time.monotonic() - began), "commit": lines.commit(), "hardware": lines.hardware()}
    print(json.dumps(line))
    if asked.append:
        lines.append(pathlib.Path(__file__).with_name("results.jsonl"), line)


if __name__ == "__main__":
    main()
