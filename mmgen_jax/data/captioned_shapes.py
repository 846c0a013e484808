"""Captioned shapes: pictures of one shape, and captions that name all varying factors, at five levels of difficulty.

- text: the words of the level's factors, in the order size, colour, shape, position, background.
- image: the shape of the built-in world `scenes` on a grey background.
- shape, size, color, position, background: the factors.

| level | factors that vary, and are named | an example | different captions |
|---|---|---|---|
| 1 | shape (6) | star | 6 |
| 2 | + size (2) | small star | 12 |
| 3 | + color (6) | small red star | 72 |
| 4 | + position (4 corners) | small red star at top left | 288 |
| 5 | + background (dark, light) | small red star at top left on light | 576 |

A factor above the level is constant: large, green, in the middle, dark. The levels follow the idea of CdSprites+
(Sejnova et al., 2022), whose pictures and words are others; its numbers do not compare with those of this set. Nothing
is downloaded or stored: example i of a split is a function of (seed, split, i).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Range, Seed
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.scenes import image, judge
from mmgen_jax.scenes.factors import COLORS, SHAPES, SIZES

POSITIONS = ("top left", "top right", "bottom left", "bottom right")
BACKGROUNDS = ("dark", "light")
FACTORS = {"shape": SHAPES, "size": SIZES, "color": COLORS, "position": POSITIONS, "background": BACKGROUNDS}
CONSTANT = {"size": 1, "color": 2, "background": 0}  # above the level; the position is then the middle
LEVELS = len(FACTORS)
SIDE, LENGTH = 32, 10  # px, ids
OFFSET, WANDER = 6.0, 0.7  # of the centre from the middle, in 1/32 of the side; and how far it strays either way
GREY = (-0.75, 0.55)  # of the backgrounds
ROLE = 0xC5

WORDS = (*SIZES, *COLORS, *SHAPES, *POSITIONS, *BACKGROUNDS, "at", "on")
TOKENIZER = tokenizer.build([" ".join(WORDS)], open=False)

Level = Annotated[int, Range(1, LEVELS)]


def named(level: int) -> tuple[str, ...]:
    """The factors that vary and are named at a level."""
    return tuple(FACTORS)[:level]


def caption(factors: dict[str, int]) -> str:
    """The caption that names `factors`, a value for each named factor."""
    words = [FACTORS[name][factors[name]] for name in ("size", "color", "shape") if name in factors]
    words += [f"at {POSITIONS[factors['position']]}"] if "position" in factors else []
    words += [f"on {BACKGROUNDS[factors['background']]}"] if "background" in factors else []
    return " ".join(words)


def judge_texts(ids: np.ndarray, level: int) -> dict[str, np.ndarray]:
    """`{factor: [N] int32}` that texts `[N, L]` name; -1 everywhere for a text that is no caption of the level."""
    known = {}
    shape = [len(FACTORS[name]) for name in named(level)]
    for values in np.ndindex(*shape):
        known[caption(dict(zip(named(level), values)))] = values
    found = np.array([known.get(TOKENIZER.decode(row), (-1,) * level) for row in np.asarray(ids)], np.int32)
    return {name: found[:, i] for i, name in enumerate(named(level))}


def judge_images(images: np.ndarray, level: int) -> dict[str, np.ndarray]:
    """`{factor: [N] int32}` that pictures `[N, 32, 32, 3]` show, of the level's factors; nothing is trained.

    Shape, size and colour as `scenes.judge` finds them; the position by the centroid of the object; the background by
    the median of the border.
    """
    found = judge.judge_images(images)
    _, mask = judge.foreground(images)
    mask = np.where(mask > 0.5, mask, 0)
    weight = np.maximum(mask.sum(axis=(1, 2)), 1e-6)
    middle = (np.arange(SIDE) - (SIDE - 1) / 2) / weight[:, None]
    x, y = (mask.sum(axis=1) * middle).sum(-1), (mask.sum(axis=2) * middle).sum(-1)
    found["position"] = (2 * (y > 0) + (x > 0)).astype(np.int32)
    border = np.ones((SIDE, SIDE), bool)
    border[2:-2, 2:-2] = False
    found["background"] = (np.median(images[:, border], axis=(1, 2)) > np.mean(GREY)).astype(np.int32)
    return {name: found[name] for name in named(level)}


@dataclasses.dataclass(frozen=True)
class Source:
    """Captioned shapes.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `image` and the five factors; () is all.
      seed: of all examples.
      level: 1 to 5.
      num_train, num_test: examples of the training split, and of each of the others.

    Raises:
      ConfigError: another split or name.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    available: ClassVar[tuple[str, ...]] = ("text", "image", *FACTORS)
    label_preserving: ClassVar[tuple[str, ...]] = ()

    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0
    level: Level = 5
    num_train: Amount = 20_000
    num_test: Amount = 2_000

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"captioned_shapes: split: expected one of {', '.join(self.splits)}, got {self.split!r}")
        if unknown := [name for name in self.names if name not in self.available]:
            raise ConfigError(f"captioned_shapes: no modality {unknown[0]!r}; there are {', '.join(self.available)}")

    @property
    def modalities(self) -> dict[str, Modality]:
        every = {"text": Modality("text", (LENGTH,), tokenizer=TOKENIZER), "image": Modality("image", (SIDE, SIDE, 3))}
        every |= {name: Modality("label", classes=classes) for name, classes in FACTORS.items()}
        return {name: every[name] for name in self.names or self.available}

    def __len__(self) -> int:
        return self.num_train if self.split == "train" else self.num_test

    def read(self, indices: np.ndarray, epochs: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Examples of the split, the same in every pass."""
        del epochs
        streams = [[ROLE, self.seed, self.splits.index(self.split), int(i)] for i in np.asarray(indices)]
        draws = np.array([np.random.default_rng(stream).random(len(FACTORS) + 4) for stream in streams])
        factors = self._factors(draws)
        batch: dict[str, np.ndarray] = dict(factors)
        if "text" in self.modalities:
            told = [{name: int(factors[name][i]) for name in named(self.level)} for i in range(len(draws))]
            batch["text"] = np.array([TOKENIZER.encode(caption(one), LENGTH) for one in told], np.int32)
        if "image" in self.modalities:
            batch["image"] = self._render(factors, draws[:, len(FACTORS) :])
        return {name: batch[name] for name in self.modalities}

    def _factors(self, draws: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for i, (name, values) in enumerate(FACTORS.items()):
            drawn = (draws[:, i] * len(values)).astype(np.int32)
            found[name] = drawn if i < self.level else np.full_like(drawn, CONSTANT.get(name, 0))
        return found

    def _render(self, factors: dict[str, np.ndarray], draws: np.ndarray) -> np.ndarray:
        """`[B, 32, 32, 3]` in [-1, 1]; `draws [B, 4]` in [0, 1): where the shape strays, its scale, the grey."""
        signed = 2 * draws - 1
        down, right = np.divmod(factors["position"], 2)
        corner = (2 * np.stack([right, down], axis=1) - 1) * OFFSET * ("position" in named(self.level))
        center = corner + WANDER * signed[:, :2]
        radius = image.RADIUS[factors["size"]] * (1 + image.SCALE_JITTER * signed[:, 2])
        places = center[:, None].astype(np.float32)
        alpha = image.coverage(factors["shape"], radius.astype(np.float32), places, SIDE)[:, 0, ..., None]
        grey = (np.array(GREY)[factors["background"]] + 0.08 * signed[:, 3])[:, None, None, None]
        color = image.RGB[factors["color"]][:, None, None]
        return np.clip(grey + alpha * (color - grey), -1, 1).astype(np.float32)
