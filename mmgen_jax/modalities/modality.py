"""The modalities of a batch, and the check of a batch against them.

A batch is a flat dict of arrays: one entry for each modality, and optionally `<name>/mask` `[B] bool`, False where an
example lacks the modality. The kind of a modality, a file of this folder, sets shape, dtype and range of its entry:

    text    [B, L]             int32    token ids in [0, vocab_size), 0 is padding
    image   [B, H, W, C]       float32  in [-1, 1]
    mask    [B, H, W, 1]       float32  1 in the hole, -1 elsewhere
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
WHOLE_SUFFIX = "/whole"  # of a picture that is drawn in tiles: the whole of a source, at the size of a tile

Batch = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Modality:
    """One named entry of the batch.

    Args:
      kind: the name of a file of this folder: `text`, `image`, `mask`, `audio`, `video`, `label`, `vector`, ….
      shape: of one example, without the batch axis: `(L,)`, `(H, W, C)`, `(S,)`, `(T, H, W, C)`, `()`, `(D,)`, ….
      sample_rate: of audio, in Hz.
      frame_rate: of video, in frames per second.
      classes: of a label, the name of each class.
      tokenizer: of text; its `vocab_size` bounds the ids.

    Raises:
      LookupFailed: there is no such kind.
      InputError: the kind has another number of axes than `shape`.
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
        """The modality's kind, an instance of `contracts.Kind` with all kind-specific methods."""
        return kinds.find(self.kind)(self)

    @property
    def space(self) -> Continuous | Discrete:
        """The space of the raw array, without any representation."""
        return self.traits.space

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.traits.dtype)

    def zeros(self, num: int) -> np.ndarray:
        """Zeros `[num, *shape]`: the placeholder for examples that lack the modality."""
        return np.zeros((num, *self.shape), self.dtype)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def num_frames(self) -> int:
        """Of a clip `[T, H, W, C]`; 0 for other shapes."""
        return self.shape[0] if len(self.shape) == 4 else 0

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size if self.tokenizer else 0


def name_of(key: str) -> str:
    """The name of the modality that an entry of a batch is of."""
    return key.removesuffix(MASK_SUFFIX).removesuffix(WHOLE_SUFFIX)


def check_batch(batch: Batch, modalities: Mapping[str, Modality], values: bool = True) -> None:
    """Raises BatchError unless every entry has the shape, dtype and range of its modality.

    A modality may be absent from the batch; then it counts as masked for every example. An entry that is no modality is
    refused: a misspelt name would otherwise be treated as an absent modality.

    Args:
      values: whether ranges are checked. Samples of a model may leave their range slightly.
    """
    sizes = {name: np.shape(array)[0] if np.ndim(array) else 0 for name, array in batch.items()}
    if len(set(sizes.values())) > 1:
        raise BatchError(f"batch: expected one batch size for every entry, got {sizes}")
    for name in batch:
        if name_of(name) not in modalities:
            raise BatchError(f"batch[{name!r}]: no such modality; the modalities are {', '.join(modalities)}")
        if name.endswith(MASK_SUFFIX):
            _check_array(name, np.asarray(batch[name]), (), np.dtype(bool))
        if name.endswith(WHOLE_SUFFIX):
            whole = modalities[name_of(name)]
            _check_array(name, np.asarray(batch[name]), whole.shape, whole.dtype)
    for name, modality in modalities.items():
        if name in batch:
            array, mask = np.asarray(batch[name]), batch.get(name + MASK_SUFFIX)
            _check_array(name, array, modality.shape, modality.dtype)
            present = array if mask is None else array[np.asarray(mask)]
            if values and present.size:
                modality.traits.check(name, present)


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if array.shape[1:] != tuple(shape) or array.ndim != len(shape) + 1:
        expected = "[" + ", ".join(["B", *map(str, shape)]) + "]"
        raise BatchError(f"batch[{name!r}].shape: expected {expected}, got {list(array.shape)}")
    if array.dtype != dtype:
        raise BatchError(f"batch[{name!r}].dtype: expected {dtype}, got {array.dtype}; cast it where it is read")


def modalities_to_json(modalities: Mapping[str, Modality]) -> str:
    """Modalities as JSON, with shapes, rates, class names and vocabularies; `modalities_from_json` reads it back."""
    fields = {}
    for name, modality in modalities.items():
        entry = {f.name: getattr(modality, f.name) for f in dataclasses.fields(modality) if f.name != "tokenizer"}
        entry["tokenizer"] = modality.tokenizer.to_dict() if modality.tokenizer else None
        fields[name] = entry
    return json.dumps(fields, indent=2, ensure_ascii=False)


def modalities_from_json(text: str) -> dict[str, Modality]:
    """The modalities that `modalities_to_json` wrote."""
    modalities = {}
    for name, entry in json.loads(text).items():
        entry["shape"], entry["classes"] = tuple(entry["shape"]), tuple(entry["classes"])
        if entry["tokenizer"]:
            entry["tokenizer"] = from_dict(entry["tokenizer"])
        modalities[name] = Modality(**entry)
    return modalities
