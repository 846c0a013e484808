"""Text files beside other files that hold more than captions, or no captions: documents, descriptions, numbers."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from typing import Any

from mmgen_jax.data.files.folder_items import LABEL, File, Item, Listing, Parts, is_text, split_name
from mmgen_jax.data.files.folder_tables import LABELS
from mmgen_jax.modalities.lines import decoded

Groups = dict[Parts, list[File]]  # the files of each example

DOCUMENTS = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|changelog|authors|contributing|citation|credits|attribution)\b.*", re.I
)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.I)
CHECKED = 16  # files that are read, as a sample of all files of their kind
MAX_BYTES = 2**16  # of a .json that describes one example


@dataclasses.dataclass(frozen=True)
class Facts:
    """The class and the split in the .json of an example; None and "" where it has none."""

    label: Item | None
    split: str


def drop_documents(groups: Groups, listing: Listing) -> None:
    """Removes README.txt and similar files, which are no examples."""
    for key, files in list(groups.items()):
        if len(groups) > 1 and len(files) == 1 and is_text(files[0].kind) and DOCUMENTS.fullmatch(key[-1]):
            del groups[key]
            listing.ignored.append(f"{files[0].path}: a document about the files")


def take_facts(groups: Groups, listing: Listing) -> dict[Parts, Facts]:
    """The facts in the .json of each example; a .json without a caption beside another file leaves its group."""
    found, odd = {}, []
    for key, files in groups.items():
        for file in [file for file in files if file.path.suffix.lower() == ".json"]:
            content = _object(file.path)
            label = next((content[name] for name in LABELS if name in content), None)
            split = split_name(content.get("split", ""))
            usable = isinstance(label, str | int) and str(label).strip()
            if (label is not None and not usable) or (content.get("split") and not split):
                odd.append(file.path)
            if usable or split:
                found[key] = Facts(Item(LABEL, LABEL, file.path, label) if usable else None, split)
                if len(files) > 1 and not content.keys() & {"text", "caption", "captions"}:
                    files.remove(file)
    listing.warn_of(odd, "whose label is no word or number, or whose split is none of ours, lack it", "mend them")
    labels = sum(facts.label is not None for facts in found.values())
    splits = sum(facts.split != "" for facts in found.values())
    if splits:
        listing.split_by["their .json files"] = ""
    if found:
        listing.layout.append(f".json files of the examples: {labels} with a label, {splits} with a split")
    return found


def drop_descriptions(groups: Groups, listing: Listing) -> bool:
    """Whether there are pairs of a .txt, the caption, and a .json that describes it, as img2dataset writes them.

    The .json files of such pairs are removed from `groups`.
    """
    pairs = []
    for key, files in groups.items():
        texts = sorted((file for file in files if is_text(file.kind)), key=lambda file: file.path.suffix.lower())
        if [file.path.suffix.lower() for file in texts] == [".json", ".txt"] and len(files) > 2:
            pairs.append((key, *texts))
    if not pairs or not all(_describes(*texts) for _, *texts in pairs[:CHECKED]):
        return False
    for key, description, _ in pairs:
        groups[key].remove(description)
    listing.layout.append(f"{len(pairs)} .json files describe files of their name (img2dataset): .txt is the text")
    return True


def drop_numbers(groups: Groups, listing: Listing) -> None:
    """Removes texts of numbers, such as the boxes of objects, where most texts beside other files are such texts.

    Empty texts among them, of pictures without an object, are removed as well.
    """
    beside = [file for files in groups.values() for file in files if is_text(file.kind) and not _is_alone(files)]
    beside = [file for file in beside if file.path.suffix.lower() != ".json"]
    sample = [content for file in beside[:: max(1, len(beside) // CHECKED)] if (content := _content(file.path).strip())]
    if 2 * sum(map(_is_numbers, sample)) <= len(sample):
        return
    folders, dropped = {file.path.parent for file in beside}, []
    for key, files in list(groups.items()):
        for file in [file for file in files if is_text(file.kind) and file.path.parent in folders]:
            if file.path.suffix.lower() != ".json" and _is_numbers(_content(file.path)):
                files.remove(file)
                dropped.append(file.path)
        if not files:
            del groups[key]
    listing.ignored += [f"{path}: numbers" for path in dropped]
    listing.warn_of(
        dropped, "that hold numbers are not read as texts", "set data.layout='stems' or 'folders' to read them"
    )


def _is_numbers(content: str) -> bool:
    """Whether there are no words, or at least four numbers for each word, as in `car 0.5 0.5 0.2 0.1`.

    Whole numbers alone are words: the transcript of spoken digits, `3 1 4 1 5`.
    """
    words = re.findall(r"[^\s,;]+", content)
    numbers = [word for word in words if NUMBER.fullmatch(word)]
    return not words or ("." in "".join(numbers) and 5 * len(numbers) >= 4 * len(words))


def _is_alone(files: list[File]) -> bool:
    return all(is_text(file.kind) for file in files)


def _content(path: pathlib.Path) -> str:
    """The text of a file; `unreadable` for a file that cannot be read, which raises an error later."""
    try:
        return decoded(path.read_bytes())
    except (OSError, UnicodeDecodeError):
        return "unreadable"


def _object(path: pathlib.Path) -> dict[str, Any]:
    """The JSON object in a file; {} for a file above `MAX_BYTES` or without a JSON object."""
    try:
        content = json.loads(decoded(path.read_bytes())) if path.stat().st_size <= MAX_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _describes(description: File, text: File) -> bool:
    """Whether the captions in a JSON object, if it has any, equal the text."""
    try:
        content = json.loads(decoded(description.path.read_bytes()))
        caption = decoded(text.path.read_bytes()).strip()
    except (OSError, ValueError, RecursionError):
        return False
    said = [content.get(key) for key in ("caption", "text")] if isinstance(content, dict) else ["no object"]
    return all(value is None or str(value).strip() == caption for value in said)
