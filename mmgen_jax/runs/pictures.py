"""Generates pictures of any size from picture files, in tiles of the model's own size.

The result has the form of the picture file (channels, bit depth, transparency, ICC profile; `modalities/picture.py`). A
picture larger than the model's grid is generated in overlapping tiles (`tiles.py`); a smaller picture gets reflected
borders. All tiles of a sample start from the same noise.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from mmgen_jax.config.system import System
from mmgen_jax.errors import ConfigError, DataError, InputError
from mmgen_jax.modalities import picture as picture_files
from mmgen_jax.modalities.base import finite
from mmgen_jax.modalities.modality import WHOLE_SUFFIX, Modality
from mmgen_jax.modalities.picture import Picture
from mmgen_jax.runs.picture_lines import Line, Lines
from mmgen_jax.runs.prompts import check_names, common_length, is_file, lines_of, read_given
from mmgen_jax.runs.tiles import Tiling

Scale = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Request:
    """Pictures to generate, one for each line.

    Args:
      target: the name of the modality to generate; `modality` is the modality itself.
      given: names of the targets that are given.
      read: number of channels that the model reads of `Line.form`.
      scales: `{name: scale}` of sources and target: their pixels along each axis for one pixel of the coarsest grid.
    """

    target: str
    modality: Modality
    given: tuple[str, ...]
    read: int
    scales: Mapping[str, Scale]
    lines: Lines

    @property
    def num_tiles(self) -> int:
        """Tiles of one sample of every line."""
        return sum(self.lines.num_tiles)

    def draw(self, sampler: Any, num: int, seed: int = 0, first: int = 0) -> Iterator[tuple[Line, np.ndarray]]:
        """Each line's samples `[H, W, C]` float32 in [-1, 1], `num` of the first line, then of the second, and so on.

        Args:
          sampler: a `runs.sampler.Sampler`.
          num, seed, first: see `sample.draw`, which gives the noise of each sample in the same way.

        Raises:
          InputError: a sample is not finite.
        """
        sampler.seed = seed
        scale = self.scales[self.target]
        jobs = (
            (group, line, place, tile)
            for group, line in enumerate(self.lines)
            for place in range(first, first + num)
            for tile in line.tiles
        )
        drawn = self._run(sampler, jobs)
        for line in self.lines:
            for _ in range(num):
                canvas = line.tiling.canvas(self.modality.shape[-1], scale)
                for tile, values in itertools.islice(drawn, len(line.tiles)):
                    line.tiling.add(canvas, tile, finite(self.target, values), scale)
                yield line, line.tiling.crop(canvas, scale)

    def arrays(self, sampler: Any, num: int, seed: int = 0, first: int = 0) -> np.ndarray:
        """As `draw`, in one array `[n, H, W, C]`; outside of a hole the pixels are those of the file.

        Raises:
          InputError: the lines' pictures have different sizes.
        """
        sizes = dict.fromkeys(self.lines.sizes)
        if len(sizes) > 1:
            (one, other), name = list(sizes)[:2], self.target
            raise InputError(
                f"{name}: expected pictures of one size, got {_size(one)} and {_size(other)}; draw each alone"
            )
        return np.stack(
            [
                values if line.hole is None else line.form.completed(values, line.hole)
                for line, values in self.draw(sampler, num, seed, first)
            ]
        )

    def save(self, folder: pathlib.Path, sampler: Any, num: int, seed: int = 0, first: int = 0) -> list[pathlib.Path]:
        """Saves the sample of `draw` to `<target>.png`, or several to `<target>_0.png`, …; returns the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths, total = [], num * len(self.lines)
        for i, (line, values) in enumerate(self.draw(sampler, num, seed, first)):
            paths.append(folder / (f"{self.target}.png" if total == 1 else f"{self.target}_{i}.png"))
            line.form.drawn(values, self.read, line.hole).save(paths[-1])
        return paths

    def _run(self, sampler: Any, jobs: Iterator[tuple[int, Line, int, int]]) -> Iterator[tuple[int, np.ndarray]]:
        """`(tile, values [*tile × scale, C])` of each job (its number, line, number of the noise, tile), in batches."""
        while batch := list(itertools.islice(jobs, sampler.batch_size)):
            rows: dict[str, list[np.ndarray]] = {}
            for _, line, _, tile in batch:
                cut = {n: line.tiling.cut(values, tile, self.scales[n]) for n, values in line.sources.items()}
                for name, values in (cut | dict(line.others)).items():
                    rows.setdefault(name, []).append(values)
            numbers = np.array([(group, place) for group, _, place, _ in batch])
            drawn = sampler({name: np.stack(r) for name, r in rows.items()}, given=self.given, numbers=numbers)
            yield from zip([tile for *_, tile in batch], drawn[self.target])


def request(system: System, given: Mapping[str, Any]) -> Request | None:
    """The pictures to generate where picture files are given for aligned sources of a picture, else None.

    Args:
      given: as in `prompts.read_given`. Conditions that are not aligned are read by `read_given`, and are the same for
        every tile.

    Raises:
      ConfigError: grids that are no whole multiples of each other; a picture without its mask, or a mask without its
        picture.
      DataError: a picture that cannot be read; pictures whose sizes do not fit; colour of 16 bits around a hole.
      InputError: one aligned picture is a file, and another an array.
    """
    modalities, objective = system.modalities, system.objective
    drawn = [name for name in system.targets if name not in given]
    aligned = [name for name in objective.aligned if name in given]
    files = [name for name in aligned if is_file(given[name])]
    if len(drawn) != 1 or not files or not all(modalities[name].traits.is_picture for name in (*drawn, *aligned)):
        return None
    if arrays := [name for name in aligned if name not in files]:
        raise InputError(f"{arrays[0]}: expected a file as {files[0]} is, got an array; give both in one form")
    check_names(given, (*system.conditions, *system.targets), modalities)
    known, hole = objective.completes or ("", "")
    if missing := [name for name in (known, hole) if hole and name not in given]:
        raise ConfigError(
            f"--given.{missing[0]}: the model draws where {hole} is white and keeps the rest of {known}; give both"
        )
    target = drawn[0]
    scales = _scales({name: modalities[name] for name in (*files, target)})
    rows: dict[str, Any] = {name: lines_of(given[name], name) for name in files}
    rows |= read_given({n: v for n, v in given.items() if n not in files}, tuple(given), modalities)
    form = known if hole else max(files, key=lambda name: modalities[name].shape[-1])
    lines = Lines(functools.partial(_line, system, rows, files, form, target, scales), common_length(rows))
    own = tuple(name for name in given if name in system.targets)
    return Request(target, modalities[target], own, modalities[form].shape[-1], scales, lines)


def _line(
    system: System,
    rows: Mapping[str, Any],
    files: Sequence[str],
    form: str,
    target: str,
    scales: Mapping[str, Scale],
    number: int,
    warn: bool,
) -> Line:
    """Reads one line; see `request` for the errors."""
    modalities, (known, hole) = system.modalities, system.objective.completes or ("", "")
    others = {name: row[number if len(row) > 1 else 0] for name, row in rows.items()}
    pictures = {name: picture_files.read(os.path.expanduser(others.pop(name)), name) for name in files}
    size = _check_sizes(pictures, form, scales)
    tile_height, tile_width = (n // s for n, s in zip(modalities[target].shape, scales[target]))
    tiling = Tiling(size, (tile_height, tile_width))
    values = {name: modalities[name].traits.of_picture(pictures[name]) for name in files}
    white, tiles = None, tuple(range(len(tiling.corners)))
    if hole:
        white = values[hole] > 0
        tiles = _tiles(tiling, white, scales[hole], pictures[hole], pictures[known], known, warn)
        values[known] = np.where(white, np.float32(0), values[known])  # hidden, as in training
    for path in [picture.path for picture in pictures.values() if warn and picture.cut]:
        logging.warning("%s: colour of 16 bits a channel is read with 8 bits", path)
    for name in system.objective.reads_whole:
        others[name + WHOLE_SUFFIX] = pictures[name].shrunk(modalities[name].shape)
    sources = {name: tiling.pad(array, scales[name]) for name, array in values.items()}
    return Line(pictures[form], tiling, sources, others, white, tiles)


def _scales(modalities: Mapping[str, Modality]) -> dict[str, Scale]:
    """`{name: (pixels along height, pixels along width)}` of each modality for one pixel of the coarsest grid."""
    height, width = (min(modality.shape[axis] for modality in modalities.values()) for axis in (0, 1))
    for name, modality in modalities.items():
        if modality.shape[0] % height or modality.shape[1] % width:
            raise ConfigError(
                f"{name}: its grid of {_size(modality.shape)} is no whole multiple of {_size((height, width))}, so a "
                "picture of any size cannot be drawn; give arrays, or train with other sizes"
            )
    return {name: (modality.shape[0] // height, modality.shape[1] // width) for name, modality in modalities.items()}


def _check_sizes(pictures: Mapping[str, Picture], form: str, scales: Mapping[str, Scale]) -> tuple[int, int]:
    """`(height, width)` of the coarsest grid; raises DataError for a picture whose size does not fit that of `form`."""
    own, scale = pictures[form].size, scales[form]
    for name, picture in pictures.items():
        expected = tuple(n * s / t for n, s, t in zip(own, scales[name], scale))
        if picture.size != expected:
            place = f"{_size(expected)}, as {form} ({pictures[form].path}) is {_size(own)}"
            advice = f"draw or export it at the size of {form}"
            raise DataError(picture.path, name, "size (height x width)", place, _size(picture.size), advice)
    height, width = (math.ceil(n / s) for n, s in zip(own, scale))
    return height, width


def _tiles(
    tiling: Tiling, hole: np.ndarray, scale: Scale, mask: Picture, picture: Picture, name: str, warn: bool
) -> tuple[int, ...]:
    """The indices of the tiles with a part of the hole; with `warn`, logs results that may be unexpected.

    Args:
      scale: pixels of the hole along each axis for one pixel of the coarsest grid.
      name: the picture's modality.

    Raises:
      DataError: the picture has a depth that cannot be kept.
    """
    if picture.cut:
        expected, got = "8 bits a channel, or grey of 16", "colour of 16 bits, which a hole's surroundings cannot keep"
        raise DataError(picture.path, name, "depth", expected, got, "convert it to 8 bits")
    padded = tiling.pad(hole, scale)
    cut = [tiling.cut(padded, i, scale) for i in range(len(tiling.corners))]
    if warn:
        for line in _unexpected(tiling, hole, cut, mask, picture):
            logging.warning("%s", line)
    return tuple(i for i, tile in enumerate(cut) if tile.any())


def _unexpected(
    tiling: Tiling, hole: np.ndarray, cut: Sequence[np.ndarray], mask: Picture, picture: Picture
) -> Iterator[str]:
    """Warnings of a hole, `cut` into its tiles, whose result may be unexpected."""
    if not hole.any():
        most = f"its lightest pixel has {(mask.values(1).max() + 1) * 127.5:.0f} of 255"
        yield f"{mask.path}: nothing is white ({most}), so nothing is drawn: the result is the picture itself"
    elif hole.all():
        yield f"{mask.path}: everything is white, so everything is drawn: nothing of the picture is kept"
    elif any(tile.all() for tile in cut):
        size = _size(tiling.tile)
        yield f"{mask.path}: the hole is larger than the model's {size}, so parts are drawn without surroundings"
    if picture.alpha is not None and (unseen := np.sum(hole & (picture.alpha == 0))):
        yield f"{picture.path}: {unseen} pixels of the hole are transparent and stay so"


def _size(shape: Sequence[float]) -> str:
    return f"{shape[0]:g} x {shape[1]:g}"
