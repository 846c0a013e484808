"""Digits: handwritten, spoken, described and moving, joined by class.

- image: MNIST (LeCun, Cortes, Burges; http://yann.lecun.com/exdb/mnist, which states no licence), 28×28 grey.
- audio: Free Spoken Digit Dataset 1.0.9 (https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0), 2,500
  recordings, 8 kHz mono, 5 speakers × 10 digits × 50. The level is not normalised: peaks are between 0.01 and 1.
- text: one of 20 captions per digit: "seven", "a handwritten 7", "the number seven", …
- video: other MNIST images of the example's class, which move straight and are reflected at the border, as in Moving
  MNIST (Srivastava, Mansimov, Salakhutdinov 2015). Departs from Moving MNIST: all images of a clip have one class, and
  overlapping images are joined by the maximum.
- digit: the class.

`mmgen prepare-data --dataset=digits` fetches both sets through tensorflow-datasets, once.

Splits: `test` has the 10,000 test images and recordings 0 to 4 of each speaker and digit (250), which is the test split
of the set's authors. `validation` has the last 5,000 training images in prepared order (TFDS shuffles by a fixed hash)
and recordings 5 to 9 (250). `train` has the other 55,000 images and recordings 10 to 49 (2,000). No two splits share an
image or a recording.

Example `index` is image `index` of the split. Its recording, its caption, the images in its video and their paths are
random: in `train` functions of (seed, epoch, index), so that each pass has new pairs; in other splits of (seed, index).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seconds, Seed, Side, Size
from mmgen_jax.data import prepare
from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality

SAMPLE_RATE = 8000  # Hz
FRAME_RATE = 8.0  # frames per second: nominal
NUM_VALIDATION = 5000
RECORDINGS = {"train": range(10, 50), "validation": range(5, 10), "test": range(5)}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CAPTIONS = (
    "{digit}",
    "digit {digit}",
    "number {digit}",
    "the digit {digit}",
    "the number {digit}",
    "a handwritten {digit}",
    "the handwritten digit {digit}",
    "this is {article} {digit}",
    "it is the number {digit}",
    "{article} {digit} in white on black",
)


def captions(digit: int) -> list[str]:
    """Every caption of a digit."""
    article = "an" if digit == 8 else "a"
    forms = (WORDS[digit], str(digit))
    return [caption.format(digit=form, article=article) for caption in CAPTIONS for form in forms]


TOKENIZER = tokenizer.build((caption for digit in range(10) for caption in captions(digit)), open=False)


@dataclasses.dataclass(frozen=True)
class Source:
    """MNIST × spoken digits × captions × moving digits.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `image`, `audio`, `video`, `digit`; () is all. Without `audio`, the spoken set need not be
        prepared.
      seed: of the pairing.
      text_length: ids per caption, with END; the longest caption takes 7.
      image_size: side in pixels: 28, or a larger even number.
      image_fit: how an image gets a larger size: `pad` (black border) or `resize` (bilinear).
      audio_seconds: length of the audio. Shorter recordings are padded with silence, longer recordings are cut at the
        end (19 % are longer than 0.5 s, 1.2 % than 0.75 s, 0.16 % than 1 s).
      num_frames: frames of the video.
      video_size: side of the video's frames in pixels, 16 to 128. Moving digits have 28 pixels, or half the side where
        the side is below 56 (reduced by area averaging).
      num_moving: number of images that move in one video.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    available: ClassVar[tuple[str, ...]] = ("text", "image", "audio", "video", "digit")
    # `reverse`: no caption tells the path, and a reversed path is as likely. `zoom`: a larger 2 is a 2, and no caption
    # tells the size. No `flip`: a mirrored 2 is no 2.
    label_preserving: ClassVar[tuple[str, ...]] = ("reverse", "zoom")
    caption_labels: ClassVar[tuple[str, ...]] = ("digit",)

    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0
    text_length: Size = 8
    image_size: Side = 28
    image_fit: str = "pad"
    audio_seconds: Seconds = 0.75
    num_frames: Size = 8
    video_size: Side = 64
    num_moving: Size = 1

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"digits: split {self.split!r} does not exist; the splits are {', '.join(self.splits)}")
        if unknown := [name for name in self.names if name not in self.available]:
            raise ConfigError(f"digits: no modality {unknown[0]!r}; there are {', '.join(self.available)}")
        if self.image_size < 28 or self.image_size % 2:
            raise ConfigError(f"digits: image_size: expected 28 or a larger even number, got {self.image_size}")
        if self.image_fit not in ("pad", "resize"):
            raise ConfigError(f"digits: image_fit: expected pad or resize, got {self.image_fit!r}")
        if not 16 <= self.video_size <= 128:
            raise ConfigError(f"digits: video_size: expected 16 to 128, got {self.video_size}")

    def __reduce__(self):
        # Worker processes open the prepared files again instead of receiving them.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @functools.cached_property
    def modalities(self) -> dict[str, Modality]:
        size = self.video_size
        every = {
            "text": Modality("text", (self.text_length,), tokenizer=TOKENIZER),
            "image": Modality("image", (self.image_size, self.image_size, 1)),
            "audio": Modality("audio", (self._num_samples,), sample_rate=SAMPLE_RATE),
            "video": Modality("video", (self.num_frames, size, size, 1), frame_rate=FRAME_RATE),
            "digit": Modality("label", classes=tuple("0123456789")),
        }
        return {name: every[name] for name in self.names or self.available}

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        indices = np.asarray(indices, np.int64)
        epochs = np.asarray(epochs, np.int64) if self.split == "train" else np.zeros_like(indices)
        digits = self._labels[indices]
        make = {
            "text": lambda: self._text(digits, self._draw("text", epochs, indices)),
            "image": lambda: self._image(indices),
            "audio": lambda: self._audio(digits, self._draw("audio", epochs, indices)),
            "video": lambda: self._video(digits, epochs, indices),
            "digit": lambda: digits,
        }
        return {name: make[name]() for name in self.modalities}

    def true_captions(self, labels: Mapping[str, int]) -> list[str]:
        return captions(labels["digit"])

    def _text(self, digits: np.ndarray, draw: np.ndarray) -> np.ndarray:
        return self._captions[digits, (draw * self._captions.shape[1]).astype(int)]

    def _image(self, indices: np.ndarray) -> np.ndarray:
        pixels = self._images[indices] * np.float32(1 / 127.5) - np.float32(1)
        if self.image_fit == "resize":
            rows = _bilinear(28, self.image_size)
            return np.clip(rows @ pixels[..., 0] @ rows.T, -1, 1)[..., None]
        pad = (self.image_size - 28) // 2
        return np.pad(pixels, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=-1) if pad else pixels

    def _audio(self, digits: np.ndarray, draw: np.ndarray) -> np.ndarray:
        waveforms, order, starts = self._recordings
        return waveforms[_pick(order, starts, digits, draw)] * np.float32(1 / 32768)

    def _video(self, digits: np.ndarray, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
        size, side = self.video_size, self._moving_size
        video = np.full((len(digits), self.num_frames, size, size, 1), -1, np.float32)
        order, starts = self._by_class
        for i in range(self.num_moving):
            draw = functools.partial(self._draw, epochs=epochs, indices=indices)
            moving = self._resized(_pick(order, starts, digits, draw(f"moving{i}")))  # [B, side, side]
            angle = 2 * np.pi * draw(f"angle{i}")
            speed = size * (0.05 + 0.1 * draw(f"speed{i}"))  # pixels per frame: 3 to 10 of 64
            corners = []
            for axis, direction in (("y", np.sin(angle)), ("x", np.cos(angle))):
                path = draw(f"{axis}{i}") * (size - side) + speed * direction * np.arange(self.num_frames)[:, None]
                corners.append(np.rint(_reflect(path, size - side)).astype(int).T)  # [B, T]
            for frames, image, tops, lefts in zip(video, moving, *(corner.tolist() for corner in corners)):
                for frame, top, left in zip(frames, tops, lefts):
                    window = frame[top : top + side, left : left + side, 0]
                    np.maximum(window, image, out=window)
        return video

    def _resized(self, indices: np.ndarray) -> np.ndarray:
        """Images at the size that they have in the video, `[B, side, side]` in [-1, 1]."""
        pixels = self._images[indices, :, :, 0] * np.float32(1 / 127.5) - np.float32(1)
        if self._moving_size == 28:
            return pixels
        rows = _area_average(28, self._moving_size)
        return np.clip(rows @ pixels @ rows.T, -1, 1)

    def _draw(self, role: str, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """`[B]` float64, uniform in [0, 1): a hash of (seed, role, epoch, index)."""
        state = np.full(1, self.seed % 2**64, np.uint64)
        state = _mix(state) ^ np.uint64(int.from_bytes(role.encode(), "little"))  # roles have at most 8 letters
        for counter in (epochs, indices):
            state = _mix(state) ^ counter.astype(np.uint64)
        return (_mix(state) >> np.uint64(11)) * 2.0**-53

    @property
    def _num_samples(self) -> int:
        return round(self.audio_seconds * SAMPLE_RATE)

    @property
    def _moving_size(self) -> int:
        return min(28, self.video_size // 2)

    @functools.cached_property
    def _mnist(self) -> tuple[arrays.Arrays, slice]:
        split = prepare.splits("mnist", dataset="digits")["test" if self.split == "test" else "train"]
        end = len(split) - NUM_VALIDATION
        return split, {"train": slice(end), "validation": slice(end, None), "test": slice(None)}[self.split]

    @functools.cached_property
    def _images(self) -> np.ndarray:
        split, part = self._mnist
        return split["image"][part]

    @functools.cached_property
    def _labels(self) -> np.ndarray:
        split, part = self._mnist
        return np.array(split["label"][part])

    @functools.cached_property
    def _by_class(self) -> tuple[np.ndarray, np.ndarray]:
        return _group(self._labels)

    @functools.cached_property
    def _recordings(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The split's recordings `[N, S] int16` in the order of their file names, and their grouping by class."""
        split = prepare.splits("spoken_digit", dataset="digits")["train"]  # the whole set: TFDS has only this split
        files = list(split.text("audio/filename"))  # <digit>_<speaker>_<recording>.wav
        kept = [i for i, file in enumerate(files) if int(file[:-4].split("_")[2]) in RECORDINGS[self.split]]
        kept = np.array(sorted(kept, key=lambda i: files[i]))
        return split.ragged("audio").window(kept, self._num_samples), *_group(split["label"][kept])

    @functools.cached_property
    def _captions(self) -> np.ndarray:
        """`[10, captions, L] int32`."""
        return np.array([[TOKENIZER.encode(c, self.text_length) for c in captions(digit)] for digit in range(10)])


def _group(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices `[N]` sorted by label, and the position `[11]` where each label starts in them."""
    order = np.argsort(labels, kind="stable")
    return order, np.searchsorted(labels[order], np.arange(11))


def _pick(order: np.ndarray, starts: np.ndarray, labels: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """For each label `[B]`, one index of its group, chosen by `draw [B]`, uniform in [0, 1)."""
    return order[starts[labels] + (draw * (starts[labels + 1] - starts[labels])).astype(int)]


def _reflect(x: np.ndarray, width: int) -> np.ndarray:
    """Positions `x`, reflected into [0, width] as a moving point is at two walls."""
    return width - np.abs(np.mod(x, 2 * width) - width)


def _area_average(size: int, smaller: int) -> np.ndarray:
    """The matrix `[smaller, size]` that reduces a row of pixels by area averaging."""
    edges = np.arange(smaller + 1) * size / smaller
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(covered, 0) * smaller / size).astype(np.float32)


def _bilinear(size: int, larger: int) -> np.ndarray:
    """The matrix `[larger, size]` that enlarges a row of pixels by linear interpolation."""
    center = np.clip((np.arange(larger) + 0.5) * size / larger - 0.5, 0, size - 1)
    return np.maximum(1 - np.abs(center[:, None] - np.arange(size)), 0).astype(np.float32)


def _mix(x: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 (Steele, Lea, Flood 2014) and its output."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
