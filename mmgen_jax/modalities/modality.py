"""What a modality is, and the check that a batch keeps to it.

A batch is a flat dict of arrays: one entry per modality, and optionally `<name>/mask` `[B] bool`, False where that
example lacks the modality. Shapes and ranges, by kind:

    text   [B, L]           int32    token ids in [0, vocab_size), 0 is padding
    image  [B, H, W, C]     float32  in [-1, 1]
    audio  [B, S]           float32  waveform in [-1, 1]
    video  [B, T, H, W, C]  float32  in [-1, 1]
    label  [B]              int32    class ids in [0, num_classes)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.modalities.tokenizer import END, Tokenizer, from_dict

RANK = {"text": 1, "image": 3, "audio": 1, "video": 4, "label": 0}  # of one example
DTYPE = {"text": np.int32, "image": np.float32, "audio": np.float32, "video": np.float32, "label": np.int32}
MASK_SUFFIX = "/mask"

Batch = Mapping[str, Any]


class BatchError(ValueError):
    """A batch that does not keep to its modalities; the message names modality, field, expected and got."""


@dataclasses.dataclass(frozen=True)
class Modality:
    """One named entry of the batch.

    Args:
      kind: `text`, `image`, `audio`, `video` or `label`.
      shape: of one example, without the batch axis: `(L,)`, `(H, W, C)`, `(S,)`, `(T, H, W, C)` or `()`.
      sample_rate: of audio, in Hz.
      frame_rate: of video, in frames per second.
      classes: of a label, the name of each class.
      tokenizer: of text; its `vocab_size` bounds the ids.
    """

    kind: str
    shape: tuple[int, ...] = ()
    sample_rate: int = 0
    frame_rate: float = 0.0
    classes: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None

    def __post_init__(self):
        if self.kind not in RANK:
            raise ValueError(f"modality kind {self.kind!r} does not exist; the kinds are {', '.join(RANK)}")
        if len(self.shape) != RANK[self.kind]:
            raise ValueError(
                f"a modality of kind {self.kind!r} has {RANK[self.kind]} axes per example, got shape {self.shape}"
            )

    @property
    def space(self) -> Continuous | Discrete:
        """Of the array itself."""
        if self.kind == "text":
            return Discrete(self.shape[0], self.vocab_size, END)
        if self.kind == "label":
            return Discrete(1, self.num_classes)
        return Continuous((*self.shape, 1) if self.kind == "audio" else self.shape)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size if self.tokenizer else 0

    @property
    def upper_bound(self) -> int:
        """The first integer that is too large, for kinds whose entries are ids; else 0."""
        return {"text": self.vocab_size, "label": self.num_classes}.get(self.kind, 0)


def check_batch(batch: Batch, modalities: Mapping[str, Modality]) -> None:
    """Raises BatchError unless every modality is there with its shape, dtype and range.

    A modality may be absent from the batch; then it is masked for every example. Entries that are no modality are
    refused, because a misspelt name would otherwise be an absent modality.
    """
    sizes = {name: np.shape(array)[0] if np.ndim(array) else 0 for name, array in batch.items()}
    if len(set(sizes.values())) > 1:
        raise BatchError(f"batch: expected one batch size for every entry, got {sizes}")
    for name in batch:
        if name.removesuffix(MASK_SUFFIX) not in modalities:
            raise BatchError(f"batch[{name!r}]: no such modality; the modalities are {', '.join(modalities)}")
        if name.endswith(MASK_SUFFIX):
            _check_array(name, np.asarray(batch[name]), (), np.dtype(bool))
    for name, modality in modalities.items():
        if name in batch:
            _check_modality(name, np.asarray(batch[name]), modality, batch.get(name + MASK_SUFFIX))


def _check_modality(name: str, array: np.ndarray, modality: Modality, mask) -> None:
    _check_array(name, array, modality.shape, np.dtype(DTYPE[modality.kind]))
    present = array if mask is None else array[np.asarray(mask)]
    if not present.size:
        return
    low, high = present.min(), present.max()
    if modality.upper_bound:
        if low < 0 or high >= modality.upper_bound:
            raise BatchError(
                f"batch[{name!r}].range ({modality.kind}): expected ids in [0, {modality.upper_bound}), got "
                f"[{low}, {high}]; encode it with the modality's own tokenizer or class list"
            )
    elif np.issubdtype(array.dtype, np.floating) and not (low >= -1.0 and high <= 1.0):  # a NaN fails both
        raise BatchError(
            f"batch[{name!r}].range ({modality.kind}): expected values in [-1, 1], got [{low:.4g}, {high:.4g}]; "
            "scale them where the source reads them (pixels: x / 127.5 - 1)"
        )


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if array.shape[1:] != tuple(shape) or array.ndim != len(shape) + 1:
        expected = "[" + ", ".join(["B", *map(str, shape)]) + "]"
        raise BatchError(f"batch[{name!r}].shape: expected {expected}, got {list(array.shape)}")
    if array.dtype != dtype:
        raise BatchError(f"batch[{name!r}].dtype: expected {dtype}, got {array.dtype}; cast it where it is read")


def modalities_to_json(modalities: Mapping[str, Modality]) -> str:
    """The modalities as text that `from_json` reads back: shapes, rates, class names and vocabularies."""
    fields = {}
    for name, modality in modalities.items():
        entry = {f.name: getattr(modality, f.name) for f in dataclasses.fields(modality) if f.name != "tokenizer"}
        entry["tokenizer"] = modality.tokenizer.to_dict() if modality.tokenizer else None
        fields[name] = entry
    return json.dumps(fields, indent=2, ensure_ascii=False)


def modalities_from_json(text: str) -> dict[str, Modality]:
    modalities = {}
    for name, entry in json.loads(text).items():
        entry["shape"], entry["classes"] = tuple(entry["shape"]), tuple(entry["classes"])
        if entry["tokenizer"]:
            entry["tokenizer"] = from_dict(entry["tokenizer"])
        modalities[name] = Modality(**entry)
    return modalities
