"""The user's own splits, by the names of folders: `train/`, `test_set/`, `val2017/`, `trainA/`."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mmgen_jax.data.files.folder_items import (
    OUTSIDE,
    Example,
    File,
    Listing,
    Parts,
    is_text,
    media_or_all,
    split_and_rest,
    split_name,
    split_words,
    without_level,
)

EVALUATION = ("eval", "evaluation")


@dataclasses.dataclass(frozen=True)
class Splits:
    """Args:
    level: of the folders that tell splits.
    of_name: the split of a folder's name, "" for another folder.
    of_notes: whether texts are notes, because other files are there.
    """

    level: int
    of_name: Mapping[str, str]
    of_notes: bool

    def of(self, files: Sequence[File]) -> str:
        """The split of an example; of an example outside the splits `OUTSIDE`, or "" for notes."""
        named = (self.of_name.get(file.parts[self.level], "") for file in files if len(file.parts) - 1 > self.level)
        is_note = self.of_notes and all(is_text(file.kind) for file in files)
        return next(filter(None, named), "" if is_note else OUTSIDE)


def find(files: Sequence[File], listing: Listing) -> tuple[list[File], Splits | None]:
    """The splits by the first level of folders that are `train` alone, or `train` and another split.

    The names at this level all tell a split (`trainA`); or some are nothing but a split (`train`, `test_set`), and the
    other folders lie outside. Where each class of a held-out split is one of `train`, `trainA` becomes `train/A`.
    """
    media = media_or_all(files)
    for level in range(max((len(file.parts) - 1 for file in media), default=0)):
        inside = [file for file in media if len(file.parts) - 1 > level]
        names = {file.parts[level] for file in inside}
        tells = (lambda name: split_and_rest(name)[0]) if all(split_and_rest(n)[0] for n in names) else split_name
        own = {name for name in names if tells(name)}
        told = {tells(name) for name in own}
        if "train" not in told or (len(told) == 1 and (len(inside) < len(media) or not all(map(split_name, names)))):
            continue
        parents = {file.parts[:level] for file in inside if file.parts[level] in own}
        beside = sum(file.parts[:level] in parents for file in inside)
        if 2 * beside < len(media):
            listing.warnings.append(
                f"the folders {', '.join(sorted(own))} are not read as splits: {len(media) - beside} of {len(media)} "
                "files lie elsewhere; move them into a split"
            )
            continue
        everywhere = {file.parts[level] for file in files if len(file.parts) - 1 > level}
        of_name = _of_names({name: tells(name) for name in everywhere}, own, listing)
        splits = Splits(level, of_name | {split: split for split in of_name.values()}, len(media) < len(files))
        return [
            dataclasses.replace(file, parts=parts) for file, parts in zip(files, _parts(files, of_name, level))
        ], splits
    return list(files), None


def _of_names(of_name: dict[str, str], own: Iterable[str], listing: Listing) -> dict[str, str]:
    """`of_name` with `eval` as the test split beside a validation split; warns of two names of one held-out split."""
    is_evaluation = {name: any(known in EVALUATION for _, known in split_words(name)) for name in of_name}
    validation = {is_evaluation[name] for name in own if of_name[name] == "validation"}
    if len(validation) > 1 and "test" not in of_name.values():
        of_name = {name: "test" if is_evaluation[name] else split for name, split in of_name.items()}
    for split in ("validation", "test"):
        names = sorted(name for name in own if of_name[name] == split)
        if len({tuple(known for _, known in split_words(name) if known) for name in names}) > 1:
            listing.warnings.append(f"the folders {' and '.join(names)} are one split, {split}; leave out one of them")
    return of_name


def _parts(files: Sequence[File], of_name: Mapping[str, str], level: int) -> list[Parts]:
    """The parts of every file, with the other words of a split's name as a folder, or without `train` twice."""
    rest = {name: split_and_rest(name)[1] for name, split in of_name.items() if split}
    of_train = {words for name, words in rest.items() if of_name[name] == "train"}
    parts = [file.parts for file in files]
    if not all(map(split_name, rest)) and {*rest.values(), ""} <= {*of_train, ""}:
        return [
            (*p[:level], of_name[p[level]], rest[p[level]], *p[level + 1 :])
            if len(p) - 1 > level and p[level] in rest
            else p
            for p in parts
        ]

    def is_twice(p: Parts) -> bool:
        return len(p) - 1 > level + 1 and split_name(p[level + 1]) == of_name[p[level]] != ""

    own = [f.parts for f in media_or_all(files) if len(f.parts) - 1 > level and f.parts[level] in rest]
    return [without_level(p, level + 1) if is_twice(p) else p for p in parts] if all(map(is_twice, own)) else parts


def found(examples: Iterable[Example]) -> str:
    """The line that says the splits of the folders."""
    counts = collections.Counter(example.split for example in examples if example.split)
    own = ", ".join(f"{split} {counts[split]}" for split in ("train", "validation", "test") if split in counts)
    missing = [split for split in ("validation", "test") if split not in counts]
    return f"splits of your folders: {own}" + (f"; {' and '.join(missing)} drawn from train" if missing else "")


def leave_outside(examples: dict[Parts, Example], listing: Listing) -> None:
    """Removes the examples outside the splits, and warns of them."""
    outside = [key for key in sorted(examples) if examples[key].split == OUTSIDE]
    paths = [item.path for key in outside for item in examples.pop(key).items.values() if item.value is None]
    paths = list(dict.fromkeys(paths))
    listing.ignored += [f"{path}: outside the folders of the splits" for path in paths]
    listing.warn_of(paths, "outside the folders of your splits are not used", "move them into a split")


def leave_unsplit(listing: Listing) -> None:
    """Removes examples without a split if a table, manifest or .json gives splits and some example is in `train`.

    If the given splits are only `validation` and `test`, examples without a split are for training. Both cases give a
    warning.
    """
    lacking = [example for example in listing.examples if not example.split]
    told = {example.split for example in listing.examples if example.split}
    if not listing.split_by or not lacking or not told:
        return
    first = next(filter(None, listing.split_by.values()), "")
    what = f"without a split, which {' and '.join(listing.split_by)} may give{first and f' (first {first})'}, are "
    advice = "write train, validation or test for each"
    paths = [next(item.path for item in example.items.values()) for example in lacking]
    if "train" not in told:
        listing.warn_of(paths, what + "for training", advice)
        return
    listing.examples = [example for example in listing.examples if example.split]
    listing.ignored += [f"{path}: without a split" for path in paths]
    listing.warn_of(paths, what + "not used", advice)
