"""Time of a sample of WaveNet with and without its cache: python experiments/vocoders/speed.py

The network of `configs/vocoder_wavenet.py:digits` as it is initialised, a batch of 4. Without the cache, each sample
costs one pass over the sounds.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.config import loading
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators import wavenet
from mmgen_jax.objectives.parts import decoding
from mmgen_jax.representations import mu_law

BATCH, REPEATS = 4, 3


def main():
    config = loading.load("configs/vocoder_wavenet.py:digits")
    length, fields = 6144, {key: value for key, value in config.generator.items() if key != "name"}
    space = mu_law.Representation(modality=Modality("audio", (length,), sample_rate=8000)).space
    network = wavenet.Generator(space.num_ids, space.shape, **fields)
    ids = jnp.ones((BATCH, length), jnp.int32)
    seen = Condition(None, None, None, {"mel": jnp.zeros((BATCH, 1 + length // network.hop_length, 80))})
    variables = network.init(jax.random.key(0), ids, seen)

    @jax.jit
    def cached():
        cache = network.apply(variables, seen, BATCH, method="init_cache")
        step = lambda *arguments: network.apply(variables, *arguments, method="step")  # noqa: E731
        return decoding.draw(step, cache, jax.random.split(jax.random.key(0), BATCH), length, None)

    whole = jax.jit(lambda ids: network.apply(variables, ids, seen))
    per_sample = {"with the cache": _seconds(cached) / length, "without": _seconds(lambda: whole(ids))}
    for name, seconds in per_sample.items():
        print(f"{name}: {1e6 * seconds:.1f} µs of processor time for each sample of {BATCH} sounds")
    print(f"{per_sample['without'] / per_sample['with the cache']:.0f} times faster")


def _seconds(function) -> float:
    """Least processor time of a call, after one that compiles."""
    found = []
    for _ in range(1 + REPEATS):
        start = time.process_time()
        jax.block_until_ready(function())
        found.append(time.process_time() - start)
    return float(np.min(found[1:]))


if __name__ == "__main__":
    main()
