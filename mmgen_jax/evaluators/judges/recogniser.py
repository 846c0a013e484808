"""The judge of speech: a recogniser of the data's own sentences, trained by CTC on its real sounds; cached.

The judge is trained on the whole training split, or on the part of the split that the model is not trained on
(`config.data.part`), and reads words. As in `classifier.py`, the judge is identified by a hash of its weights; numbers
from two judges are comparable only where the hash is the same. Network and training are like those of
`configs/speech_recognition.py`.
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
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators.judges import files, fitted
from mmgen_jax.evaluators.measures import error_rate

VERSION = 1  # raise it whenever the architecture or the training below changes
OF_TEXT = ("text_unit", "text_length")  # fields of `config.data` by which a model reads texts; the judge has its own


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge is trained: AdamW, learning rate from `lr` to 0 by a cosine, shifted sounds, masked bands and frames.

    Args:
      features: width of the recurrent layers.
      num_layers: number of recurrent layers.
    """

    steps: int = 8000
    batch_size: int = 16
    lr: float = 2e-3
    weight_decay: float = 1e-2
    features: int = 160
    num_layers: int = 2
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Recogniser:
    """A trained judge.

    Args:
      system: the recogniser and its objective.
      audio, text: the modalities.
      params: parameters of the objective, NumPy arrays.
      word_error_rate: on the real sounds of the test split, at least 0.
      num_test: number of test examples that `word_error_rate` was measured on.
      trained_on: the set, its split and the number of examples, see `files.trained_on`.
    """

    system: System
    audio: str
    text: str
    params: Mapping[str, Any]
    word_error_rate: float = float("nan")
    num_test: int = 0
    trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """The fields about the judge in an evaluation's entry."""
        measured = {"judge_word_error_rate": self.word_error_rate, "judge_num_test": self.num_test}
        return {"judge": files.weights_hash(self.params), **measured, "judge_trained_on": dict(self.trained_on)}

    @functools.cached_property
    def _sampler(self):
        return fitted.sampler_of(self.system, self.params)

    def transcribe(self, waveforms: np.ndarray, sample_rate: int) -> list[str]:
        """The text of each waveform `[N, S]` in [-1, 1], of the length and the rate of the data.

        Raises:
          InputError: another length or rate.
        """
        modality = self.system.modalities[self.audio]
        if (waveforms.shape[1:], sample_rate) != (modality.shape, modality.sample_rate):
            raise InputError(
                f"judge: expected sounds of {modality.shape[0]} samples at {modality.sample_rate} Hz, got "
                f"{waveforms.shape[1]} samples at {sample_rate} Hz; give it sounds of its data"
            )
        ids = self._sampler({self.audio: waveforms})[self.text]
        tokenizer = self.system.modalities[self.text].tokenizer
        assert tokenizer is not None
        return [tokenizer.decode(row) for row in ids]


def load(data: Mapping[str, Any], audio: str, text: str, training: Training = Training()) -> Recogniser:
    """The judge of `text` from `audio` of a data set; trained and cached where the cache lacks it.

    Args:
      data: the data set, as in `config.data`. Split, modalities and the unit of the text are chosen here; a `fraction`
        is ignored.
      audio, text: modalities of the source.

    Raises:
      ConfigError: the text has no tokenizer.
      InputError: the data has no test split.
    """
    read = {name: value for name, value in data.items() if name not in OF_TEXT}
    sources = files.sources(read, (audio, text))
    tokenizer = sources[0].modalities[text].tokenizer
    if tokenizer is None:
        raise ConfigError(f"recogniser: {text!r} has no tokenizer; choose a text that has one")
    identity = {"version": VERSION, "training": dataclasses.asdict(training), "audio": audio, "text": text}
    identity["vocabulary"] = tokenizer.to_dict()
    identity["data"] = [files.fingerprint(source) for source in sources]
    path = files.path("recognisers", identity)

    def trained() -> None:
        logging.info("training the judge of %r from %r (%d steps), once: %s", text, audio, training.steps, path)
        judge = train(*sources, audio, text, training)
        files.write(path, {"word_error_rate": judge.word_error_rate, "num_test": judge.num_test}, judge.params)

    about, params = files.cached(path, trained)
    modalities = sources[0].modalities
    system = build_system(_config(audio, text, training), modalities)
    measured = about["word_error_rate"], about["num_test"], files.trained_on(read, sources[0])
    return Recogniser(system, audio, text, params, *measured)


def train(source_train, source_test, audio: str, text: str, training: Training = Training()) -> Recogniser:
    """A judge trained on `source_train` and measured on all of `source_test`; deterministic from `training.seed`."""
    source_train, source_test = (fitted.Pairs(source, (audio, text)) for source in (source_train, source_test))
    system, params = fitted.fit(_config(audio, text, training), source_train, training.batch_size)
    judge = Recogniser(system, audio, text, params)
    batch, modalities = source_test.all(), source_test.modalities
    references = [modalities[text].tokenizer.decode(ids) for ids in batch[text]]
    found = judge.transcribe(batch[audio], modalities[audio].sample_rate)
    rate = error_rate.rate(*error_rate.edits(references, found, "word"))
    return dataclasses.replace(judge, word_error_rate=rate, num_test=len(references))


def _config(audio: str, text: str, training: Training) -> Config:
    config = schema.base()
    config.seed = training.seed
    config.augment = {audio: {"shift": 0.1, "gain": 6.0}}
    config.encoders = {
        "audio": {
            "name": "audio.conv_recurrent",
            "modality": audio,
            "features": training.features,
            "channels": (16, 24),
            "num_layers": training.num_layers,
            "dropout": 0.2,
            "masked_frames": 6,
            "masked_bands": 6,
        }
    }
    config.fusion = {"name": "concat", "features": training.features}
    config.objective = {"name": "ctc", "target": text, "dropout": 0.2}
    config.optimizers = {
        "classifier": {
            "lr": training.lr,
            "schedule": "cosine",
            "warmup_steps": min(100, training.steps // 10),
            "clip_norm": 1.0,
            "weight_decay": training.weight_decay,
            "ema_decay": 0.99,
        }
    }
    config.train.steps = training.steps
    return config
