"""Sampling with a cache beside the network for every token: the time of each on the same machine.

    PYTHONPATH=. taskset -c 0 python experiments/benchmarks/decoding.py --append

`cached` is the decoding loop of the sampler, without guidance, nucleus and the decoder of codes. `uncached` applies the
network for each token to as many positions as a sampler without a cache reads: WaveNet to 384 samples, its receptive
field of 255 in whole frames; the transformer to 576 codes, about the mean of its prefixes of 1 to 1,024. `--steps` of
its tokens are timed, and multiplied. Before the times, both take the most probable token `--steps` times, and must
agree. PyTorch's sampler with a cache is in `peers.py` (rows `transformer_sampling`, `wavenet_sampling`).
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
WHOLE = {"objective.segment": 0}
# {name: (config, changes for the whole length, changes for the positions that a sampler without a cache reads)}
ROWS = {
    "transformer, 1,024 codes": (
        "text_to_image_autoregressive:scenes",
        {"data.image_size": 128} | PLAIN,
        {"data.image_size": 96} | PLAIN,
    ),
    "WaveNet, 8,000 samples": (
        "vocoder_wavenet:digits",
        {"data.audio_seconds": 1.0} | WHOLE,
        {"data.audio_seconds": 0.048} | WHOLE,
    ),
}


class Samplers:
    """`cached()` gives ids `[size, length]`, `uncached()` the first `steps` of them."""

    def __init__(self, config: str, changes: dict, size: int, steps: int, temperature: float):
        ours = Ours(Row(config, "", changes, {}, "sample", size))
        state, self.objective = ours.state(), ours.system.objective
        self.length, self.size, self.steps, self.temperature = (
            self.objective.discrete().length,
            size,
            steps,
            temperature,
        )
        self.own = state.params, state.collections, ours.layout.put(ours.batch), jax.random.key(0)
        self._cached, self._uncached = jax.jit(self._with_cache, static_argnums=4), jax.jit(self._without)

    def cached(self, num: int = 0) -> jax.Array:
        return jax.block_until_ready(self._cached(*self.own, num or self.length))

    def uncached(self) -> jax.Array:
        return jax.block_until_ready(self._uncached(*self.own))

    def _with_cache(self, params, collections, batch, rng, num):
        network = self.objective.network
        cache = apply(network, "generator", params, collections, batch, method="init_cache")

        def step(cache, token, position):
            return apply(network, "generator", params, collections, cache, token, position, method="step")

        return decoding.draw(step, cache, jax.random.split(rng, self.size), num, None, self.temperature)

    def _without(self, params, collections, batch, rng):
        def body(ids, position):
            logits = apply(self.objective.network, "generator", params, collections, batch, ids)[:, position]
            drawn = jax.random.categorical(jax.random.fold_in(rng, position), logits / (self.temperature or 1.0))
            token = drawn if self.temperature else jnp.argmax(logits, axis=-1)
            return ids.at[:, position].set(token.astype(jnp.int32)), None

        ids, _ = jax.lax.scan(body, jnp.zeros((self.size, self.length), jnp.int32), jnp.arange(self.steps))
        return ids[:, : self.steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4, help="sequences at once")
    parser.add_argument("--steps", type=int, default=16, help="tokens of the sampler without a cache")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    args = parser.parse_args()
    for name, (config, whole, read) in ROWS.items():
        began = time.monotonic()
        greedy = Samplers(config, read, args.size, args.steps, 0.0)
        if not np.array_equal(greedy.cached(args.steps), greedy.uncached()):
            raise SystemExit(f"{name}: the most probable tokens with and without a cache differ")
        long, short = (Samplers(config, changes, args.size, args.steps, 1.0) for changes in (whole, read))
        metrics = measure({"cached": long.cached, "uncached": short.uncached}, args.rounds, 0.5)
        for clock in ("wall", "processor"):
            metrics[f"uncached/{clock}_ms"] = round(metrics[f"uncached/{clock}_ms"] * long.length / args.steps, 1)
            metrics[f"{clock}_ratio"] = round(metrics[f"uncached/{clock}_ms"] / metrics[f"cached/{clock}_ms"], 1)
        metrics |= {"tokens": long.length, "sequences": args.size, "read": short.length}
        metrics["load_average"] = round(os.getloadavg()[0], 2)
        print(name, metrics, flush=True)
        line = {"experiment": NAME, "config": name, "overrides": {}, "seed": 0, "commit": commit()}
        line |= {"hardware": f"{hardware()}, jax {jax.__version__}", "seconds": round(time.monotonic() - began, 1)}
        if args.append:
            append(FOLDER / FILE, line | {"steps": args.rounds, "metrics": metrics})
        jax.clear_caches()


if __name__ == "__main__":
    main()
