"""Translations between two data sets without pairs: do they look like the other set, and do they keep the class?

Two judges are trained on real examples: one tells the sets apart (`data/domains.py`), the other recognises the class in
the target's set. Each entry has the judge's own accuracy on real test examples. `baseline` judges the source as it is,
without any translation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.data.unpaired import own_fields
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators.judges import classifier, files
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Shares of translations into `target` that the judges assign to the target's set, and to the source's class.

    Args:
      data: as in `config.data`, of the source `unpaired`.
      source, target: names of two of its sets.
      label: a label that both sets have.
      num_examples: at most this many different examples of the source.
      splits: splits to evaluate.
      training: how the judges are trained, the `Training` of the target's kind; None: its default.

    Raises:
      ConfigError: `data` has no such sets.
    """

    data: Mapping[str, Any]
    source: str
    target: str
    label: str = "digit"
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None

    def __post_init__(self):
        for name in (self.source, self.target):
            if name not in self.data.get("sets", {}):
                known = ", ".join(self.data.get("sets", {})) or "none; use the data source 'unpaired'"
                raise ConfigError(f"evaluators/translation_accuracy: no set {name!r} in config.data; its sets: {known}")

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.source}_{self.label}",)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        of, fields = own_fields(self.data["sets"][self.target])
        classifier.check(fields, of, self.label)

    def check(self, batch: Mapping[str, Any], conditions: Sequence[str]) -> None:
        """Raises ConfigError unless all sets have one shape, which the judge of the sets needs."""
        shapes = {name: np.shape(batch[name])[1:] for name in self.data["sets"] if name in batch}
        if len(set(shapes.values())) > 1:
            got = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise ConfigError(f"translation_accuracy: expected sets of one shape, got {got}; give them one size")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"domain", "kept": {"value", "n", "interval", "baseline", "reference", "chance", "judge…"}}`.

        Values are in [0, 1], intervals of 95 % (Wilson). `reference` is the same share of real examples of the target:
        all that the batches hold for `domain`, the judge's test split for `kept`.
        """
        drawn, given, real, classes = self._collect(sampler, batches)
        domains = {"name": "domains", "sets": self.data["sets"]}
        domain = classifier.load(domains, "example", "domain", self.training)
        of, fields = own_fields(self.data["sets"][self.target])
        judge = classifier.load(fields, of, self.label, self.training)
        wanted = domain.classes.index(self.target)
        shares = {name: domain.classify(arrays) == wanted for name, arrays in (("value", drawn), ("baseline", given))}
        kept = {name: judge.classify(arrays) == classes for name, arrays in (("value", drawn), ("baseline", given))}
        return {
            "domain": _entry(shares, float((domain.classify(real) == wanted).mean()), domain),
            "kept": _entry(kept, judge.accuracy, judge),
        }

    def _collect(self, sampler, batches) -> tuple[np.ndarray, ...]:
        """Translations, their sources, real examples of the target, and the sources' classes, each example once."""
        seen, rows = set(), []
        targets: dict[bytes, np.ndarray] = {}
        for batch in batches:
            present = np.asarray(batch.get(self.target + MASK_SUFFIX, np.ones(len(batch[self.target]), bool)))
            targets |= {files.digest(array): array for array in batch[self.target][present]}
            present = np.asarray(batch.get(self.source + MASK_SUFFIX, np.ones(len(batch[self.source]), bool)))
            new = []
            for i in np.flatnonzero(present).tolist():
                if (found := files.digest(batch[self.source][i])) not in seen and len(seen) < self.num_examples:
                    seen.add(found)
                    new.append(i)
            if new:
                few = {name: array[new] for name, array in batch.items()}
                rows.append((np.asarray(sampler(few)[self.target]), few[self.source], few[self.names[0]]))
        if not rows:
            raise InputError(
                f"translation_accuracy: no example of the split has {self.source!r}; measure another split"
            )
        drawn, given, classes = (np.concatenate(parts) for parts in zip(*rows))
        return drawn, given, np.stack(list(targets.values())), classes


def _entry(shares: Mapping[str, np.ndarray], reference: float, judge: classifier.Classifier) -> dict[str, Any]:
    correct = shares["value"]
    entry = {
        "value": float(correct.mean()),
        "n": len(correct),
        "interval": intervals.wilson(int(correct.sum()), len(correct)),
        "baseline": float(shares["baseline"].mean()),
        "reference": reference,
        "chance": 1 / len(judge.classes),
    }
    return entry | judge.identity
