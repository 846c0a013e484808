"""What a modality is, and the check that a batch keeps to it.

A batch is a flat dict of arrays: one entry per modality, and optionally `<name>/mask` `[B] bool`, False where that
example lacks the modality. Shape, dtype and range of an entry are its kind's, a file of this folder each:

    text    [B, L]             int32    token ids in [0, vocab_size), 0 is padding
    image   [B, H, W, C]       float32  in [-1, 1]
    audio   [B, S]             float32  waveform in [-1, 1]
    video   [B, T, H, W, C]    float32  in [-1, 1]
    label   [B]                int32    class ids in [0, num_classes)
    vector  [B, D], [B, T, D]  float32  finite
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import BatchError as BatchError
from mmgen_jax.errors import InputError
from mmgen_jax.modalities import kinds
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.modalities.tokenizer import Tokenizer, from_dict

MASK_SUFFIX = "/mask"

Batch = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Modality:
    """One named entry of the batch.

    Args:
      kind: a file of this folder: `text`, `image`, `audio`, `video`, `label`, `vector`, ….
      shape: of one example, without the batch axis: `(L,)`, `(H, W, C)`, `(S,)`, `(T, H, W, C)`, `()`, `(D,)`, ….
      sample_rate: of audio, in Hz.
      frame_rate: of video, in frames per second.
      classes: of a label, the name of each class.
      tokenizer: of text; its `vocab_size` bounds the ids.

    Raises:
      LookupFailed: there is no such kind.
      InputError: a shape that the kind does not have.
    """

    kind: str
    shape: tuple[int, ...] = ()
    sample_rate: int = 0
    frame_rate: float = 0.0
    classes: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None

    def __post_init__(self):
        ranks = self.traits.ranks
        if len(self.shape) not in ranks:
            raise InputError(
                f"a modality of kind {self.kind!r} has {' or '.join(map(str, ranks))} axes per example, got shape "
                f"{self.shape}"
            )

    @property
    def traits(self) -> Any:
        """All that its kind makes of it, a `contracts.Kind`."""
        return kinds.find(self.kind)(self)

    @property
    def space(self) -> Continuous | Discrete:
        """Of the array itself."""
        return self.traits.space

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.traits.dtype)

    def zeros(self, num: int) -> np.ndarray:
        """`[num, *shape]`, what stands where examples lack the modality."""
        return np.zeros((num, *self.shape), self.dtype)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size if self.tokenizer else 0


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
            array, mask = np.asarray(batch[name]), batch.get(name + MASK_SUFFIX)
            _check_array(name, array, modality.shape, modality.dtype)
            present = array if mask is None else array[np.asarray(mask)]
            if present.size:
                modality.traits.check(name, present)


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
