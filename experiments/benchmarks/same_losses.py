"""Do two checkouts train alike? Five steps of a small copy of every config, compared bit by bit.

    python experiments/benchmarks/same_losses.py record CHECKOUT losses.json     # for both checkouts, on one machine
    python experiments/benchmarks/same_losses.py record . after.json before.json     # only the configs of before.json
    python experiments/benchmarks/same_losses.py compare before.json after.json

`record` stores every metric of every step as a hexadecimal float. Configs of real data need `MMGEN_DATA`. Training runs
on one CPU device, without XLA's optimisations and without warm-up. A config that fails is stored with its error. The
exit code of `compare` is 1 where a config differs or is missing from the second file; of a config that differs, the
largest relative difference of its losses over the steps is printed, beside the names of the metrics that differ.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

STEPS = 5
NUM_CLIPS = 24  # of grid_s1; its 1,000 clips take long to decode
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}


def record(checkout: pathlib.Path, out: pathlib.Path, *only: pathlib.Path) -> None:
    """Runs this file in a process that imports the package and `tests/tiny.py` of the checkout.

    Configs of which `out` has losses are not run again: remove `out` when the checkout has changed.
    """
    path = os.pathsep.join([str(checkout), str(checkout / "tests")])
    command = [
        sys.executable,
        str(pathlib.Path(__file__).absolute()),
        "run",
        *(str(x.absolute()) for x in (out, *only)),
    ]
    subprocess.run(command, env=os.environ | ENVIRONMENT | {"PYTHONPATH": path}, cwd=checkout, check=True)


def run(out: pathlib.Path, *only: pathlib.Path) -> None:
    import tiny

    if hasattr(tiny, "configs"):  # version 0.1
        load = tiny.configs.load
    else:
        from mmgen_jax.config.loading import load
    losses = json.loads(out.read_text()) if out.exists() else {}
    wanted = set(json.loads(only[0].read_text())) if only else set(tiny.references())
    with tempfile.TemporaryDirectory() as folder:
        for reference in [r for r in tiny.references() if r in wanted and not isinstance(losses.get(r), dict)]:
            try:
                config = tiny.shrink(load(reference))
                with config.unlocked():
                    config.parallel.num_devices = 1
                    for optimizer in config.optimizers.values():  # at the full rate, whatever `tiny` leaves of it
                        optimizer.update({name: 0 for name in ("warmup_steps", "hold_steps") if name in optimizer})
                    if config.data.name == "grid_s1":
                        config.data.directory = _few_clips(pathlib.Path(folder))
                _, metrics = tiny.Training(config).run(STEPS)
                losses[reference] = {name: [float(value).hex() for value in values] for name, values in metrics.items()}
            except Exception as error:  # one config must not hide the others
                losses[reference] = f"{type(error).__name__}: {error}"
            print(reference, losses[reference] if isinstance(losses[reference], str) else "", flush=True)
            out.write_text(json.dumps(losses, indent=1, sort_keys=True))


def _few_clips(folder: pathlib.Path) -> str:
    source = pathlib.Path(os.environ["MMGEN_DATA"]) / "grid_s1"
    for kind in ("clips", "alignments"):
        (folder / kind).mkdir(exist_ok=True)
        for file in sorted((source / kind).iterdir())[:NUM_CLIPS]:
            if not (folder / kind / file.name).exists():
                (folder / kind / file.name).symlink_to(file)
    return str(folder)


def compare(before: dict, after: dict) -> int:
    # An error is no result, though the other checkout has the same.
    different = [r for r in before if before[r] != after.get(r) or isinstance(before[r], str)]
    for reference in different:
        print(f"DIFFERS {reference}: {_what(before[reference], after.get(reference, 'is not there'))}")
    print(f"{len(before) - len(different)} of {len(before)} configs train alike, bit by bit, for {STEPS} steps")
    return int(bool(different))


def _what(before, after) -> str:
    if isinstance(before, str) or isinstance(after, str):
        return f"{before if isinstance(before, str) else 'ran'} | {after if isinstance(after, str) else 'ran'}"
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    losses = [name for name in names if name.endswith("/loss")]
    missing = [name for name in losses if name not in before or name not in after]
    pairs = [pair for name in losses if name not in missing for pair in zip(before[name], after[name])]
    found = [_difference(float.fromhex(one), float.fromhex(other)) for one, other in pairs]
    largest = math.inf if missing else max(found, default=0.0)
    return f"losses by {largest:.1e}; {', '.join(sorted(names))}"


def _difference(one: float, other: float) -> float:
    """The difference relative to the larger value; infinite where a value is not finite."""
    finite = math.isfinite(one) and math.isfinite(other)
    return abs(one - other) / max(abs(one), abs(other), 1e-9) if finite else math.inf


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", checkout, out, *only] if len(only) < 2:
            record(pathlib.Path(checkout).absolute(), *map(pathlib.Path, (out, *only)))
        case ["run", *files]:
            run(*map(pathlib.Path, files))
        case ["compare", before, after]:
            sys.exit(compare(*(json.loads(pathlib.Path(file).read_text()) for file in (before, after))))
        case _:
            sys.exit(__doc__)
