"""Clothing: real photos of ten kinds of garment, with captions.

- image: 3,781 photos that people took of their clothes.
- clothing: the kind of garment.
- text: one of the captions of its kind ("a photo of a skirt", "this photo shows a skirt", …), from a small closed
  grammar; a caption holds no information beyond the label.

Home: https://github.com/alexeygrigorev/clothing-dataset-small (Alexey Grigorev and contributors, 2020; CC0).
`git clone` the repository as `$MMGEN_DATA/clothing`: `{train,validation,test}/<class>/*.jpg`. Photos may have any size;
each is cropped to the middle square, resized, and cached.

Splits: the set's own, 3,068 train, 341 validation, 372 test.

In `train`, the caption of an example is drawn anew for each pass, by (epoch, index); in the other splits it is fixed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Side, Size
from mmgen_jax.data import local
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality

NOUNS = {
    "dress": ("a dress",),
    "hat": ("a hat",),
    "longsleeve": ("a long-sleeved top", "a longsleeve"),
    "outwear": ("outerwear", "a piece of outerwear"),
    "pants": ("pants", "trousers"),
    "shirt": ("a shirt",),
    "shoes": ("shoes", "footwear"),
    "shorts": ("shorts",),
    "skirt": ("a skirt",),
    "t-shirt": ("a t-shirt", "a tee"),
}
CLASSES = tuple(NOUNS)
CAPTIONS = (
    "{}",
    "a photo of {}",
    "a picture of {}",
    "a photo showing {}",
    "this photo shows {}",
    "someone's photo of {}",
)


def captions(name: str) -> list[str]:
    """Every caption of a class; no two classes share one."""
    return [caption.format(noun) for caption in CAPTIONS for noun in NOUNS[name]]


TOKENIZER = tokenizer.build((caption for name in CLASSES for caption in captions(name)), open=False)


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """The clothing set.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `image`, `clothing`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/clothing`.
      image_size: side in pixels, 8 to 512.
      text_length: ids per caption, with END; the longest caption takes 8.
    """

    available: ClassVar[tuple[str, ...]] = ("text", "image", "clothing")
    layout: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    home: ClassVar[str] = "https://github.com/alexeygrigorev/clothing-dataset-small"
    # A mirrored, recoloured or larger garment is of the same kind, and the captions name nothing but the kind.
    label_preserving: ClassVar[tuple[str, ...]] = ("flip", "hue", "zoom")

    caption_labels: ClassVar[tuple[str, ...]] = ("clothing",)

    image_size: Side = 64
    text_length: Size = 8

    def _load(self) -> None:
        self.require("image_size", "8 to 512", 8 <= self.image_size <= 512)
        self.require("split", f"one of {', '.join(self.splits)}", self.split in self.splits)
        folder = self.root / self.split
        image = Modality("image", (self.image_size, self.image_size, 3))
        files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in image.traits.suffixes)
        if unknown := [path for path in files if path.parent.name not in NOUNS]:
            expected = f"one of {', '.join(CLASSES)}"
            raise self.error(unknown[0], "clothing", "folder", expected, unknown[0].parent.name, "move the file")
        if "image" in self.names:
            read = image.traits.read_file
            self._columns["image"] = self._decoded("image", files, image, lambda path: read(path, "image"))
        self._columns["clothing"] = np.array([CLASSES.index(path.parent.name) for path in files], np.int32)
        self._captions = [
            np.array([TOKENIZER.encode(caption, self.text_length) for caption in captions(name)]) for name in CLASSES
        ]
        self.modalities = {
            "text": Modality("text", (self.text_length,), tokenizer=TOKENIZER),
            "image": image,
            "clothing": Modality("label", classes=CLASSES),
        }
        self._rows = np.arange(len(files))

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        indices = np.asarray(indices, np.int64)
        epochs = np.asarray(epochs, np.int64) if self.split == "train" else np.zeros_like(indices)
        batch = {}
        for name in self.names:
            if name != "text":
                batch[name] = self._values(name, indices)
                continue
            choices = [self._captions[label] for label in self._values("clothing", indices)]
            draw = local.uniform("clothing", epochs, indices)
            batch[name] = np.array([choice[int(u * len(choice))] for choice, u in zip(choices, draw)])
        return batch

    def true_captions(self, labels: Mapping[str, int]) -> list[str]:
        return captions(CLASSES[labels["clothing"]])
