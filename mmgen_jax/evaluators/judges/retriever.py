"""The judge of pictures drawn from captions: two towers, trained to match captions with pictures; cached.

The judge is trained on the whole training split, or on the part of the split that the model is not trained on
(`config.data.part`). As in `classifier.py`, the judge is identified by a hash of its weights; numbers from two judges
are comparable only where the hash is the same. Its objective is `objectives.contrastive`, its training is like that of
`configs/image_text_retrieval.py:emoji`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from mmgen_jax.config import schema
from mmgen_jax.config.schema import Config
from mmgen_jax.config.system import System, build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import retrieval_recall
from mmgen_jax.evaluators.judges import files, fitted
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import END, PADDING, UNKNOWN
from mmgen_jax.runs import sampler

VERSION = 1  # raise it whenever the architecture or the training below changes


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge is trained: AdamW, learning rate from `lr` to 0 by a cosine, augmented pictures and captions.

    Args:
      crop: largest shift of a picture along both axes, in px.
    """

    steps: int = 600
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 1e-2
    crop: int = 3
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Retriever:
    """A trained judge.

    Args:
      system: the two towers and their objective.
      image, text: the modalities.
      params: parameters of the objective, NumPy arrays.
      accuracy: recall@1, in [0, 1], of the caption of each real test picture among all captions of the test split.
      num_test: number of test examples that `accuracy` was measured on.
      trained_on: the set, its split and the number of examples, see `files.trained_on`.
      known: `[vocab_size] bool`, the ids that stand in the judge's training texts.
    """

    system: System
    image: str
    text: str
    params: Mapping[str, Any]
    accuracy: float = float("nan")
    num_test: int = 0
    trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    known: np.ndarray | None = None

    @functools.cached_property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the weights."""
        return files.weights_hash(self.params)

    @property
    def identity(self) -> dict[str, Any]:
        """The fields about the judge in an evaluation's entry."""
        accuracy = {"judge_accuracy": self.accuracy, "judge_num_test": self.num_test}
        return {"judge": self.hash, **accuracy, "judge_trained_on": dict(self.trained_on)}

    @functools.cached_property
    def _sampler(self) -> sampler.Sampler:
        return fitted.sampler_of(self.system, self.params)

    def embed(self, images: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors `[N, D]` of images `[N, H, W, C]` in [-1, 1], and of texts `[N, L]`."""
        return self._sampler.embed_pair({self.image: images, self.text: texts})

    def knows(self, texts: np.ndarray) -> np.ndarray:
        """`[N] bool`: whether every word of a text `[N, L]` stands in the judge's training texts."""
        assert self.known is not None
        return np.all(self.known[texts], axis=1)


def load(data: Mapping[str, Any], image: str, text: str, training: Training = Training()) -> Retriever:
    """The judge of `text` and `image` of a data set; trained and cached where the cache lacks it.

    Args:
      data: the data set, as in `config.data`. Split and modalities are chosen here; a `fraction` is ignored.
      image, text: modalities of the source.

    Raises:
      ConfigError: the text has no tokenizer.
      InputError: the data has no test split.
    """
    source_train, source_test = files.sources(data, (image, text))
    tokenizer = source_train.modalities[text].tokenizer
    if tokenizer is None:
        raise ConfigError(f"retriever: {text!r} has no tokenizer; choose a text that has one")
    identity = {"version": VERSION, "training": dataclasses.asdict(training), "image": image, "text": text}
    identity["vocabulary"] = tokenizer.to_dict()
    identity["data"] = [files.fingerprint(source) for source in (source_train, source_test)]
    path = files.path("retrievers", identity)

    def trained() -> None:
        logging.info("training the judge of %r and %r (%d steps), once: %s", image, text, training.steps, path)
        judge = train(source_train, source_test, image, text, training)
        files.write(path, {"accuracy": judge.accuracy, "num_test": judge.num_test}, judge.params)

    about, params = files.cached(path, trained)
    system = build_system(_config(image, text, source_train.modalities, training), source_train.modalities)
    measured = about["accuracy"], about["num_test"], files.trained_on(data, source_train)
    return Retriever(system, image, text, params, *measured, _known(data, text))


def _known(data: Mapping[str, Any], text: str) -> np.ndarray:
    """`[vocab_size] bool`: for a whole split, whose texts make the vocabulary, all ids but UNKNOWN."""
    source = files.training(data, (text,))
    known = np.ones(source.modalities[text].vocab_size, bool)
    if data.get("part"):
        indices = np.arange(len(source))
        known = np.isin(np.arange(len(known)), source.read(indices, np.zeros_like(indices))[text])
        known[[PADDING, END]] = True
    known[UNKNOWN] = False
    return known


def train(source_train, source_test, image: str, text: str, training: Training = Training()) -> Retriever:
    """A judge trained on `source_train` and measured on all of `source_test`; deterministic from `training.seed`."""
    source_train, source_test = (fitted.Pairs(source, (image, text)) for source in (source_train, source_test))
    config = _config(image, text, source_train.modalities, training)
    system, params = fitted.fit(config, source_train, training.batch_size)
    judge, batch = Retriever(system, image, text, params), source_test.all()
    found = retrieval_recall.recalls(*judge.embed(batch[image], batch[text]), (1,))[1]
    return dataclasses.replace(judge, accuracy=float(found.mean()), num_test=len(source_test))


def _config(image: str, text: str, modalities: Mapping[str, Modality], training: Training) -> Config:
    tokenizer = modalities[text].tokenizer
    words = tokenizer is not None and tokenizer.unit == "word"
    config = schema.base()
    config.seed = training.seed
    config.augment = {
        image: {"crop": training.crop, "rotate": 10.0, "brightness": 0.2, "contrast": 0.2, "cutout": 8},
        text: {"drop": 0.2 if words else 0.0},
    }
    config.encoders = {"image": {"name": "image.cnn", "modality": image, "features": 128}}
    config.fusion = {"name": "concat", "features": 128}
    config.target_encoder = {"name": "text.embedding" if words else "text.lstm", "features": 128}
    config.objective = {"name": "contrastive", "target": text}
    config.optimizers = {
        "encoder": {
            "lr": training.lr,
            "schedule": "cosine",
            "warmup_steps": min(100, training.steps // 10),
            "weight_decay": training.weight_decay,
            "ema_decay": 0.99,
        }
    }
    config.train.steps = training.steps
    return config
