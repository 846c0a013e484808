"""Fréchet distance between generated and real clips, in features that see the order of frames.

This is NOT the Fréchet video distance (FVD) of Unterthiner et al. (2018), whose features are those of a network trained
on Kinetics. The features (128, non-negative) are those of the judge of motion (`judges/motion.py`), trained on the real
clips of the data set; its hash stands in every entry. The judge was trained to detect shuffled and frozen clips, so the
controls `shuffled` and `frozen` test sensitivity to frame order. The judge never saw the other controls.
`judge_accuracy` is the share of test clips whose order, and class where there is one, the judge names. Two numbers are
comparable only where both entries have the same hash, `n` and `num_frames`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import feature_controls
from mmgen_jax.evaluators.judges import motion
from mmgen_jax.evaluators.measures import frechet
from mmgen_jax.evaluators.measures.examples import collect, halves
from mmgen_jax.modalities.modality import Modality

FEWEST = 16  # examples


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Fréchet and kernel distance of sampled clips and the real clips of a split.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the clips that the model draws.
      label: a label of `data` that the judge learns beside the order of frames; "": the order alone.
      num_examples: at most this many examples of each split, with one sample for each.
      splits: splits to evaluate.
      training: how the judge is trained, `motion.Training`; None: its default.
    """

    data: Mapping[str, Any]
    target: str
    label: str = ""
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        motion.check(self.data, self.target, self.label, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"frechet_distance", "kernel_distance": {"value", "n", "num_frames", "interval", "reference", "controls"}}`.

        Every entry also has the judge. `num_frames` is the length of the clips. `reference` is the distance between two
        random halves of the real clips, `reference_n` each. `controls` are distances of training clips: those of
        `feature_controls`, and `frozen` (the first frame of each clip, again and again) and `shuffled` (its frames in
        random order).

        Raises:
          InputError: fewer than `FEWEST` clips, or features that are not finite.
        """
        judge = motion.load(self.data, self.target, self.label, self.training)
        samples, true = collect(sampler, batches, self.target, (self.target,), self.num_examples)
        if len(samples) < FEWEST:
            raise InputError(
                f"video_frechet: expected at least {FEWEST} clips, got {len(samples)}; raise num_examples or measure a "
                "larger split"
            )
        generated, real = (judge.predict(arrays)[1] for arrays in (samples, true[self.target]))
        entries, reference = frechet.compare(real, generated), frechet.compare(*halves(real))
        entries["frechet_distance"] |= frechet.interval(real, generated, entries["frechet_distance"]["value"])
        further = {"order": out_of_order}
        controls = feature_controls.measure(judge, self.data, self.target, real, frechet.compare, further)
        about = {
            "n": len(real),
            "num_frames": int(samples.shape[1]),
            "reference_n": len(real) // 2,
            "features": f"judge of motion, 128, over windows of {motion.WINDOW} frames",
            **judge.identity,
        }
        return {
            name: entry | {"reference": reference[name]["value"], "controls": controls[name]} | about
            for name, entry in entries.items()
        }


def out_of_order(clips: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`{control: [N, T, H, W, C]}` of clips `[N, T, H, W, C]`: `frozen` and `shuffled`."""
    orders = rng.random(clips.shape[:2]).argsort(axis=1)
    return {
        "frozen": np.repeat(clips[:, :1], clips.shape[1], axis=1),
        "shuffled": clips[np.arange(len(clips))[:, None], orders],
    }
