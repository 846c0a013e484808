"""A long training: does its memory grow, do files stay open, is anything compiled again, is a line of metrics lost?"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import statistics
import time

import jax
from forks import FIGURES, Fork, newest_line
from systems import config

from mmgen_jax import train

WARM_UP = 4  # tenths of the steps
COMPILATION = "/jax/core/compile/backend_compile_duration"


def long(count: int, folder: pathlib.Path):
    """`count` steps of a small autoencoder: memory, open files, compilations and lines of metrics.

    Memory is the resident set, once a second: the median of each tenth of the steps after the first, and the peak. A
    checkpoint holds a copy of the state and buffers of its writer while it is written, so the peaks are there. The
    first four tenths are warm-up: memory falls once in them.
    """
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
    tenths = [[row for row in seen if row[0] * 10 // count == tenth] for tenth in range(1, 10)]  # the first is warm-up
    memory = [statistics.median(mib for _, mib, _ in rows) for rows in tenths]
    files = [statistics.median(number for _, _, number in rows) for rows in tenths]
    later = [step for step in json.loads((folder / "compiled.json").read_text()) if 0 < step < count]
    steps = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    FIGURES.update(
        steps=count,
        memory_mib=[round(mib, 1) for mib in memory],
        peak_mib=round(max(mib for rows in tenths for _, mib, _ in rows), 1),
        open_files=files,
        compilations_after_the_first_line=len(later),
        lines=len(steps),
    )
    grown = max(memory) / memory[0] - 1
    yield f"memory of {memory[0]:.0f} MiB grows by no more than 2 %", "survived" if grown <= 0.02 else "lost"
    mean = statistics.mean(later_tenths := memory[WARM_UP - 1 :])
    stays = all(abs(mib / mean - 1) <= 0.02 for mib in later_tenths)
    yield f"after {WARM_UP} tenths, memory stays within 2 % of {mean:.0f} MiB", "survived" if stays else "lost"
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
