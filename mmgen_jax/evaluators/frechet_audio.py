"""Fréchet distance between generated and real sounds, in features without training.

After the Fréchet audio distance (Kilgour et al. 2019). Departs from the paper: the features are not those of VGGish but
means and deviations of cepstra, so that any sound at any rate can be measured without a pretrained network. Numbers of
VGGish are NOT comparable. Two numbers are comparable only with one rate, one length of the windows and equal `n`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Seconds
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import distances, examples, intervals, sound
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.features import audio

FEATURES = "14 cepstra: means, deviations; of their differences in time: deviations, cube roots of the mean cubes"
FEWEST = 4  # examples, so that each half has two


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The distance of samples and the real examples of a split, with controls.

    Args:
      target: the sound that the model draws.
      sample_rate: of the target, in Hz.
      seconds: length of a window. Windows of an example begin half a window apart, and each gives one row of
        features. A shorter example is one window.
      num_examples: at most this many examples of each split, with one sample for each.
      splits: splits to evaluate.
    """

    target: str
    sample_rate: Amount
    seconds: Seconds = 0.75
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.SOUND, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"frechet_audio_distance": {"value", "n", "interval", "reference", "controls", …}}`.

        `reference` is the distance of two random halves of the real examples. `controls` has the distance of the real
        examples with white noise of the same level (`noise`), of silence, and of the reversed real examples. The
        interval is by subsets of the examples (`intervals.of_corpus`).

        Raises:
          InputError: fewer than `FEWEST` examples.
        """
        samples, true = examples.collect(sampler, batches, self.target, (self.target,), self.num_examples)
        if len(samples) < FEWEST:
            raise InputError(f"frechet_audio: expected at least {FEWEST} examples, got {len(samples)}; measure more")
        real = true[self.target]
        own, generated = self._features(real), self._features(samples)
        halves = examples.halves(own)
        value = _distance(own, generated)
        again = lambda rows: {"distance": _distance(own[rows], generated[rows])}  # noqa: E731
        found = intervals.of_corpus(again, {"distance": value}, len(real), within=(0, np.inf))["distance"]
        entry = {
            "value": value,
            "n": len(real),
            **found,
            "reference": _distance(*halves),
            "reference_n": len(halves[0]),
            "controls": {name: _distance(own, self._features(x)) for name, x in controls(real).items()},
            "better": "lower",
            "features": FEATURES,
            "sample_rate": self.sample_rate,
            "seconds": self.seconds,
        }
        return {"frechet_audio_distance": entry}

    def _features(self, sounds: np.ndarray) -> np.ndarray:
        return features(sounds, self.sample_rate, self.seconds)


def features(sounds: np.ndarray, sample_rate: int, seconds: float) -> np.ndarray:
    """`[N, W, 56]`, a row for each of W windows of sounds `[N, S]`.

    The mean cubes tell the direction of time: a sound begins faster than it ends.
    """
    cepstra = sound.cepstra(sounds, sample_rate)
    width = min(max(round(seconds * sample_rate / audio.frame_sizes(sample_rate)[1]), 2), cepstra.shape[1])
    windows = np.lib.stride_tricks.sliding_window_view(cepstra, width, axis=1)[:, :: max(width // 2, 1)]
    moving = np.diff(windows, axis=-1)
    skew = np.cbrt((moving**3).mean(-1))
    return np.concatenate([windows.mean(-1), windows.std(-1), moving.std(-1), skew], axis=-1)


def controls(real: np.ndarray) -> dict[str, np.ndarray]:
    """`{control: sounds [N, S]}` of real sounds."""
    level = np.sqrt((real.astype(np.float64) ** 2).mean(1, keepdims=True))
    noise = np.random.default_rng(examples.SEED).normal(size=real.shape)
    return {"noise": real + level * noise, "silence": np.zeros_like(real), "reversed": real[:, ::-1]}


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    return distances.frechet_distance(*(rows.reshape(-1, rows.shape[-1]) for rows in (first, second)))
