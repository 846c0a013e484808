"""What a step costs on each of 8 devices: operations, bytes of state, bytes of collectives, beside theory.

    python experiments/benchmarks/layouts.py --append

Compiles the training step of some configs for one device and for 8 virtual CPU devices, in each layout: `jit` with a
replicated state, `fsdp` with a state in 8 parts, and `pmap`. Nothing runs. The numbers are of the compiled program, for
each device:

    gigaflop      operations, as XLA counts them
    state         bytes of parameters, averages and optimizer state
    collective    bytes of the results of collectives, see `collectives` of `training/compiled.py`

Theory: a replicated state sums the gradients, as many bytes as there are trained parameters; a state in parts also
gathers the parameters that it holds in parts, and once more those of a player that was updated before the next player.
On a CPU, XLA sums whole gradients and takes a part of the sum, where other backends scatter the sum; and of parameters
that a loss uses several times (a discriminator, of real and of drawn pictures), it sums the gradient of each use.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import time

NUM = 8
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={NUM}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402  (reads the variables above)
import numpy as np  # noqa: E402

from mmgen_jax.config import loading  # noqa: E402
from mmgen_jax.config.system import build_system, open_source  # noqa: E402
from mmgen_jax.results.lines import FILE, append, commit, hardware  # noqa: E402
from mmgen_jax.runs.workdir import create_state  # noqa: E402
from mmgen_jax.train_step import train_step  # noqa: E402
from mmgen_jax.training import parallel  # noqa: E402
from mmgen_jax.training.compiled import collectives  # noqa: E402

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/layouts"
CONFIGS = ("text_to_image_vae:scenes", "text_to_image_autoregressive:scenes", "text_to_image_gan:scenes")
LAYOUTS = {
    "one": {"mode": "jit", "num_devices": 1},
    "jit": {"mode": "jit", "num_devices": NUM},
    "fsdp": {"mode": "jit", "num_devices": NUM, "fsdp": NUM},
    "pmap": {"mode": "pmap", "num_devices": NUM},
}


def measure(name: str) -> dict[str, float]:
    """The metrics of a config: `<layout>/<number>`."""
    config = loading.load(name)
    source = open_source(config)
    system = build_system(config, source.modalities)
    examples = source.read(np.arange(config.train.batch_size), np.zeros(config.train.batch_size, int))
    metrics: dict[str, float] = {}
    for label, fields in LAYOUTS.items():
        layout = parallel.create(batch_size=config.train.batch_size, **fields)
        state = layout.abstract(functools.partial(create_state, config, system))
        step = functools.partial(train_step, objective=system.objective, optimizers=system.optimizers, seed=0)
        lowered = layout.compile_step(step, state).lower(state, layout.put(examples), system.objective.players)
        compiled = lowered.compile({"xla_backend_optimization_level": 0})  # of machine code, not of the program
        costs = compiled.cost_analysis()
        costs = costs[0] if isinstance(costs, list) else costs
        metrics[f"{label}/gigaflop"] = costs["flops"] / 1e9
        metrics[f"{label}/state"] = layout.bytes_held(state)
        sent = collectives(compiled.as_text())
        metrics |= {f"{label}/{kind}": size for kind, size in sent.items()}
        metrics[f"{label}/collective"] = sum(sent.values())
        trained = {player: state.params[player] for player in system.objective.players}
        metrics["parameters"] = sum(leaf.size * 4 for leaf in jax.tree.leaves(trained))
        if label == "fsdp":
            again = {f"{player} again": trained[player] for player in system.objective.players[:-1]}
            parts = [leaf for leaf in jax.tree.leaves(trained | again) if not leaf.sharding.is_fully_replicated]
            metrics["gathered"] = sum(leaf.size * 4 for leaf in parts)
    return metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", nargs="*", default=CONFIGS)
    parser.add_argument("--append", action="store_true", help="append the numbers to results.jsonl")
    arguments = parser.parse_args()
    for name in arguments.config:
        began = time.monotonic()
        metrics = measure(name)
        print(name, json.dumps(metrics, indent=1), flush=True)
        if arguments.append:
            line = {"experiment": NAME, "config": name, "overrides": {}, "seed": 0, "commit": commit()}
            line |= {"hardware": f"{hardware()}, jax {jax.__version__}", "seconds": round(time.monotonic() - began, 1)}
            append(FOLDER / FILE, line | {"steps": 1, "metrics": metrics})


if __name__ == "__main__":
    main()
