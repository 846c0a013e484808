"""Coherence on the scenes world: does the sample show the factors of the scene that its conditions describe?

For each factor, the share of examples where an analytic judge (`scenes.judge` and `scenes.judge_audio`, which are not
trained) finds the example's true value in the sample. `judge_accuracy` is the same share for the true renders of the
same examples: the value of a perfect model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Size
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.scenes import judge, judge_audio
from mmgen_jax.scenes.factors import FACTORS

JUDGED = {  # target -> the factors that it always shows
    "image": ("shape", "color", "size"),
    "video": ("shape", "color", "size", "motion"),
    "audio": ("shape", "color", "size", "motion"),
    "text": ("shape", "color", "size"),
}


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Accuracy of every factor, and of all told factors together.

    Args:
      target: the modality that the model draws: `image`, `video`, `audio` or `text`.
      told: the factors that the conditions tell, which `all` counts; of the others, accuracy is at chance. Empty: every
        factor that the target shows.
      from_target: judge reconstructions of the target (`sampler.reconstruct`) instead of samples. Their accuracy
        shows how many of the factors the tokenizer or autoencoder keeps.
      num_examples: at most this many examples of each split.
      sample_rate: of the sound, in Hz; used where the target is `audio`.
      splits: splits to evaluate.
    """

    of_set: ClassVar[str] = "scenes"
    target: str
    told: tuple[str, ...] = ()
    from_target: bool = False
    num_examples: Amount = 1000
    sample_rate: Size = 8_000
    splits: tuple[str, ...] = ("test", "compositional")

    def __post_init__(self):
        if self.target not in JUDGED:
            raise ConfigError(
                f"scenes_coherence.target: no judge for {self.target!r}; there is one for: {', '.join(JUDGED)}"
            )
        if unknown := sorted(set(self.told) - set(JUDGED[self.target])):
            raise ConfigError(
                f"scenes_coherence.told: a target {self.target!r} shows no {unknown[0]!r}; expected some of "
                f"{', '.join(JUDGED[self.target])}"
            )

    @property
    def ability(self) -> str:
        return "reconstruct" if self.from_target else "sample"

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that a batch must hold besides the model's own modalities."""
        return JUDGED[self.target]

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        if not self.from_target:
            needs.conditions(conditions, "; for a model that reconstructs its target, set from_target=true")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{factor or "all": {"value", "n", "interval", "judge_accuracy", "judge_trained_on": None, "chance"}}`.

        Shares are in [0, 1]; `interval` is Wilson's 95 % interval. An example without the target or a label (masked) is
        left out.

        Raises:
          ConfigError: every example is left out.
        """
        predict = sampler.reconstruct if self.from_target else sampler
        correct, judge_correct, count = [], [], 0  # [n, factors] bool each
        for batch in batches:
            if count >= self.num_examples:
                break
            keep = np.ones(len(batch[self.target]), bool)
            for name in (self.target, *self.names):
                keep &= np.asarray(batch.get(f"{name}/mask", keep))
            keep = np.flatnonzero(keep)[: self.num_examples - count]
            if not keep.size:
                continue
            count += keep.size
            truth = np.stack([np.asarray(batch[name])[keep] for name in self.names], axis=1)
            correct.append(self._judge(np.asarray(predict(batch)[self.target])[keep]) == truth)
            judge_correct.append(self._judge(np.asarray(batch[self.target])[keep]) == truth)
        if not count:
            raise ConfigError(
                f"scenes_coherence: expected examples with {self.target} and labels {', '.join(self.names)}, got none; "
                "raise num_examples or evaluate a split that has them"
            )
        correct, judge_correct = np.concatenate(correct), np.concatenate(judge_correct)
        chance = np.array([1 / len(FACTORS[name]) for name in self.names])
        entries = {name: _entry(correct[:, i], judge_correct[:, i], chance[i]) for i, name in enumerate(self.names)}
        told = [i for i, name in enumerate(self.names) if not self.told or name in self.told]
        whole, judge_whole = (np.asarray(right[:, told].all(axis=1)) for right in (correct, judge_correct))
        return entries | {"all": _entry(whole, judge_whole, chance[told].prod()) | {"factors": len(told)}}

    def _judge(self, target: np.ndarray) -> np.ndarray:
        """`[B, factors] int32`."""
        judged = {
            "image": judge.judge_images,
            "video": judge.judge_videos,
            "audio": lambda audio: judge_audio.judge_audio(audio, self.sample_rate),
            "text": judge.judge_texts,
        }[self.target](target)
        return np.stack([judged[name] for name in self.names], axis=1)


def _entry(correct: np.ndarray, judge_correct: np.ndarray, chance: float) -> dict[str, Any]:
    return {
        "value": float(correct.mean()),
        "n": len(correct),
        "interval": intervals.wilson(int(correct.sum()), len(correct)),
        "judge_accuracy": float(judge_correct.mean()),
        "judge_trained_on": None,
        "chance": float(chance),
    }
