"""Does the loader keep up, and what does the loop add? The share of time that real configs wait for data, for each
pass over the data, and the processor time of a step in the loop beside the compiled step alone.

    python experiments/benchmarks/data_wait.py --append

Each config is trained for some passes as by `mmgen train`, with its own batch size; the training loop logs `data_wait`.
The data is decoded into a cache made for the run. Before the first pass the data is dropped from the page cache, so
that the first pass reads from the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator

import jax
import numpy as np

from mmgen_jax import train
from mmgen_jax.config import loading, override
from mmgen_jax.config.system import open_source
from mmgen_jax.data.cache import arrays
from mmgen_jax.results.lines import FILE, append, commit, hardware
from mmgen_jax.train_step import active_players, train_step
from mmgen_jax.training import metric_writer

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/data_wait"
CONFIGS = ("configs/dcgan.py:digits", "configs/text_to_image_gan.py:emoji", "configs/video_recognition.py:grid_s1")
DECODED_AT_ONCE = ("prepared", "tfds")  # folders of `mmgen prepare-data` in the cache, which are not made again


def measure(reference: str, epochs: int) -> dict[str, float]:
    """`epoch_<i>/{data_wait, wait_s, step_ms}`, `decoding_s` and `load_average` of a run of `epochs` passes.

    Also milliseconds of processor time of a step, `loop/processor_ms` in the last pass, with the reading of its batch,
    and `bare/processor_ms` alone.
    """
    with tempfile.TemporaryDirectory() as folder, _fresh_cache(pathlib.Path(folder) / "cache") as cache:
        config = loading.load(str(FOLDER.parent.parent / reference))
        began = time.monotonic()
        size = len(open_source(config))
        decoding = time.monotonic() - began
        steps = round(size / config.train.batch_size)  # of a pass
        changes = dict.fromkeys(("log_steps", "checkpoint_steps"), steps) | {"steps": epochs * steps, "sample_steps": 0}
        config = override.override(config, {f"train.{key}": value for key, value in changes.items()})
        with config.unlocked():
            config.evaluators = {}
        _forget(cache)
        train.train(config, pathlib.Path(folder) / "run")
        bare = bare_step(config)
        lines = [line for line in metric_writer.read(pathlib.Path(folder) / "run") if "data_wait" in line]
    measured = {"decoding_s": round(decoding, 1), "load_average": round(os.getloadavg()[0], 2)}
    measured["bare/processor_ms"] = round(bare, 2)
    measured["loop/processor_ms"] = round(1000 * lines[-1]["processor_seconds"] / steps, 2)
    for epoch, line in enumerate(lines, 1):
        seconds = 1 / line["steps_per_second"]
        measured[f"epoch_{epoch}/data_wait"] = round(line["data_wait"], 5)
        measured[f"epoch_{epoch}/wait_s"] = round(line["data_wait"] * seconds * steps, 3)
        measured[f"epoch_{epoch}/step_ms"] = round(1000 * seconds, 1)
    return measured


def bare_step(config, rounds: int = 7, repeats: int = 20) -> float:
    """Milliseconds of processor time of the compiled step on one batch that stays on the device; median of rounds."""
    ready = train.prepare(config)
    state, size = ready.layout.init(ready.create), config.train.batch_size
    batch = ready.layout.put(ready.source.read(np.arange(size), np.zeros(size, int)))
    fields = {"objective": ready.system.objective, "optimizers": ready.system.optimizers}
    step = functools.partial(train_step, **fields, seed=config.seed, augment=ready.system.augment)
    step, found = ready.layout.compile_step(step, state), []
    players = active_players(0, ready.system.optimizers, ready.system.objective.players)
    for _ in range(rounds + 1):  # the first compiles
        began = time.process_time()
        for _ in range(repeats):
            state, metrics = step(state, batch, players)
        jax.block_until_ready((state, metrics))
        found.append(1000 * (time.process_time() - began) / repeats)
    return statistics.median(found[1:])


@contextlib.contextmanager
def _fresh_cache(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A context in which `$MMGEN_CACHE` is an empty folder with links to the prepared sets."""
    before = os.environ.get("MMGEN_CACHE")
    folder.mkdir()
    for name in DECODED_AT_ONCE:
        if (arrays.cache_dir() / name).exists():
            (folder / name).symlink_to((arrays.cache_dir() / name).resolve())
    os.environ["MMGEN_CACHE"] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop("MMGEN_CACHE")
        if before is not None:
            os.environ["MMGEN_CACHE"] = before


def _forget(folder: pathlib.Path) -> None:
    """Drops the files of a folder from the page cache. Files are written to the disk first, as the drop requires."""
    for root, _, files in os.walk(folder, followlinks=True):
        for file in files:
            descriptor = os.open(os.path.join(root, file), os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3, help="passes over the data, at least 2")
    parser.add_argument("--only", default="", help="measure the configs whose name contains this")
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    args = parser.parse_args()
    for reference in [config for config in CONFIGS if args.only in config]:
        began = time.monotonic()
        measured = measure(reference, args.epochs)
        jax.clear_caches()
        line = {"experiment": NAME, "config": reference, "overrides": {}, "seed": 0, "commit": commit()}
        line |= {"hardware": hardware(), "seconds": round(time.monotonic() - began, 1), "steps": 0}
        print(reference, measured, flush=True)
        if args.append:
            append(FOLDER / FILE, line | {"metrics": measured})


if __name__ == "__main__":
    main()
