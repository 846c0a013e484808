"""Augmentation of a batch inside the jitted step, from a key per example.

What happens to an example is a function of its own key alone, so it depends neither on its neighbours nor on how the
batch is laid out over devices. Each operation draws from (key, operation): two modalities with the same setting get
the same flip, rotation, crop, colours and cut-out, which keeps an aligned pair (an image and its edges, a clip and one
of its frames) aligned, and so do all frames of a video. Values stay in [-1, 1], masks and labels are not touched.

Settings are `{modality: {operation: strength}}`; an operation that is left out, or 0, leaves the values bitwise alone.

    image, video   flip        probability of a horizontal mirror image
                   rotate      at most so many degrees either way, bilinear, border repeated
                   crop        shift of at most so many pixels either way along both axes, border repeated
                   brightness  at most so much added to or taken from values in [0, 1]
                   contrast, saturation   factor in 1 ± strength
                   hue         at most this part of the colour circle either way
                   cutout      side in pixels of a square set to mid-grey
    video          reverse     probability of the frames in reverse order
    audio          shift       at most so many seconds earlier or later, silence moving in (a video does not follow)
                   gain        at most so many dB louder or softer, clipped
                   noise       white noise of this amplitude relative to the signal's (0.1 is a 20 dB SNR), clipped
    text           drop        probability of each word to be left out; what follows moves up
                   unknown     probability of each word to become `UNKNOWN`
                   synonym     probability of each word in one of the groups `synonyms` to become another one of it
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import dm_pix as pix
import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import Batch, Modality
from mmgen_jax.modalities.tokenizer import END, PADDING, UNKNOWN, synonym_table

# The largest strength of each operation, by kind; an operation's place in ORDER is what its draws are folded with.
_VISUAL = {"flip": 1, "rotate": 180, "crop": 1e4, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
_VISUAL |= {"cutout": 1e4}
LARGEST = {
    "image": _VISUAL,
    "video": _VISUAL | {"reverse": 1},
    "audio": {"shift": 1e4, "gain": 100, "noise": 10},
    "text": {"drop": 1, "unknown": 1, "synonym": 1},
    "label": {},
}
ORDER = (*LARGEST["video"], *LARGEST["audio"], *LARGEST["text"], "choice")

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
      ValueError: see `check`.
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
                function = functools.partial(BY_KIND[self.modalities[name].kind], dict(settings), self.modalities[name])
                augmented[name] = jax.vmap(function)(batch[name], keys)
        return augmented


def check(
    settings: Mapping[str, Mapping[str, Any]], modalities: Mapping[str, Modality], label_preserving: frozenset[str]
) -> None:
    """Refuses settings that cannot be applied, or that would make the modalities of an example disagree.

    Raises:
      ValueError: an unknown modality or operation, a strength out of range, or an operation of `MEANING` where another
        image or video does not get the same, or where another modality may describe it and `label_preserving` lacks it.
    """
    for name, operations in settings.items():
        if name not in modalities:
            raise ValueError(f"augment: no modality {name!r} in the data; its modalities are: {', '.join(modalities)}")
        modality = modalities[name]
        largest = LARGEST[modality.kind]
        for operation, strength in operations.items():
            where = f"augment.{name}.{operation}"
            if operation == "synonyms" and modality.kind == "text":
                synonym_table(modality.tokenizer, strength)
                continue
            if operation not in largest:
                raise ValueError(
                    f"{where}: {modality.kind} has no such operation; it has: {', '.join(largest) or 'none'}"
                )
            if not isinstance(strength, (int, float)) or not 0 <= strength <= largest[operation]:
                raise ValueError(f"{where}: expected a strength from 0 to {largest[operation]:g}, got {strength!r}")
            if operation in ("saturation", "hue") and strength and modality.shape[-1] != 3:
                raise ValueError(f"{where}: needs 3 channels, {name!r} has {modality.shape[-1]}; leave it out")
            if operation in ("crop", "cutout"):
                side = min(modality.shape[-3:-1])
                if strength != int(strength) or strength > side:
                    raise ValueError(f"{where}: expected whole pixels, at most {side}, got {strength}")
            if operation == "synonym" and strength and not operations.get("synonyms"):
                raise ValueError(f"{where}: needs augment.{name}.synonyms, groups of words such as (('big', 'large'),)")
            if operation in MEANING and strength:
                _check_meaning(name, operation, settings, modalities, label_preserving)


def _check_meaning(name, operation, settings, modalities, label_preserving) -> None:
    strength = settings[name][operation]
    for other, modality in modalities.items():
        if other == name or (operation == "hue" and modality.kind in ("image", "video") and modality.shape[-1] == 1):
            continue
        where = f"augment.{name}.{operation}"
        if operation in LARGEST[modality.kind]:
            if settings.get(other, {}).get(operation, 0) != strength:
                raise ValueError(
                    f"{where}: {other!r} shows the same example and would not follow; set augment.{other}.{operation} "
                    f"to {strength} too, or leave both out"
                )
        elif operation not in label_preserving:
            raise ValueError(
                f"{where}: {other!r} may describe {MEANING[operation]}, which it changes; leave it out, or state "
                f"label_preserving = ({operation!r},) in the data source"
            )


def _draw(key: jax.Array, operation: str, shape: tuple[int, ...] = ()) -> jax.Array:
    """Uniform in [0, 1)."""
    return jax.random.uniform(jax.random.fold_in(key, ORDER.index(operation)), shape)


def _either_way(key: jax.Array, operation: str, strength: float) -> jax.Array:
    return strength * (2.0 * _draw(key, operation) - 1.0)


def _image(settings: dict[str, float], modality: Modality, image: jax.Array, key: jax.Array) -> jax.Array:
    return _video(settings, modality, image[None], key)[0]


def _video(settings: dict[str, float], modality: Modality, frames: jax.Array, key: jax.Array) -> jax.Array:
    """One example, `[T, H, W, C]`."""
    strength = {operation: settings.get(operation, 0) for operation in LARGEST["video"]}
    if strength["reverse"]:
        frames = jnp.where(_draw(key, "reverse") < strength["reverse"], frames[::-1], frames)
    if strength["flip"]:
        frames = jnp.where(_draw(key, "flip") < strength["flip"], frames[:, :, ::-1], frames)
    if strength["rotate"]:
        frames = rotate(frames, jnp.deg2rad(_either_way(key, "rotate", strength["rotate"])))
    if padding := int(strength["crop"]):
        start = jnp.floor(_draw(key, "crop", (2,)) * (2 * padding + 1)).astype(jnp.int32)
        padded = jnp.pad(frames, [(0, 0), (padding, padding), (padding, padding), (0, 0)], mode="edge")
        frames = jax.lax.dynamic_slice(padded, (0, start[0], start[1], 0), frames.shape)
    if any(strength[operation] for operation in ("brightness", "contrast", "saturation", "hue")):
        frames = _recolour((frames + 1.0) / 2.0, key, strength) * 2.0 - 1.0
    if side := int(strength["cutout"]):
        inside = []
        for size, u in zip(frames.shape[1:3], _draw(key, "cutout", (2,))):
            offset = jnp.arange(size) - jnp.floor(u * (size - side + 1))
            inside.append((offset >= 0) & (offset < side))
        frames = jnp.where((inside[0][:, None] & inside[1])[:, :, None], 0.0, frames)
    return frames


def _recolour(frames: jax.Array, key: jax.Array, strength: dict[str, float]) -> jax.Array:
    """Values in [0, 1]."""
    if strength["brightness"]:
        frames = pix.adjust_brightness(frames, _either_way(key, "brightness", strength["brightness"]))
    if strength["contrast"]:
        frames = pix.adjust_contrast(frames, 1.0 + _either_way(key, "contrast", strength["contrast"]))
    frames = jnp.clip(frames, 0.0, 1.0)  # hue and saturation are defined there alone
    if strength["saturation"]:
        frames = pix.adjust_saturation(frames, 1.0 + _either_way(key, "saturation", strength["saturation"]))
    if strength["hue"]:
        frames = pix.adjust_hue(frames, _either_way(key, "hue", strength["hue"]))
    return jnp.clip(frames, 0.0, 1.0)


def rotate(frames: jax.Array, angle: jax.Array) -> jax.Array:
    """`[T, H, W, C]` turned counter-clockwise by `angle` radians about the centre; bilinear, border repeated."""
    y, x = ((jnp.arange(size) - (size - 1) / 2.0) for size in frames.shape[1:3])
    y, x = y[:, None], x[None, :]
    source = (
        jnp.cos(angle) * y + jnp.sin(angle) * x + (frames.shape[1] - 1) / 2.0,
        jnp.cos(angle) * x - jnp.sin(angle) * y + (frames.shape[2] - 1) / 2.0,
    )
    interpolate = functools.partial(jax.scipy.ndimage.map_coordinates, coordinates=source, order=1, mode="nearest")
    return jax.vmap(jax.vmap(interpolate), in_axes=-1, out_axes=-1)(frames)


def _audio(settings: dict[str, float], modality: Modality, waveform: jax.Array, key: jax.Array) -> jax.Array:
    """One example, `[S]`."""
    size = waveform.shape[0]
    if seconds := settings.get("shift", 0):
        source = jnp.arange(size) - jnp.round(_either_way(key, "shift", seconds * modality.sample_rate)).astype(int)
        waveform = jnp.where((source >= 0) & (source < size), waveform[jnp.clip(source, 0, size - 1)], 0.0)
    if gain := settings.get("gain", 0):
        waveform = jnp.clip(waveform * 10.0 ** (_either_way(key, "gain", gain) / 20.0), -1.0, 1.0)
    if amplitude := settings.get("noise", 0):
        noise = jax.random.normal(jax.random.fold_in(key, ORDER.index("noise")), (size,))
        waveform = jnp.clip(waveform + amplitude * jnp.sqrt(jnp.square(waveform).mean()) * noise, -1.0, 1.0)
    return waveform


def _text(settings: dict[str, Any], modality: Modality, ids: jax.Array, key: jax.Array) -> jax.Array:
    """One example, `[L]`; END stays, so that the text may come out empty."""
    word = (ids != PADDING) & (ids != END)
    if rate := settings.get("synonym", 0):
        others = jnp.asarray(synonym_table(modality.tokenizer, settings["synonyms"]))[ids]  # [L, K]
        count = (others != PADDING).sum(-1)
        choice = jnp.floor(_draw(key, "choice", ids.shape) * count).astype(jnp.int32)
        other = jnp.take_along_axis(others, choice[:, None], axis=1)[:, 0]
        ids = jnp.where((count > 0) & (_draw(key, "synonym", ids.shape) < rate), other, ids)
    if rate := settings.get("unknown", 0):
        ids = jnp.where(word & (_draw(key, "unknown", ids.shape) < rate), UNKNOWN, ids)
    if rate := settings.get("drop", 0):
        ids = jnp.where(word & (_draw(key, "drop", ids.shape) < rate), PADDING, ids)
        ids = ids[jnp.argsort(ids == PADDING, stable=True)]
    return ids


BY_KIND = {"image": _image, "video": _video, "audio": _audio, "text": _text}


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
