"""Text files and captions to checked strings."""

from __future__ import annotations

import json
import pathlib

from mmgen_jax.modalities import containers
from mmgen_jax.modalities.containers import DataError

MAX_TEXT_BYTES = 2**16


def read(path, modality: str = "text") -> str:
    """The text of a .txt file, or the caption of a .json file: a string, or an object's `text` or `caption`.

    UTF-8, with or without a byte order mark; white space at both ends is dropped.

    Raises:
      DataError: unreadable, not UTF-8, empty, more than MAX_TEXT_BYTES, or JSON of another form.
    """
    containers.check(path, modality)
    data = pathlib.Path(path).read_bytes()
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(path, modality, "length", f"at most {MAX_TEXT_BYTES} bytes", len(data), "shorten it")
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte 0x{data[error.start]:02x} at {error.start}"
        raise DataError(path, modality, "encoding", "UTF-8", got, "save it as UTF-8") from error
    if pathlib.Path(path).suffix.lower() == ".json":
        content = _caption(path, modality, content)
    return check_text(path, modality, content)


def check_text(path, modality: str, content: str) -> str:
    """The text without white space at its ends; refuses what is then empty, or holds what no text does."""
    if "\0" in content or any("\ud800" <= character <= "\udfff" for character in content):
        raise DataError(
            path, modality, "encoding", "text", "a NUL or half of a surrogate pair", "save it as UTF-8 text"
        )
    if not content.strip():
        raise DataError(path, modality, "length", "at least 1 character", "an empty text", "write one or remove it")
    return content.strip()


def _caption(path, modality: str, content: str) -> str:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(path, modality, "json", "valid JSON", str(error), "mend it") from error
    if isinstance(value, dict):
        value = value.get("text", value.get("caption"))
    if not isinstance(value, str):
        raise DataError(path, modality, "json", "a string, or an object with `text`", type(value).__name__, "mend it")
    return value
