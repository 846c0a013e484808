"""Samples as lines of words in a file."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from mmgen_jax.modalities.grid import save_grid


def save_lines(
    stem: pathlib.Path, lines: Sequence[str], captions: Sequence[str], seen: Mapping[str, np.ndarray]
) -> list[pathlib.Path]:
    """`<stem>.txt`, and `<stem>.png` with each line under what was seen with it, where there is something to see.

    A line is `prompt <tab> sample`, or the sample alone where no example has a prompt.
    """
    rows = [f"{caption}\t{line}" for caption, line in zip(captions, lines)] if any(captions) else lines
    path = stem.with_name(stem.name + ".txt")
    path.write_text("".join(row.replace("\n", "\\n") + "\n" for row in rows), encoding="utf-8")
    return [path, save_grid(stem, dict(seen), list(lines))] if seen else [path]
