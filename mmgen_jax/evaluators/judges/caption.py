"""The judge of captions: it knows every true caption of a class, and nothing else. It is exact, and nothing is trained."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.modalities.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Captions:
    """The classes that captions tell.

    Args:
      classes: the class names, in id order.
      tokenizer: of the captions.
      known: `{caption: class id}`, as the tokenizer decodes it.
      accuracy: of the real test split, in [0, 1]; `num_test` examples.
    """

    classes: tuple[str, ...]
    tokenizer: Tokenizer
    known: Mapping[str, int]
    accuracy: float = float("nan")
    num_test: int = 0

    @functools.cached_property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the captions and their classes."""
        return hashlib.sha256(json.dumps(sorted(self.known.items())).encode()).hexdigest()[:12]

    @property
    def identity(self) -> dict[str, Any]:
        """What an entry of an evaluation states about its judge."""
        return {"judge": self.hash, "judge_accuracy": self.accuracy, "judge_num_test": self.num_test}

    def classify(self, texts: np.ndarray) -> np.ndarray:
        """`[N]` class ids of texts `[N, L]`, -1 where a text is no caption of any class."""
        return np.array([self.known.get(self.tokenizer.decode(ids), -1) for ids in texts], np.int32)


def load(source_test, target: str, label: str) -> Captions:
    """The judge of `label` from the captions `target`; a caption that several classes have tells none.

    Raises:
      ValueError: the source does not list the true captions of a class.
    """
    if getattr(source_test, "caption_labels", ()) != (label,):
        name = type(source_test).__module__.rpartition(".")[2]
        raise ValueError(
            f"judge: data {name!r} does not list the captions of each {label!r}; use the evaluator captions"
        )
    modality, classes = source_test.modalities[target], source_test.modalities[label].classes
    tokenizer, (length,) = modality.tokenizer, modality.shape
    known: dict[str, int] = {}
    for i in range(len(classes)):
        for caption in source_test.true_captions({label: i}):
            caption = tokenizer.decode(np.array(tokenizer.encode(caption, length)))
            known[caption] = i if known.get(caption, i) == i else -1
    judge = Captions(classes, tokenizer, known)
    batch = source_test.read(np.arange(len(source_test)), np.zeros(len(source_test), np.int64))
    accuracy = float((judge.classify(batch[target]) == batch[label]).mean())
    return dataclasses.replace(judge, accuracy=accuracy, num_test=len(source_test))
