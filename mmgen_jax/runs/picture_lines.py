"""The inputs for each picture to generate, read from picture files when they are needed."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from mmgen_jax.modalities.picture import Picture
from mmgen_jax.runs.tiles import Tiling


@dataclasses.dataclass(frozen=True)
class Line:
    """The inputs for one picture to generate.

    Args:
      form: the picture file whose form the result has, and whose pixels outside of the hole are kept.
      tiling: the tiles, on the coarsest grid.
      sources: `{name: [*tiling.padded × scale, C]}`, the padded pictures as the model reads them.
      others: `{name: [*shape]}`, conditions that are the same for every tile; with `<name>/whole`, a source that the
        model also reads as a whole.
      hole: `[H, W, 1]` bool, True where pixels are generated; None: everywhere.
      tiles: the indices of the tiles to generate, those with a part of the hole.
    """

    form: Picture
    tiling: Tiling
    sources: Mapping[str, np.ndarray]
    others: Mapping[str, np.ndarray]
    hole: np.ndarray | None
    tiles: tuple[int, ...]


class Lines(Collection[Line]):
    """Lines that are read from their files when they are needed; a line that nothing refers to any more is dropped.

    Args:
      read: `(number of the line, whether to log warnings) -> Line`; called once for each line at the start, so that a
        picture that does not fit is refused before anything is generated.
    """

    def __init__(self, read: Callable[[int, bool], Line], num: int):
        self._read, self._alive = read, weakref.WeakValueDictionary()
        self.num_tiles, self.sizes = [], []
        for i in range(num):
            line = read(i, True)
            self.num_tiles.append(len(line.tiles))
            self.sizes.append(line.tiling.size)

    def __len__(self) -> int:
        return len(self.num_tiles)

    def __contains__(self, line: object) -> bool:
        return any(line is own for own in self._alive.values())

    def __iter__(self) -> Iterator[Line]:
        for i in range(len(self)):
            if (line := self._alive.get(i)) is None:
                line = self._alive[i] = self._read(i, False)
            yield line
            del line
