"""Normalisation layers with their gradients, beside flax's layers of the same function.

    taskset -c 0 python experiments/benchmarks/normalisation.py --append

Each layer is followed by a SiLU; gradients are of the input, the scale and the bias. Both programs run in turns in each
round; a number is the median over the rounds, in milliseconds of processor time.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.networks.layers import normalisation
from mmgen_jax.results.lines import FILE, append, commit, hardware

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/normalisation"
SHAPES = ((256, 16, 16, 16), (256, 8, 8, 32), (256, 4, 4, 64), (32, 28, 28, 64), (32, 14, 14, 128))
LAYERS = {
    "group": (lambda groups: nn.GroupNorm(groups), lambda groups: normalisation.GroupNorm(groups)),
    "batch": (
        lambda groups: nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5),
        lambda groups: normalisation.BatchNorm(use_running_average=False),
    ),
}


def program(layer: nn.Module, x: np.ndarray, weights: np.ndarray):
    """A compiled function without arguments: the layer's output and its gradients."""
    variables = layer.init(jax.random.key(0), x)

    def loss(variables, x):
        y, _ = layer.apply(variables, x, mutable=["batch_stats"])
        return jnp.sum(nn.silu(y) * weights)

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(variables, x).compile()
    return lambda: jax.block_until_ready(compiled(variables, x))


def measure(programs, rounds: int) -> dict[str, float]:
    """`{"<program>/{wall, processor}_ms": median over the rounds}`."""
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, run in programs.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            if number:  # the first round warms up
                found.setdefault(f"{name}/wall_ms", []).append(1e3 * (time.perf_counter() - wall))
                found.setdefault(f"{name}/processor_ms", []).append(1e3 * (time.process_time() - processor))
    return {name: round(statistics.median(values), 3) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    for kind, layers in LAYERS.items():
        for shape in SHAPES:
            x, weights = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
            groups = min(32, shape[-1])
            began = time.monotonic()
            programs = {name: program(make(groups), x, weights) for name, make in zip(("flax", "ours"), layers)}
            metrics = measure(programs, arguments.rounds) | {"load_average": round(os.getloadavg()[0], 2)}
            config = f"{kind} {'x'.join(map(str, shape))}"
            print(config, metrics, flush=True)
            if arguments.append:
                line = {"experiment": NAME, "config": config, "overrides": {}, "seed": 0, "commit": commit()}
                line |= {"hardware": f"{hardware()}, jax {jax.__version__}"}
                line |= {"seconds": round(time.monotonic() - began, 1), "steps": arguments.rounds, "metrics": metrics}
                append(FOLDER / FILE, line)


if __name__ == "__main__":
    main()
