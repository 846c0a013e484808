"""Does a picture show the object of one condition, at the place that another condition tells?

Two parts and both together, as shares of the samples:

    class  the judge of clips recognises the class, wherever the object is
    place  the centre of ink lies within `tolerance` px of the true picture's centre of ink
    both   class and place

The judge is that of `classifier_accuracy` for clips (`judges/video.py`), which finds an object anywhere in a frame; a
picture is given to the judge as a clip of one frame. So `judge_accuracy`, measured on whole clips, is above the judge's
accuracy on pictures, which is the `reference` of `class`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Positive
from mmgen_jax.contracts import Draw
from mmgen_jax.data.transforms.at_place import centre
from mmgen_jax.data.unpaired import own_fields
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Shares of samples with the right class, the right place, and both.

    Args:
      data: as in `config.data`, of the source `unpaired`.
      target: the picture that the model draws.
      clips: the set of `data` with clips of frames like the target; the judge is trained on it.
      label: the label of this set that the judge learns.
      classes: the modality with the true class of the target.
      tolerance: largest distance of the two centres, in px.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      training: how the judge is trained, `judges.video.Training`; None: its default.
    """

    data: Mapping[str, Any]
    target: str
    clips: str = "video"
    label: str = "digit"
    classes: str = "reference_digit"
    tolerance: Positive = 2.0
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.classes,)

    @property
    def judged(self) -> str:
        return self.clips

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE, modalities)
        needs.modality(self, "classes", needs.LABEL, modalities)
        needs.conditions(conditions)
        if self.clips not in self.data.get("sets", {}):
            raise ConfigError(f"clips: no set {self.clips!r} in config.data; set clips to a set of clips")
        of, fields = self._set
        classifier.check(fields, of, self.label)

    @property
    def _set(self) -> tuple[str, dict[str, Any]]:
        return own_fields(self.data["sets"][self.clips])

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"class", "place", "both": {"value", "n", "interval", "reference", "chance", "judge…"}}`.

        `reference` is the share of the true pictures. `chance` is the share of the true pictures of other examples: the
        pictures in another order.
        """
        of, fields = self._set
        judge = classifier.load(fields, of, self.label, self.training)
        samples, true = collect(sampler, batches, self.target, (self.target, self.classes), self.num_examples)
        real, asked = true[self.target], true[self.classes]
        where = np.array([centre(picture) for picture in real])

        def right(pictures: np.ndarray) -> dict[str, np.ndarray]:
            found = judge.classify(pictures[:, None]) == asked
            centres = np.array([centre(picture) for picture in pictures])
            near = np.linalg.norm(centres - where, axis=1) <= self.tolerance
            return {"class": found, "place": near, "both": found & near}

        measured, reference, chance = right(samples), right(real), right(np.roll(real, 1, axis=0))
        return {
            name: {
                "value": float(values.mean()),
                "n": len(values),
                "interval": intervals.wilson(int(values.sum()), len(values)),
                "reference": float(reference[name].mean()),
                "chance": float(chance[name].mean()),
                "tolerance": self.tolerance,
                **judge.identity,
            }
            for name, values in measured.items()
        }
