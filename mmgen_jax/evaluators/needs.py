"""Requirements of evaluators on modalities and models: an unsuitable evaluator is refused before the training.

Each check raises a ConfigError that begins with the evaluator's field; `evaluate.build` puts the evaluator's place
before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous, Discrete, is_clip, is_picture


@dataclasses.dataclass(frozen=True)
class Need:
    """A kind of modality, in words and as a predicate."""

    words: str
    suits: Callable[[Modality], bool]


TEXT = Need("a text", lambda modality: modality.traits.has_vocabulary)
LABEL = Need("a label", lambda modality: isinstance(modality.space, Discrete) and not modality.traits.has_vocabulary)
PICTURE = Need("a picture", lambda modality: is_picture(modality.space))
SOUND = Need("a sound", lambda modality: modality.sample_rate > 0)
CLIP = Need("a clip", lambda modality: is_clip(modality.space))
PICTURE_OR_CLIP = Need("a picture or a clip", lambda modality: is_picture(modality.space) or is_clip(modality.space))
VALUES = Need("a picture, a clip, a sound or a vector", lambda modality: isinstance(modality.space, Continuous))


def modality(evaluator: Any, field: str, need: Need, modalities: Mapping[str, Modality]) -> None:
    """Raises ConfigError unless the modality that a field of the evaluator names is as needed."""
    name = getattr(evaluator, field)
    if name in modalities and need.suits(modalities[name]):
        return
    got = f"{name!r} ({modalities[name].kind})" if name in modalities else f"{name!r}, which the data lacks"
    fitting = ", ".join(other for other, known in modalities.items() if need.suits(known)) or "none is here"
    advice = "measure the model by another evaluator" if field == "target" else f"set {field} to such a one ({fitting})"
    raise ConfigError(f"{field}: expected {need.words}, got {got}; {advice}")


def sides(evaluator: Any, smallest: int, modalities: Mapping[str, Modality]) -> None:
    """Raises ConfigError unless the target is a picture with sides from `smallest` px."""
    modality(evaluator, "target", PICTURE, modalities)
    height, width, _ = modalities[evaluator.target].shape
    if min(height, width) < smallest:
        raise ConfigError(
            f"target: expected pictures with sides from {smallest} px, got {height} x {width}; use larger pictures"
        )


def conditions(names: Sequence[str], advice: str = "") -> None:
    """Raises ConfigError for a model without conditions, whose samples belong to no example.

    Args:
      advice: further advice for the message; it begins with a semicolon.
    """
    if not names:
        raise ConfigError(
            "expected a model with conditions, got none: it compares a sample with the example that the conditions "
            f"are from; add an encoder{advice}"
        )
