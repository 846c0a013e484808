"""The space of the arrays that an objective family models. A family needs to know nothing else of its target."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Continuous:
    """Values on a grid, channels last: `[D]`, `[T, C]`, `[H, W, C]` or `[T, H, W, C]` per example, float32.

    Args:
      bounded: True: the values are in [-1, 1]. False: they are unbounded. Unbounded values of a learned representation
        have mean 0 and variance 1 in each channel; those of a `vector` have the mean and variance of the data.
    """

    shape: tuple[int, ...]
    bounded: bool = True

    @property
    def rank(self) -> int:
        """Number of grid axes: 0 for a vector, 1 for a sequence, 2 for an image, 3 for a video."""
        return len(self.shape) - 1

    def __str__(self) -> str:
        return f"values {list(self.shape)}"


def is_picture(space: Continuous | Discrete) -> bool:
    """Whether a space holds pictures: values in [-1, 1] on a grid of two axes."""
    return isinstance(space, Continuous) and space.rank == 2 and space.bounded


def is_clip(space: Continuous | Discrete) -> bool:
    """Whether a space holds clips: values in [-1, 1] on a grid of three axes, the first of which is time."""
    return isinstance(space, Continuous) and space.rank == 3 and space.bounded


@dataclasses.dataclass(frozen=True)
class Discrete:
    """A sequence of `length` ids in [0, size), int32.

    Args:
      end: for texts: the id that ends a sequence; id 0 is then padding. None for codes: every place holds a code.
    """

    length: int
    size: int
    end: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def num_ids(self) -> int:
        """Number of ids of an autoregressive model, whose id 0 is padding: codes are shifted up by one."""
        return self.size if self.end is not None else self.size + 1

    def __str__(self) -> str:
        return f"{self.length} ids of {self.size}"
