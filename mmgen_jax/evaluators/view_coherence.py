"""Coherence of views that share a class: views drawn from some given views, and all views drawn together.

A judge, trained on real examples, recognises the class of each drawn view.

- `given_1`, …, `given_{M-1}`: views drawn given subsets of this size; the share of drawn views in which the judge finds
  the true class, averaged over the subsets that lack the view, then over the views.
- `joint_<sampler>`: all views drawn from one latent; the share of draws where the judge finds the same class in all
  views. The latents come from the prior, from a mixture of normals fitted to latents of training examples, or from such
  latents themselves (`measures/latents.py`). The sampler is a part of the name, because results differ greatly between
  samplers.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Count, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import classifier, files
from mmgen_jax.evaluators.measures import agreement, examples, intervals, latents
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Shares in [0, 1], each beside the judge's accuracy and chance.

    Args:
      data: the source that the judge is trained on, and whose training split the samplers are fitted to, as in
        `config.data`.
      views: the model's targets that show the class; the label itself may be one.
      label: the modality with the class.
      judged_as: a modality of `data` on which one judge for all views is trained; "": each view has a judge of its own.
      samplers: of the latents of joint draws, some of `measures/latents.py` NAMES.
      num_components: of the mixture of normals.
      num_fitted: training examples that the samplers are fitted to.
      max_subsets: at most this many subsets of each size, at equal distances in their list; 0: all. Each view is to be
        drawn at every size.
      num_examples: at most this many examples of each split, and this many joint draws.
      splits: splits to evaluate.
    """

    data: Mapping[str, Any]
    target: str
    views: tuple[str, ...]
    label: str = "digit"
    judged_as: str = ""
    samplers: tuple[str, ...] = latents.NAMES
    num_components: Size = 10
    num_fitted: Amount = 5000
    max_subsets: Count = 0
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "from_latent"

    def __post_init__(self):
        if len(self.views) < 2:
            raise ConfigError(f"view_coherence.views: expected two or more targets, got {self.views}")
        if unknown := [name for name in self.samplers if name not in latents.NAMES]:
            raise ConfigError(
                f"view_coherence.samplers: expected some of {', '.join(latents.NAMES)}, got {unknown[0]!r}"
            )
        for size in range(1, len(self.views)):
            if always := set.intersection(*map(set, self._subsets(size))):
                raise ConfigError(
                    f"view_coherence.max_subsets: {self.max_subsets} subsets of {size} views all have "
                    f"{sorted(always)[0]!r}, which is then never drawn; expected more subsets, such as "
                    f"{len(self.views)}, or 0 for all"
                )

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "label", needs.LABEL, modalities)
        if missing := [name for name in self.views if name not in modalities]:
            raise ConfigError(f"views: expected targets of the model, got {missing[0]!r}; set views")
        pictures = [name for name in self.views if not modalities[name].num_classes]
        if not pictures:
            raise ConfigError("views: expected a picture, a sound or a clip among them, got labels alone")
        for name in [self.judged_as] if self.judged_as else pictures:
            classifier.check(self.data, name, self.label)

    def __call__(self, sampler: Any, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"given_1": {"value", "n", "interval", "chance", "reference", "judge…"}, …, "joint_prior": …}`.

        Intervals are Wilson's, over examples: they count the views of an example as one draw, since the views are not
        independent, and so are rather too wide than too narrow. `reference` is the same share of the real views: the
        value of a perfect model. The `chance` of a joint draw is the share that independent views with the same
        classes would have.
        """
        drawn = examples.first(batches, (*self.views, self.label), self.num_examples)
        truth = np.concatenate([batch[self.label] for batch in drawn])
        judges = {name: self._judge(name, drawn[0][name]) for name in self.views}
        trained = [judge for judge in judges.values() if isinstance(judge, classifier.Classifier)]
        identity = _identity([judge.identity for judge in trained])
        real = np.stack(
            [judges[name].classify(np.concatenate([b[name] for b in drawn])) for name in self.views], axis=1
        )
        entries = {}
        chance = 1 / len(trained[0].classes)
        reference = float((real == truth[:, None]).mean())
        for size in range(1, len(self.views)):
            found = [self._given(sampler, judges, drawn, truth, given) for given in self._subsets(size)]
            of_view = {name: np.mean([one[name] for one in found if name in one], axis=0) for name in self.views}
            entry = _entry(np.mean(list(of_view.values()), axis=0), chance, reference)
            per_view = {name: float(np.mean(values)) for name, values in of_view.items()}
            entries[f"given_{size}"] = entry | {"per_view": per_view} | identity
        for fitted in self._fitted(sampler):
            found = self._joint(sampler, judges, drawn, fitted)
            entry = _entry(_agree(found), agreement.independent(found), float(_agree(real).mean()))
            entries[f"joint_{fitted.name}"] = entry | {"sampler": fitted.name} | identity
        return entries

    def _subsets(self, size: int) -> list[tuple[str, ...]]:
        every = list(itertools.combinations(self.views, size))
        if not self.max_subsets or len(every) <= self.max_subsets:
            return every
        return [every[i] for i in np.linspace(0, len(every) - 1, self.max_subsets).astype(int)]

    def _judge(self, name: str, array: np.ndarray) -> Any:
        """The judge of a view; a view that is the class itself needs none."""
        return _AsItIs() if array.ndim == 1 else classifier.load(self.data, self.judged_as or name, self.label)

    def _given(self, sampler, judges, drawn, truth, given: tuple[str, ...]) -> dict[str, np.ndarray]:
        """`{view that is not given: [N] bool}`: whether the judge finds the true class."""
        others = [name for name in self.views if name not in given]
        samples = [sampler(batch, given=given) for batch in drawn]
        drawn_views = {name: np.concatenate([sample[name] for sample in samples]) for name in others}
        return {name: judges[name].classify(array) == truth for name, array in drawn_views.items()}

    def _joint(self, sampler, judges, drawn, fitted: latents.Fitted) -> np.ndarray:
        """`[N, views]`: the judged classes of joint draws."""
        samples = []
        for batch in drawn:
            size = len(batch[self.label])
            latent = sampler.draw_latent(batch) if fitted.draw is None else fitted.draw(size)
            samples.append(sampler.from_latent(batch, np.asarray(latent, np.float32)))
        found = [judges[name].classify(np.concatenate([sample[name] for sample in samples])) for name in self.views]
        return np.stack(found, axis=1)

    def _fitted(self, sampler) -> list[latents.Fitted]:
        if not self.samplers:
            return []
        kept = np.zeros((0, 1))
        if set(self.samplers) - {latents.PRIOR}:
            source = files.training(self.data, self.views)
            chosen = examples.order(len(source))[: self.num_fitted]
            rows = [source.read(part, np.zeros_like(part)) for part in np.array_split(chosen, -(-len(chosen) // 1000))]
            kept = np.concatenate([sampler.to_latent(batch) for batch in rows])
        return [latents.fit(name, kept, self.num_components) for name in self.samplers]


class _AsItIs:
    """The judge of a label: its own value."""

    def classify(self, arrays: np.ndarray) -> np.ndarray:
        return np.asarray(arrays)


def _identity(judges: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields about the judges in an entry: the hashes of all, and the rest of the judge of the lowest accuracy."""
    worst = min(judges, key=lambda judge: judge["judge_accuracy"])
    return worst | {"judge": ", ".join(dict.fromkeys(judge["judge"] for judge in judges))}


def _agree(found: np.ndarray) -> np.ndarray:
    """`[N] float`: 1 where all views `[N, views]` have one class."""
    return (found == found[:, :1]).all(axis=1).astype(float)


def _entry(values: np.ndarray, chance: float, reference: float) -> dict[str, Any]:
    """Of shares `[N]`, one for each example."""
    return {
        "value": float(values.mean()),
        "n": len(values),
        "interval": intervals.wilson(float(values.sum()), len(values)),
        "chance": chance,
        "reference": reference,
    }
