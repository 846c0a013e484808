"""Sampling with a cache beside the whole network for every token: the time of each on the same machine.

    PYTHONPATH=. taskset -c 0 python experiments/benchmarks/decoding.py --append

`cached` is the sampler of `mmgen sample`. `uncached` applies the network to the whole sequence for each token, as a
sampler without a cache has to where shapes are static; `--steps` of its tokens are timed, and multiplied. Before the
times, both take the most probable token `--steps` times, and must agree. PyTorch's sampler with a cache is in
`peers.py` (rows `transformer_sampling`, `wavenet_sampling`).
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time

from mmgen_jax.commands import process

process.prepare(["decoding", "train"])  # huge pages; before JAX is loaded

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from peers import Ours, Row, measure  # noqa: E402

from mmgen_jax.objectives.parts import decoding  # noqa: E402
from mmgen_jax.objectives.parts.apply import apply  # noqa: E402
from mmgen_jax.results.lines import FILE, append, commit, hardware  # noqa: E402

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/decoding"
PLAIN = {"objective.guidance": 1.0, "objective.top_p": 1.0}
ROWS = {
    "transformer, 1,024 codes": Row("text_to_image_autoregressive:scenes", "", {"data.image_size": 128} | PLAIN),
    "WaveNet, 8,000 samples": Row("vocoder_wavenet:digits", "", {"data.audio_seconds": 1.0}),
}


def samplers(row: Row, size: int, steps: int, temperature: float):
    """`(number of tokens, cached, uncached)`; each sampler gives ids, `uncached` the first `steps` only."""
    ours = Ours(Row(row.config, "", row.changes, {}, "sample", size))
    objective, state = ours.system.objective, ours.state()
    length, batch = objective.discrete().length, ours.layout.put(ours.batch)

    @jax.jit
    def cached(params, collections, batch, rng, num):
        cache = apply(objective.network, "generator", params, collections, batch, method="init_cache")

        def step(cache, token, position):
            return apply(objective.network, "generator", params, collections, cache, token, position, method="step")

        return decoding.draw(step, cache, jax.random.split(rng, size), len(num), None, temperature)

    @jax.jit
    def uncached(params, collections, batch, rng):
        def body(ids, position):
            logits = apply(objective.network, "generator", params, collections, batch, ids)[:, position]
            drawn = jax.random.categorical(jax.random.fold_in(rng, position), logits / (temperature or 1.0))
            token = drawn if temperature else jnp.argmax(logits, axis=-1)
            return ids.at[:, position].set(token.astype(jnp.int32)), None

        ids, _ = jax.lax.scan(body, jnp.zeros((size, length), jnp.int32), jnp.arange(steps))
        return ids[:, :steps]

    own = state.params, state.collections, batch, jax.random.key(0)
    run = {
        "cached": lambda num=length: jax.block_until_ready(cached(*own, np.zeros(num))),
        "uncached": lambda: jax.block_until_ready(uncached(*own)),
    }
    return length, run["cached"], run["uncached"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4, help="sequences at once")
    parser.add_argument("--steps", type=int, default=16, help="tokens of the sampler without a cache")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    args = parser.parse_args()
    for name, row in ROWS.items():
        began = time.monotonic()
        _, cached, uncached = samplers(row, args.size, args.steps, 0.0)
        if not np.array_equal(cached(args.steps), uncached()):
            raise SystemExit(f"{name}: the most probable tokens with and without a cache differ")
        length, cached, uncached = samplers(row, args.size, args.steps, 1.0)
        metrics = measure({"cached": cached, "uncached": uncached}, args.rounds, 0.5)
        for clock in ("wall", "processor"):
            metrics[f"uncached/{clock}_ms"] = round(metrics[f"uncached/{clock}_ms"] * length / args.steps, 1)
            metrics[f"{clock}_ratio"] = round(metrics[f"uncached/{clock}_ms"] / metrics[f"cached/{clock}_ms"], 1)
        metrics |= {"tokens": length, "sequences": args.size, "load_average": round(os.getloadavg()[0], 2)}
        print(name, metrics, flush=True)
        line = {"experiment": NAME, "config": name, "overrides": {}, "seed": 0, "commit": commit()}
        line |= {"hardware": f"{hardware()}, jax {jax.__version__}", "seconds": round(time.monotonic() - began, 1)}
        if args.append:
            append(FOLDER / FILE, line | {"steps": args.rounds, "metrics": metrics})
        jax.clear_caches()


if __name__ == "__main__":
    main()
