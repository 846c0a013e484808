"""The loss of sounds by `log_mel` and Griffin-Lim: python experiments/benchmarks/log_mel.py [--append]

For each set and setting: the log-spectral distance between the spectrograms of the original and of the reconstructed
sounds (root mean square over bands in dB, mean over frames); on `scenes` and `digits` also the share of reconstructed
sounds that a judge recognises. Needs `mmgen prepare-data --dataset=digits`, and `grid_s1`, `sounds` and `hymnal` in
`$MMGEN_DATA`.
"""

from __future__ import annotations

import argparse
import pathlib
import time

import jax
import numpy as np

from mmgen_jax import lookup
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.representations.log_mel import Representation
from mmgen_jax.results.lines import FILE, append, commit, hardware
from mmgen_jax.scenes import judge_audio
from mmgen_jax.scenes.factors import FACTORS

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/log_mel"
SETTINGS = (
    {"n_mels": 40},
    {"n_mels": 64},
    {},
    {"num_iterations": 64},
    {"momentum": 0.0},
)
# For each set: fields of the source, labels for the judge, largest number of sounds, settings to measure.
SETS = {
    "scenes": ({}, tuple(FACTORS), 500, SETTINGS),
    "digits": ({}, ("digit",), 10_000, SETTINGS),
    "grid_s1": ({}, (), 100, ({},)),
    "sounds": ({}, (), 100, ({},)),
    "hymnal": ({"seconds": 4.0}, (), 100, ({},)),
}


def recognised(name: str, batch, rate: int) -> np.ndarray | None:
    """`[N] bool`: whether a judge recognises the labels of each sound; None for a set without a judge."""
    if name == "scenes":
        judged = judge_audio.judge_audio(batch["audio"], rate)
        return np.all([judged[factor] == batch[factor] for factor in FACTORS], axis=0)
    if name == "digits":
        return classifier.load({"name": name}, "audio", "digit").classify(batch["audio"]) == batch["digit"]
    return None


def measure(name: str):
    """Rows `(setting, number of sounds, distance in dB, share recognised or None)`; the first is of the originals."""
    fields, labels, most, settings = SETS[name]
    source = lookup.build("data", {"name": name, "names": ("audio", *labels), "split": "test", **fields})
    indices = np.arange(min(most, len(source)))
    batch = source.read(indices, np.zeros_like(indices))
    if name == "digits":  # 10,000 draws of 250 recordings
        _, first = np.unique(batch["audio"], axis=0, return_index=True)
        batch = {key: values[first] for key, values in batch.items()}
    modality, count = source.modalities["audio"], len(batch["audio"])

    def share(sounds):
        right = recognised(name, batch | {"audio": sounds}, modality.sample_rate)
        return None if right is None else right.mean()

    yield "as they are", count, 0.0, share(batch["audio"])
    for setting in settings:
        representation = Representation(modality=modality, **setting)
        encode = jax.jit(lambda x, r=representation: r.encode({}, {}, x))
        decode = jax.jit(lambda x, r=representation: r.decode({}, {}, x))
        code = encode(batch["audio"])
        sounds = np.asarray(decode(code))
        decibels = (representation.ceiling - representation.floor) / 2 * np.asarray(code - encode(sounds))
        what = ", ".join(f"{key}={value}" for key, value in setting.items()) or "default"
        yield what, count, float(np.sqrt((decibels**2).mean(-1)).mean()), share(sounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    arguments = parser.parse_args()
    for name in SETS:
        began = time.monotonic()
        for what, count, distance, share in measure(name):
            metrics = {"sounds": count, "distance_db": round(distance, 3)}
            metrics |= {} if share is None else {"recognised": round(float(share), 4)}
            print(name, what, metrics, flush=True)
            if arguments.append:
                line = {"experiment": NAME, "config": f"{name}: {what}", "overrides": {}, "seed": 0, "commit": commit()}
                line |= {"hardware": f"{hardware()}, jax {jax.__version__}"}
                line |= {"seconds": round(time.monotonic() - began, 1), "steps": 1, "metrics": metrics}
                append(FOLDER / FILE, line)
            began = time.monotonic()


if __name__ == "__main__":
    main()
