"""Writes the results as pages: the tables of all experiments, and the matrix in README.md."""

from __future__ import annotations

import os
import pathlib

from mmgen_jax.errors import ReportError
from mmgen_jax.results.report import pages


def report(root: str | os.PathLike = ".", check: bool = False) -> list[pathlib.Path]:
    """Writes the pages generated from configs and results lines where they are not current; returns the written pages.

    Args:
      root: the folder of the repository, also the working directory.
      check: writes nothing.

    Raises:
      ReportError: with `check`, a page is not current.
    """
    root = pathlib.Path(root)
    written = pages(root)
    stale = [page for page, text in written.items() if not page.is_file() or page.read_text(encoding="utf-8") != text]
    if check and stale:
        names = ", ".join(str(page.relative_to(root)) for page in stale)
        raise ReportError(f"{names}: not what its configs and results lines give; run mmgen report")
    for page in stale:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(written[page], encoding="utf-8")
    return stale
