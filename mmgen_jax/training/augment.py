"""Augmentation of a batch inside the jitted step, with one key per example.

The augmentation of an example depends only on the example's own key, neither on the other examples nor on the layout of
devices. Each operation draws from (key, operation). Two modalities with the same setting therefore get the same flip,
rotation, crop, colours and cut-out, so that an aligned pair (an image and its edges, a clip and one of its frames)
stays aligned; all frames of a video also get the same draws. Values stay in [-1, 1]; masks and labels do not change.

Settings are `{modality: {operation: strength}}`; with an operation left out, or of strength 0, values are bitwise
unchanged. The file of each kind (`modalities/<kind>.py`) lists its operations and their largest strengths.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.modalities.modality import Batch, Modality

# {operation: content that the operation changes, and that another modality may describe}
MEANING = {"flip": "sides and directions", "reverse": "the order of events", "hue": "colours", "zoom": "sizes"}


@dataclasses.dataclass(frozen=True, eq=False)  # hashed by identity, as jit needs
class Augmentation:
    """The function `(batch, keys [B]) -> batch` with augmented examples.

    Args:
      settings: `{modality: {operation: strength}}`.
      modalities: all modalities of the data set, also those without a setting.
      label_preserving: the operations of `MEANING` after which the other modalities still describe the example.

    Raises:
      ConfigError, InputError: see `check`.
    """

    settings: Mapping[str, Mapping[str, Any]]
    modalities: Mapping[str, Modality]
    label_preserving: Iterable[str] = ()

    def __post_init__(self):
        check(self.settings, self.modalities, frozenset(self.label_preserving))

    def __call__(self, batch: Batch, keys: jax.Array) -> dict[str, jax.Array]:
        augmented = dict(batch)
        for name, settings in self.settings.items():
            if name in batch:
                function = functools.partial(self.modalities[name].traits.augment, dict(settings))
                augmented[name] = jax.vmap(function)(batch[name], keys)
        return augmented


def check(
    settings: Mapping[str, Mapping[str, Any]], modalities: Mapping[str, Modality], label_preserving: frozenset[str]
) -> None:
    """Refuses settings that cannot be applied, or that would make the modalities of an example disagree.

    Raises:
      ConfigError: an unknown modality, or an unknown operation in `label_preserving`.
      InputError: an unknown operation, or a strength out of range. Also an operation of `MEANING` if another image or
        video of the example has another strength, or if another modality may describe the changed content and
        `label_preserving` does not name the operation.
    """
    if unknown := sorted(label_preserving - MEANING.keys()):
        expected = f"a tuple of some of {', '.join(MEANING)}"
        raise ConfigError(f"data.label_preserving: expected {expected}, got {unknown[0]!r}; correct it")
    for name, operations in settings.items():
        if name not in modalities:
            raise ConfigError(f"augment: no modality {name!r} in the data; its modalities are: {', '.join(modalities)}")
        for operation, strength in operations.items():
            modalities[name].traits.check_augmentation(f"augment.{name}.{operation}", operation, strength, operations)
            if operation in MEANING and strength:
                _check_meaning(name, operation, settings, modalities, label_preserving)


def _check_meaning(name, operation, settings, modalities, label_preserving) -> None:
    strength = settings[name][operation]
    for other, modality in modalities.items():
        if other == name or modality.traits.is_blind_to(operation):
            continue
        where = f"augment.{name}.{operation}"
        if operation in modality.traits.operations:
            if settings.get(other, {}).get(operation, 0) != strength:
                raise InputError(
                    f"{where}: {other!r} shows the same example and would not follow; set augment.{other}.{operation} "
                    f"to {strength} too, or leave both out"
                )
        elif operation not in label_preserving:
            flag = f'--config.data.label_preserving="({operation!r},)"'
            raise InputError(
                f"{where}: {other!r} may describe {MEANING[operation]}, which {operation!r} changes; leave it out, or "
                f"where this does not hold for your own data: {flag}"
            )
