"""One field of a notebook's data, as arrays with the examples along the first axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.modalities import kinds

USABLE = "biufUS"  # kinds of dtypes that a file holds


@dataclasses.dataclass(frozen=True)
class Column:
    """A field of a split.

    Args:
      split: "" without splits.
      field: its name in the source.
      name: of the modality.
      by_field: whether `names=` takes the field's name, or a name for each place of a tuple.
    """

    split: str
    field: str
    name: str
    by_field: bool = True

    def refused(self, expected: str, got: Any) -> InputError:
        """The error of a field that cannot be used, with the advice how to leave it out."""
        where = f"{self.split}: {self.field}" if self.split else self.field
        how = f"names={{{self.field!r}: None}}" if self.by_field else "None in its place of names=(…)"
        return InputError(f"source: {where}: expected {expected}, got {got}; mend it, or leave the field out: {how}")

    def arrays(self, values: list[Any], side: int) -> dict[str, np.ndarray]:
        """`{name: [N, …]}`, with `name/mask` where an example lacks the field; {} where no example has the field.

        Args:
          values: of every example; None is an example that lacks the field.
          side: of square pictures, where the field's own have several sizes.
        """
        present = {i: value for i, value in enumerate(values) if value is not None}
        if not present:
            return {}
        if any(map(_is_texts, present.values())):
            return {self.name: self._several_texts(values)}
        about: dict[str, np.ndarray] = {}
        first = next(iter(present.values()))
        if _is_sound(first):
            about[f"{self.name}/sample_rate"] = np.array(self._rate(present))
            present = {i: np.asarray(value["array"], np.float32) for i, value in present.items()}
        if isinstance(first, str):
            if other := [i for i, value in present.items() if not isinstance(value, str)]:
                raise self.refused("texts", f"{_named(present[other[0]])} in example {other[0]}")
            array = np.array(list(present.values()), str)
        elif self.name in kinds.names() and kinds.find(self.name).eight_bits:
            array = np.stack(self._of_one_shape([self._pixels(i, value) for i, value in present.items()], about, side))
        else:
            array = np.stack(self._of_one_shape([self._array(i, value) for i, value in present.items()], about, side))
        if len(present) < len(values):
            rows, whole = list(present), np.zeros((len(values), *array.shape[1:]), array.dtype)
            whole[rows] = array
            mask = np.zeros(len(values), bool)
            mask[rows] = True
            array, about[f"{self.name}/mask"] = whole, mask
        return {self.name: array, **about}

    def _several_texts(self, values: list[Any]) -> np.ndarray:
        """`[N, K]`, the texts of each example and then empty strings, as `data/npz.py` reads."""
        texts = [(value,) if isinstance(value, str) else () if value is None else value for value in values]
        for i, several in enumerate(texts):
            if len(several) and not _is_texts(several):
                raise self.refused("texts or lists of texts", f"{_named(values[i])} in example {i}")
        texts = [[text for text in several if text.strip()] for several in texts]
        most = max(map(len, texts))
        return np.array([[*several, *[""] * (most - len(several))] for several in texts], str).reshape(len(texts), most)

    def _rate(self, sounds: Mapping[int, Any]) -> int:
        if other := [i for i, value in sounds.items() if not _is_sound(value)]:
            raise self.refused("recordings", f"{_named(sounds[other[0]])} in example {other[0]}")
        rates = sorted({int(value["sampling_rate"]) for value in sounds.values()})
        if len(rates) > 1:
            raise self.refused("one sampling rate", f"{rates[0]} and {rates[-1]} Hz")
        return rates[0]

    def _pixels(self, i: int, value: Any) -> np.ndarray:
        """A PIL image, tensor or array as an array with channels last."""
        if hasattr(value, "convert"):
            return np.asarray(value.convert("L" if value.mode in ("1", "L", "I;16") else "RGB"))
        channels_first = hasattr(value, "numpy")  # a tensor's
        array = self._array(i, value)
        if channels_first and array.ndim >= 3 and array.shape[-3] in (1, 3):
            array = np.moveaxis(array, -3, -1)
        if array.ndim < 2:
            raise self.refused("pictures", f"shape {list(array.shape)} in example {i}; or set names=…")
        return array

    def _array(self, i: int, value: Any) -> np.ndarray:
        """Of a number, an array, a list or a tensor."""
        try:
            array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
        except ValueError:  # NumPy's, for lists of several lengths
            raise self.refused("numbers of one shape", f"lists of several lengths in example {i}") from None
        if array.dtype.kind not in USABLE:
            raise self.refused(
                "pictures, sounds, texts, classes or vectors", f"{_named(value)} in example {i}, which is none"
            )
        return array

    def _of_one_shape(self, values: list[np.ndarray], about: Mapping[str, Any], side: int) -> list[np.ndarray]:
        """Pictures of several sizes at `side`, recordings of several lengths padded to the longest."""
        shapes = sorted({value.shape for value in values}, key=lambda shape: (len(shape), shape))
        ranks = {len(shape) for shape in shapes}
        if len(shapes) == 1:
            if len({value.dtype.kind in "US" for value in values}) > 1:
                raise self.refused("values of one type", "numbers and texts")
            return values
        if self.name == "image" and ranks <= {2, 3}:
            return self._of_one_size(values, side)
        if ranks == {1} and (self.name == "audio" or about):
            longest = max(map(len, values))
            return [np.pad(value, (0, longest - len(value))) for value in values]
        raise self.refused("one shape for all examples", f"{list(shapes[0])} and {list(shapes[-1])}")

    def _of_one_size(self, values: list[np.ndarray], side: int) -> list[np.ndarray]:
        from PIL import Image

        from mmgen_jax.modalities import image

        if any(value.dtype != np.uint8 for value in values):
            raise InputError("source: image: expected pictures of several sizes as uint8, got floats; convert them")
        channels = 3 if any(value.ndim == 3 and value.shape[-1] == 3 for value in values) else 1
        pictures = (Image.fromarray(value[..., 0] if value.shape[2:] == (1,) else value) for value in values)
        arrays = (image.to_array(picture, (side, side, channels)) for picture in pictures)
        return [np.round((array + 1) * 127.5).astype(np.uint8) for array in arrays]


def _is_texts(value: Any) -> bool:
    """Whether a value is a list of texts, at least one."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "U" and value.ndim == 1 and len(value) > 0
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(text, str) for text in value)


def _is_sound(value: Any) -> bool:
    """Whether a value is a recording as HuggingFace has it, with `array` and `sampling_rate`."""
    if isinstance(value, (np.ndarray, str, list, tuple, int, float, np.generic)):
        return False
    try:
        return value["sampling_rate"] > 0 and value["array"] is not None
    except (TypeError, KeyError, IndexError, AttributeError, ValueError):
        return False


def _named(value: Any) -> str:
    return f"a {type(value).__name__}"
