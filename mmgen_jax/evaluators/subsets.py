"""Runs another evaluator for each subset of the conditions; the remaining conditions are masked.

A model that was trained with `fusion.modality_dropout` draws its target from any subset. The metrics show how much each
subset tells of the target, and whether several conditions together tell more than the best single condition.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Count, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Batch, Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The metrics of `evaluator` for each subset, as `text/accuracy`, `image+text/accuracy`, ….

    Args:
      conditions: the evaluator runs for every non-empty subset of these; other conditions are always given.
      evaluator: the fields of another evaluator, as in `config.evaluators`, which draws samples.
      target, data, derived, seed, sample_rate, reads: fields of `evaluator`; given by the run.
    """

    conditions: tuple[str, ...]
    evaluator: Mapping[str, Any]
    target: str
    data: Mapping[str, Any]
    derived: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: Seed = 0
    sample_rate: Count = 0
    reads: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.conditions or len(set(self.conditions)) < len(self.conditions):
            raise ConfigError(f"subsets.conditions: expected different conditions, got {self.conditions!r}; name some")
        if getattr(self._inner, "ability", "sample") != "sample":
            raise ConfigError(
                f"subsets.evaluator: expected an evaluator of samples, got {self.evaluator['name']!r}; choose another"
            )

    @functools.cached_property
    def _inner(self):
        context = {"target": self.target, "data": self.data, "derived": self.derived, "seed": self.seed}
        context |= {"sample_rate": self.sample_rate} if self.sample_rate else {}
        return lookup.build("evaluators", self.evaluator, "subsets.evaluator", **context)

    @property
    def names(self) -> tuple[str, ...]:
        return self._inner.names

    @property
    def splits(self) -> tuple[str, ...]:
        return self._inner.splits

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        if unknown := sorted(set(self.conditions) - set(conditions)):
            raise ConfigError(
                f"conditions: the model has no condition {unknown[0]!r}; expected some of {', '.join(conditions)}"
            )
        if hasattr(inner := self._inner, "suits"):
            inner.suits(modalities, conditions)

    def __call__(self, sampler: Draw, batches: Iterable[Batch]) -> dict[str, dict[str, Any]]:
        """Every subset draws for the same examples."""
        unread, seen = iter(batches), []

        def again() -> Iterator[Batch]:
            """The batches from the first on; the evaluator may stop early, and a split may be larger than memory."""
            yield from seen
            for batch in unread:
                seen.append(batch)
                yield batch

        entries = {}
        for size in range(1, len(self.conditions) + 1):
            for subset in itertools.combinations(self.conditions, size):
                hidden, inner = set(self.conditions) - set(subset), self._inner
                if hasattr(inner, "reads"):
                    inner = dataclasses.replace(inner, reads=tuple(n for n in self.reads if n not in hidden))
                found = inner(_Hiding(sampler, hidden), again())
                entries |= {f"{'+'.join(subset)}/{metric}": entry for metric, entry in found.items()}
        return entries


class _Hiding:
    """A sampler that does not see some conditions, and is otherwise the sampler itself."""

    def __init__(self, sampler: Draw, hidden: Collection[str]):
        self._sampler, self._hidden = sampler, hidden

    def __call__(self, batch: Batch, **given: Any) -> Batch:
        seen = {key: x for key, x in batch.items() if key.partition("/")[0] not in self._hidden}
        return self._sampler(seen, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)
