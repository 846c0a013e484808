"""The space of the arrays that a family of objectives models: all that it asks of its target."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Continuous:
    """Values on a grid, channels last: `[D]`, `[T, C]`, `[H, W, C]` or `[T, H, W, C]` per example, float32.

    Args:
      bounded: whether the values are in [-1, 1]; else they are unbounded. Those of a learned representation then have
        mean 0 and variance 1 for each channel, those of a `vector` what the data has.
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
    """Whether it is one of values in [-1, 1] on a grid of two axes."""
    return isinstance(space, Continuous) and space.rank == 2 and space.bounded


@dataclasses.dataclass(frozen=True)
class Discrete:
    """A sequence of `length` ids in [0, size), int32.

    Args:
      end: the id that ends a sequence, of a space whose id 0 is padding (texts); None where every place holds a code.
    """

    length: int
    size: int
    end: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def num_ids(self) -> int:
        """Of a model of the next id, whose id 0 is padding: codes are moved up by one."""
        return self.size if self.end is not None else self.size + 1

    def __str__(self) -> str:
        return f"{self.length} ids of {self.size}"
