"""Augmentation of a batch inside the jitted step, from a key per example.

What happens to an example is a function of its own key alone, so it depends neither on its neighbours nor on how the
batch is laid out over devices. Each operation draws from (key, operation): two modalities with the same setting get
the same flip, rotation, crop, colours and cut-out, which keeps an aligned pair (an image and its edges, a clip and one
of its frames) aligned, and so do all frames of a video. Values stay in [-1, 1], masks and labels are not touched.

Settings are `{modality: {operation: strength}}`; an operation that is left out, or 0, leaves the values bitwise alone.
The operations of a kind, and their largest strengths, are in its file (`modalities/<kind>.py`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.modalities.modality import Batch, Modality

# Operations after which another modality's description may be wrong, with what it would describe.
MEANING = {"flip": "sides and directions", "reverse": "the order of events", "hue": "colours"}


@dataclasses.dataclass(frozen=True, eq=False)  # hashed by identity, as jit needs
class Augmentation:
    """`augment(batch, keys [B]) -> batch`.

    Args:
      settings: `{modality: {operation: strength}}`, as listed above.
      modalities: all of the set, also those without a setting.
      label_preserving: the operations of `MEANING` after which the set's other modalities still describe the example.

    Raises:
      ConfigError: see `check`.
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
      ConfigError: an unknown modality or operation, a strength out of range, or an operation of `MEANING` where another
        image or video does not get the same, or where another modality may describe it and `label_preserving` lacks it.
    """
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
            raise InputError(
                f"{where}: {other!r} may describe {MEANING[operation]}, which it changes; leave it out, or state "
                f"label_preserving = ({operation!r},) in the data source"
            )


def spec_augment(
    spectrogram: jax.Array,
    keys: jax.Array,
    time_width: int,
    frequency_width: int,
    time_masks: int = 2,
    frequency_masks: int = 2,
) -> jax.Array:
    """Stretches of frames and of bands of `[B, T, M]` set to the example's mean; Park et al. 2019, "SpecAugment".

    Each of the masks is from 0 to `time_width` frames, or `frequency_width` bands, long.
    """

    def one(spectrogram, key):
        keys = jax.random.split(key)
        frames, bands = spectrogram.shape
        masked = _spans(keys[0], frames, time_masks, time_width)[:, None] | _spans(
            keys[1], bands, frequency_masks, frequency_width
        )
        return jnp.where(masked, spectrogram.mean(), spectrogram)

    return jax.vmap(one)(spectrogram, keys)


def _spans(key: jax.Array, size: int, count: int, width: int) -> jax.Array:
    """`[size] bool`: the union of `count` spans, each of 0 to `width` positions."""
    draws = jax.random.uniform(key, (2, count, 1))
    length = jnp.floor(draws[0] * (min(width, size) + 1))
    start = jnp.floor(draws[1] * (size - length + 1))
    position = jnp.arange(size)
    return ((position >= start) & (position < start + length)).any(axis=0)
