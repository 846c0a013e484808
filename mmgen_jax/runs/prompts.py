"""What a user gives as conditions, as arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from absl import logging

from mmgen_jax.config import schema
from mmgen_jax.modalities.modality import Modality


def read_given(
    given: Mapping[str, str], names: tuple[str, ...], modalities: Mapping[str, Modality]
) -> dict[str, np.ndarray]:
    """What is given for a model that reads `names`: `{name: array}` without a batch axis; warns of unknown words.

    Raises:
      ConfigError: the model reads none of a kind that is given, or several.
      features.text.TextError, data.decode.DataError: what is given cannot be read.
    """
    arrays = {}
    for kind, value in given.items():
        name = _condition(kind, names, modalities)
        arrays[name] = _read(kind, value, name, modalities[name])
        if kind == "text" and (unknown := modalities[name].tokenizer.unknown(value)):  # a closed one refused them
            logging.warning("--text: words that the model does not know, and reads as one: %s", ", ".join(unknown))
    return arrays


def _condition(kind: str, conditions: tuple[str, ...], modalities: Mapping[str, Modality]) -> str:
    matching = [name for name in conditions if modalities[name].kind == kind]
    if len(matching) != 1:
        known = ", ".join(f"{name} ({modalities[name].kind})" for name in conditions) or "none"
        raise schema.ConfigError(f"--{kind}: the model has {len(matching)} conditions of that kind; it has: {known}")
    return matching[0]


def _read(kind: str, value: str, name: str, modality: Modality) -> np.ndarray:
    from mmgen_jax.modalities import decode

    if kind == "text":
        return modality.tokenizer.encode(value, modality.shape[0])
    if kind == "image":
        return decode.image(value, modality.shape, name)
    if kind == "audio":
        return decode.audio(value, modality.shape[0], modality.sample_rate, name)
    return decode.video(value, modality.shape, modality.frame_rate, name)
