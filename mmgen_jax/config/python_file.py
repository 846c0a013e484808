"""Runs the user's own Python files, configs and sweeps; an error in a file is reported in one line, with its place."""

from __future__ import annotations

import contextlib
import pathlib
import runpy
import traceback
from collections.abc import Iterator
from typing import Any

from mmgen_jax.errors import ConfigError, MmgenError


def run(file: pathlib.Path, flag: str) -> dict[str, Any]:
    """The names that a file defines.

    Raises:
      ConfigError: the file is no Python file, or raises an error.
    """
    if file.suffix != ".py":
        raise ConfigError(f"{flag}: {file}: expected a Python file, `X.py`, got {file.suffix or 'no suffix'}")
    with errors_of(file, flag):
        return runpy.run_path(str(file), run_name=f"{flag.strip('-')}_{file.stem}")


@contextlib.contextmanager
def errors_of(file: pathlib.Path, flag: str) -> Iterator[None]:
    """Raises ConfigError, with line and message, for any error of the user's code; an MmgenError is not converted."""
    try:
        yield
    except MmgenError:
        raise
    except (Exception, SystemExit) as error:
        message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
        raise ConfigError(f"{flag}: {file}{_line(error, file)}: {type(error).__name__}: {message}") from error


def _line(error: BaseException, file: pathlib.Path) -> str:
    """`, line 7`: the last line of the file in the error's traceback."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""
