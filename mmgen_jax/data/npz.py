"""The user's own .npz file: one array per modality, with the examples along the first axis.

    numpy.savez("shapes.npz", image=pictures, text=captions, label=classes)

    image [N, H, W], [N, H, W, C]   uint8, or floats in [0, 1] or in [-1, 1]; channels may come first
    video [N, T, H, W, C]           likewise
    audio [N, S]                    floats in [-1, 1], or whole numbers of 16 or 32 bits
    text  [N], [N, K]               strings (a dtype such as U40, never objects); of K texts, empty strings are none
    label [N]                       class numbers from 0, or names
    other names [N, D], [N, T, D]   floats: a vector of that name

An array with the name of any other kind is read by `of_array` of the kind (`modalities/<kind>.py`).

Of several texts of an example, training draws one by (seed, epoch, index); other splits show the first.

Plurals and `x`, `y`, `captions`, `img` are understood (`files/npz_columns.py`). Optional arrays beside NAME:
`NAME/mask`, `[N]` bool, False where an example lacks the modality; `NAME/classes`, names of a label's classes;
`NAME/sample_rate` in Hz.

Splits: names that begin or end with train, test or validation (`x_train`, `test_images`) give the split; other arrays
are training examples. A test or validation split that no name gives is drawn from the training examples, by a
permutation that depends on the seed; it gets `test_fraction` or `validation_fraction` of all examples of the file.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Count, NotNegative, Seed, Share, Sides, Size
from mmgen_jax.data import local
from mmgen_jax.data.files import folder_fields, npz_columns
from mmgen_jax.errors import ConfigError, DataError
from mmgen_jax.modalities import kinds
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality
from mmgen_jax.modalities.tokenizer import UNITS, build, split


@dataclasses.dataclass(kw_only=True)
class Source:
    """The examples of a file's split; the arrays are read at once and stay in memory.

    Args:
      file: the .npz file.
      names: modalities to read; () is all that the file has.
      image_size: side of square pictures and frames, cropped about their centre and resized; 0 leaves them as they are.
      num_frames: of a clip, evenly spread over the clip; 0 is all.
      audio_seconds: length to which a waveform is cut or padded with zeros; 0 is the array's own length.
      sample_rate: of waveforms in Hz, where the file does not give it.
      text_length, text_unit, min_count: as in `data/folder.py`; a length of 0 is that of the longest text.
      label_preserving: as in `data/folder.py`.

    Raises:
      DataError: the file or an array in it cannot be used.
    """

    splits: ClassVar[tuple[str, ...]] = npz_columns.SPLITS
    file: str
    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0
    image_size: Sides = 0
    num_frames: Count = 0
    audio_seconds: NotNegative = 0.0
    sample_rate: Size = 16_000
    text_length: Count = 0
    text_unit: str = "word"
    min_count: Size = 1
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.1
    label_preserving: tuple[str, ...] = ()

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"data.split: expected one of {', '.join(self.splits)}, got {self.split!r}")
        if self.text_unit not in UNITS:
            raise ConfigError(f"data.text_unit: expected word, character or byte, got {self.text_unit!r}")
        columns = npz_columns.Columns(self.file)
        if unknown := sorted(set(self.names) - set(columns.kinds)):
            raise ConfigError(f"data.names: {self.file} has no {unknown[0]!r}; it has: {', '.join(columns.kinds)}")
        self.names = tuple(self.names) or tuple(columns.kinds)
        fractions = {"validation": self.validation_fraction, "test": self.test_fraction}
        splits = columns.splits(self.seed, fractions)
        self._rows = np.flatnonzero(splits == self.split)
        if not len(self._rows):
            raise DataError(self.file, "data", "split", f"examples in {self.split!r}", "none", "add some")
        self.modalities: dict[str, Modality] = {}
        self._values: dict[str, np.ndarray | folder_fields.Field] = {}
        self._masks: dict[str, np.ndarray] = {}
        for name in self.names:
            values, about = columns.read(name)
            mask = columns.mask(name)
            modality, read = kinds.find(columns.kinds[name]).of_array(self, name, values, about)
            if modality.traits.has_vocabulary:
                read = self._tokenized(name, modality, read, splits == "train", mask)
                modality = read.modality
            self.modalities[name], self._values[name] = modality, read
            if not mask.all():
                self._masks[name] = mask

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """Examples of the split, the same in every pass but for those with several texts."""
        indices, epochs, batch = np.asarray(indices, np.int64), np.asarray(epochs, np.int64), {}
        rows = self._rows[indices]
        for name, values in self._values.items():
            if isinstance(values, folder_fields.Field):
                role = f"{self.seed}/{name}"
                draw = (lambda role=role: local.uniform(role, epochs, indices)) if self.split == "train" else None
                array = values.of(name, rows, draw)
            else:
                array = values[rows]
            if array.dtype == np.uint8:
                array = array.astype(np.float32) / np.float32(127.5) - np.float32(1)
            elif array.dtype == np.int16:
                array = array * np.float32(1 / 32768)
            if name in self._masks:
                present = self._masks[name][rows]
                array = np.where(present.reshape(-1, *[1] * (array.ndim - 1)), array, array.dtype.type(0))
                batch[name + MASK_SUFFIX] = present
            batch[name] = array
        return batch

    def references(self, text: str, ids: np.ndarray) -> list[np.ndarray]:
        """Every text `[L]` of the examples that have the text `ids [L]` of the modality `text`."""
        return self._texts[text].references(ids)

    def layout_found(self) -> list[str]:
        """How many examples have several texts."""
        return [f"{name}: {line}" for name, field in self._texts.items() for line in field.notes]

    def warnings(self) -> list[str]:
        """Possible mistakes in the data, one line each."""
        return [f"{name}: {line}" for name, field in self._texts.items() for line in field.warnings]

    @property
    def _texts(self) -> dict[str, folder_fields.Field]:
        return {name: field for name, field in self._values.items() if isinstance(field, folder_fields.Field)}

    def _tokenized(
        self, name: str, modality: Modality, values: np.ndarray, in_training: np.ndarray, mask: np.ndarray
    ) -> folder_fields.Field:
        """The field of texts `[N]` or `[N, K]`; the vocabulary is of the texts where `in_training & mask` is True."""
        if values.ndim == 1:
            texts = [(text,) for text in values.tolist()]
        else:
            texts = [tuple(text for text in several if text.strip()) for several in values.tolist()]
        every = [text for several in texts for text in several]
        training = [text for several, trained in zip(texts, in_training & mask) if trained for text in several]
        tokenizer = build(training, self.text_unit, min_count=self.min_count)
        if not every or (self.text_unit != "byte" and not tokenizer.vocabulary):
            expected = f"{self.text_unit}s in the training texts"
            raise DataError(self.file, name, "vocabulary", expected, "none", "add texts")
        longest = max(len(split(text, self.text_unit)) for text in every) + 1
        length = self.text_length or longest
        if longest > length:
            expected, advice = f"at most {length - 1} {self.text_unit}s", f"raise data.text_length to {longest}, or "
            raise DataError(self.file, name, "length", expected, longest - 1, advice + "leave it at 0")
        return folder_fields.of_texts(texts, mask, dataclasses.replace(modality, shape=(length,)), tokenizer)
