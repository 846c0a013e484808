"""Speech synthesis: how well a recogniser understands a drawn sound, as error rates of its transcripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.error_rate import check_judge, grammar_of, rates
from mmgen_jax.evaluators.judges import files, pocketsphinx, recogniser
from mmgen_jax.evaluators.measures.examples import collect, others, whole
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality

OWN = "recogniser"  # the judge that is trained on the data


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Word and character error rates of the transcripts of drawn sounds, and the share without an error.

    Args:
      data: the source, as in `config.data`.
      target: the sound that the model draws.
      text: the text that the sound should say.
      judge: the recogniser: `pocketsphinx`, which was trained on other speech and needs texts of a grammar, or
        `recogniser`, which is trained on the training split of the data (`judges/recogniser.py`).
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      training: how the judge `recogniser` is trained.
      seed: of the shuffled references and the bootstrap.
    """

    data: Mapping[str, Any]
    target: str
    text: str = "text"
    judge: str = "pocketsphinx"
    num_examples: Amount = 200
    splits: tuple[str, ...] = ("test",)
    training: recogniser.Training = recogniser.Training()
    seed: Seed = 0

    of_set: ClassVar[str] = "texts of a grammar"  # the default judge needs them

    @property
    def names(self) -> tuple[str, ...]:
        return (self.text,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.SOUND, modalities)
        needs.modality(self, "text", needs.TEXT, modalities)
        needs.conditions(conditions)
        if self.judge == OWN:
            return files.check_splits(self.data)
        check_judge("judge", self.judge, OWN)
        grammar_of(self, "judge")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`word_error_rate`, `character_error_rate` and `exact`, as of `error_rate`, of the judge's transcripts.

        Texts are compared as words in lower case with single punctuation marks, the form of the judge
        `recogniser`. Beside each: `reference`, of the same examples' true sounds: the value of a perfect model;
        `copy_synthesis`, of the true sounds through the model's representation, where the model reconstructs;
        `shuffled`, of the transcripts against the texts of other examples.
        """
        read = list(batches)
        samples, true = collect(sampler, read, self.target, (self.target, self.text), self.num_examples)
        source = whole(self.data, (self.target, self.text), seed=self.seed).modalities
        judge = self._judge()
        references = [_words(source[self.text].tokenizer.decode(ids)) for ids in true[self.text]]

        def heard(sounds: np.ndarray) -> list[str]:
            return [_words(text) for text in judge.transcribe(sounds, source[self.target].sample_rate)]

        transcripts = heard(samples)
        texts = {
            "value": (references, transcripts),
            "shuffled": ([references[i] for i in others(len(references), self.seed)], transcripts),
            "reference": (references, heard(true[self.target])),
        }
        # The `reconstruct` of a baseline ignores the sounds.
        if hasattr(sampler, "system") and sampler.supports("reconstruct"):  # pyright: ignore[reportFunctionMemberAccess] a contracts.Draw
            copies, _ = collect(sampler.reconstruct, read, self.target, (self.target, self.text), self.num_examples)
            texts["copy_synthesis"] = references, heard(copies)
        return {name: entry | judge.identity for name, entry in rates(texts, self.seed).items()}

    def _judge(self) -> pocketsphinx.Judge | recogniser.Recogniser:
        if self.judge == OWN:
            return recogniser.load(self.data, self.target, self.text, self.training)
        return pocketsphinx.Judge(grammar_of(self, "judge"))


def _words(text: str) -> str:
    return " ".join(tokenizer.split(text, "word"))
