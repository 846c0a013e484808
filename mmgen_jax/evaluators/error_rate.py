"""Speech recognition: word and character error rates of recognised texts.

The corpus rate is the number of edits over the number of words (characters) of the references
(`measures/error_rate.py`). It may exceed 1, because insertions count.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Amount, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import pocketsphinx
from mmgen_jax.evaluators.measures import error_rate, intervals
from mmgen_jax.evaluators.measures.examples import collect, order, others, trained_on, whole
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality

READ = 500  # training texts read at a time
RATES = {"word_error_rate": "word", "character_error_rate": "character"}


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Word error rate, character error rate, and the share of texts without an error.

    Args:
      data: the source, as in `config.data`.
      target: the text that the model recognises.
      num_examples: at most this many examples of each split.
      num_train: the most frequent text is that of at most this many training examples.
      outside: `pocketsphinx`: an outside recogniser transcribes the same examples' true sound, with the grammar of the
        source; "" leaves it out.
      audio: the modality that the outside recogniser hears.
      splits: splits to evaluate.
      seed: of the shuffled references and the bootstrap.
    """

    data: Mapping[str, Any]
    target: str
    num_examples: Amount = 1000
    num_train: Amount = 10_000
    outside: str = ""
    audio: str = "audio"
    splits: tuple[str, ...] = ("test",)
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.audio,) if self.outside else ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.TEXT, modalities)
        needs.conditions(conditions)
        if self.outside:
            check_judge("outside", self.outside)
            needs.modality(self, "audio", needs.SOUND, modalities)
            grammar_of(self, "outside")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`word_error_rate` and `character_error_rate`, at least 0, and `exact`, in [0, 1].

        Every entry has `n`, a 95 % interval (rates: bootstrap over texts; `exact`: Wilson's), and two controls of the
        same metric: `shuffled`, against the references of other examples, and `baseline`, the most frequent training
        text for every example. With `outside`, `outside` is the metric of the outside recogniser.
        A rate has the value None, and `why`, where all references are empty.
        """
        samples, true = collect(sampler, batches, self.target, (self.target, *self.names), self.num_examples)
        source = trained_on(self.data, (self.target,), self.seed)
        tokenizer = source.modalities[self.target].tokenizer
        references = [tokenizer.decode(ids) for ids in true[self.target]]
        frequent = most_frequent(source, self.target, self.num_train)
        shuffled = [references[i] for i in others(len(references), self.seed)]
        hypotheses = {
            "value": (references, [tokenizer.decode(ids) for ids in samples]),
            "shuffled": (shuffled, [tokenizer.decode(ids) for ids in samples]),
            "baseline": (references, [frequent] * len(references)),
        }
        about = {"most_frequent": frequent}
        if self.outside:
            judge = pocketsphinx.Judge(grammar_of(self, "outside"))
            rate = sample_rate_of(self, source)
            hypotheses["outside"] = references, judge.transcribe(true[self.audio], rate)
            about |= {f"outside_{key}": value for key, value in judge.identity.items()}
        return {name: entry | about for name, entry in rates(hypotheses, self.seed).items()}


def rates(texts: Mapping[str, tuple[Sequence[str], Sequence[str]]], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Entries of the metrics of `{field: (references, hypotheses)}`; the interval is of the field `value`."""
    entries: dict[str, dict[str, Any]] = {}
    for name, unit in RATES.items():
        entry: dict[str, Any] = {}
        for field, (references, hypotheses) in texts.items():
            wrong, total = error_rate.edits(references, hypotheses, unit)
            try:
                entry[field] = error_rate.rate(wrong, total)
            except InputError as error:
                entry |= {field: None, "why": str(error)}
            if field == "value" and entry[field] is not None:
                entry["interval"] = error_rate.bootstrap(wrong, total, seed=seed)
        entries[name] = entry
    exact = {field: np.array([a == b for a, b in zip(*pair)]) for field, pair in texts.items()}
    interval = intervals.wilson(int(exact["value"].sum()), len(exact["value"]))
    entries["exact"] = {field: float(same.mean()) for field, same in exact.items()} | {"interval": interval}
    return {name: entry | {"n": len(exact["value"])} for name, entry in entries.items()}


def most_frequent(source, target: str, num: int) -> str:
    """The most frequent text of `num` examples of a source, chosen by `examples.order`; an absent text is left out.

    Of several, the first in alphabetical order.
    """
    counts: collections.Counter = collections.Counter()
    chosen = np.sort(order(len(source))[:num])
    for start in range(0, len(chosen), READ):
        indices = chosen[start : start + READ]
        batch = source.read(indices, np.zeros(len(indices), int))
        present = batch.get(target + MASK_SUFFIX, np.ones(len(indices), bool))
        counts.update(source.modalities[target].tokenizer.decode(ids) for ids in batch[target][present])
    return min(counts, key=lambda text: (-counts[text], text), default="")


def sample_rate_of(evaluator, source) -> int:
    """The sample rate of the evaluator's sound."""
    if evaluator.audio in source.modalities:
        return source.modalities[evaluator.audio].sample_rate
    return whole(evaluator.data, (evaluator.audio,), seed=0).modalities[evaluator.audio].sample_rate


def check_judge(field: str, name: str, *others: str) -> None:
    """Raises ConfigError for a judge that is not pocketsphinx, or not installed; `others`: further choices."""
    if name != "pocketsphinx":
        raise ConfigError(f"{field}: expected {' or '.join(('pocketsphinx', *others))}, got {name!r}")
    pocketsphinx.check()


def grammar_of(evaluator: Any, field: str) -> tuple[tuple[str, ...], ...]:
    """The words at each place of the texts of the evaluator's data.

    Raises:
      ConfigError: the texts of the data have no grammar.
    """
    grammar = getattr(lookup.find("data", evaluator.data["name"]), "grammar", ())
    if not grammar:
        raise ConfigError(
            f"{field}: pocketsphinx needs texts of a grammar, and those of {evaluator.data['name']!r} have none; take "
            f"{field} out"
        )
    return grammar
