"""Text files: their encoding, and samples written as their lines."""

from __future__ import annotations

import codecs
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from mmgen_jax.modalities.grid import save_grid


def decoded(data: bytes) -> str:
    """The text of a file's bytes: UTF-16 where they begin with its byte order mark, else UTF-8 with or without a mark.

    Raises:
      UnicodeDecodeError: the bytes are of another encoding.
    """
    return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")


def save_lines(
    stem: pathlib.Path, lines: Sequence[str], captions: Sequence[str], seen: Mapping[str, np.ndarray]
) -> list[pathlib.Path]:
    """Writes `<stem>.txt`, and `<stem>.png` where `seen` is not empty; returns the paths.

    Args:
      lines: one sample each.
      captions: the prompt of each sample. A line of the file is `prompt <tab> sample`, or the sample alone where no
        sample has a prompt.
      seen: `{name: [B, T, H, W, C] uint8}`, the visible conditions. The picture shows them with the sample under them.
    """
    rows = [f"{caption}\t{line}" for caption, line in zip(captions, lines)] if any(captions) else lines
    path = stem.with_name(stem.name + ".txt")
    path.write_text("".join(row.replace("\n", "\\n") + "\n" for row in rows), encoding="utf-8")
    return [path, *save_grid(stem, dict(seen), list(lines))] if seen else [path]
