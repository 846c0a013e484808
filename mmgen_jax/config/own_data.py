"""The user's own data under any config: `configs/dcgan.py:folder=PATH`, or `:emoji,npz=FILE` behind another argument.

A config of several data sets side by side names its own arguments in `OWN_DATA`: `:photos=PATH,styles=PATH`.

The config keeps its networks, objective, optimizers and sizes, and reads its modalities from the folder or file. Of
several conditions, those that the data lacks are left out. A label of the config is replaced by the only label of the
data, whatever its name. Parts that only fit the config's original data set are removed: evaluators that know the
factors or classes of this set, and augmentation that may contradict another modality (mirror images, the order of time,
hues, sizes) or that grey pictures cannot have.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen_jax import lookup
from mmgen_jax.config import following
from mmgen_jax.config.schema import Config
from mmgen_jax.data.files import folder_formats, folder_listing, npz_columns
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import kinds

ARGUMENT = re.compile(r"(?:^|,)(folder|npz)=(.+)$")
# Fields of a config's data that shape its networks, by the modality that has them.
SIZES = {
    "image": ("image_size",),
    "video": ("image_size", "num_frames"),
    "audio": ("audio_seconds", "sample_rate"),
    "text": ("text_unit",),
}
NOT_OF_ALL = ("flip", "reverse", "hue", "saturation", "zoom")
MIN_BATCH = 8
PAIR = ("image", "text")
MIN_TRAIN, MIN_TEST = 64, 10  # least numbers of examples to train and test a retrieval model


@dataclasses.dataclass(frozen=True)
class Held:
    """The content of the data.

    Args:
      kinds: `{modality: kind}`.
      splits: the split of each example.
      captioned: the splits of those examples that have an image and a text.
    """

    kinds: Mapping[str, str]
    splits: list[str]
    captioned: list[str]


def split(argument: str, layout: str = "") -> tuple[str, dict[str, Any] | None]:
    """A config's argument without the data, and the fields of `config.data` for this data, None without data.

    Args:
      layout: `data.layout` of a folder; "": recognised.
    """
    found = ARGUMENT.search(argument)
    if not found:
        return argument, None
    name, path = found[1], str(pathlib.Path(os.path.expanduser(found[2])))  # a shell leaves the ~ in it
    return argument[: found.start()], _fields(name, path, layout)


def arguments(argument: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A config's argument without the places that its `OWN_DATA` names, and `{name: path}`.

    Raises:
      ConfigError: a place that is empty or given twice.
    """
    found = list(re.finditer(rf"(?:^|,)({'|'.join(map(re.escape, names))})=", argument)) if names else []
    ends = [*(place.start() for place in found[1:]), len(argument)]
    paths: dict[str, str] = {}
    for place, end in zip(found, ends):
        path = argument[place.end() : end]
        if not path or place[1] in paths:
            raise ConfigError(f"--config: {place[1]}={path}: expected one folder or .npz file; give it once")
        paths[place[1]] = str(pathlib.Path(os.path.expanduser(path)))
    return argument[: found[0].start()] if found else argument, paths


def place(path: str | os.PathLike, layout: str = "") -> dict[str, Any]:
    """The source, as fields of `config.data`, that reads a folder or an .npz file; `layout` as in `split`."""
    path = os.path.expanduser(path)
    return _fields("npz" if pathlib.Path(path).suffix == ".npz" else "folder", os.fspath(path), layout)


def _fields(name: str, path: str, layout: str) -> dict[str, Any]:
    if name == "npz":
        return {"name": name, "file": path}
    return {"name": name, "directory": path} | ({"layout": layout} if layout else {})


def onto(config: Config, fields: Mapping[str, Any], say: following.Say = print) -> Config:
    """The config on the data that `fields` name: `{"name": "folder", "directory": …}`, or npz and `file`.

    Raises:
      ConfigError: the data lacks a modality that the config reads.
      DataError: the data cannot be read.
    """
    where = fields.get("directory") or fields.get("file")
    if sets := config.data.get("sets"):
        first = f"data.sets.{next(iter(sets))}"
        raise ConfigError(
            f"{where}: the config reads {', '.join(sets)}, data sets side by side; without {where}, set "
            f"{first}.name=folder {first}.directory=PATH, and likewise the others"
        )
    held = look(fields, config.seed)
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        _use_label(config, held, where)
        _leave_out(config, held, say)
        needed = tuple(following.reads(config))
        if missing := [name for name in needed if name not in held.kinds]:
            rename = f", or give an array the name {missing[0]}" if fields["name"] == "npz" else ""
            rename = rename or (
                ", or give the data classes, as a folder of each class" if not _kind(missing[0]) else ""
            )
            raise ConfigError(
                f"{where}: the config reads {missing[0]}, and the data has: {', '.join(sorted(held.kinds))}; choose a "
                f"config of these, see mmgen configs{rename}"
            )
        if same := [name for name in needed if _kind(name) not in (held.kinds[name], None)]:
            raise ConfigError(f"{where}: expected {same[0]} of its own kind, got {held.kinds[same[0]]}; rename it")
        config.data = {**fields, "names": needed, **_sizes(config, needed)}
        for name, operations in config.augment.items():
            for operation in [key for key in operations if key in NOT_OF_ALL]:
                del operations[operation]
                say(f"config.augment.{name}.{operation} is left out: it may change the meaning of other data")
        for name in list(config.evaluators):
            if not _keep(config.evaluators[name], held):
                del config.evaluators[name]
                say(f"config.evaluators.{name} is left out: it measures the config's own data")
        if _draws_from_text(config) and not any(e.name == "retrieval_judge" for e in config.evaluators.values()):
            config.evaluators.update(adherence(held.captioned, say))
        num_train, batch_size = held.splits.count("train"), config.train.batch_size
        while config.train.batch_size > max(num_train, MIN_BATCH):
            config.train.batch_size //= 2
        if config.train.batch_size != batch_size:
            say(
                f"config.train.batch_size is {config.train.batch_size}, not {batch_size}: {num_train} training examples"
            )
    return config.lock()


def look(fields: Mapping[str, Any], seed: int) -> Held:
    """The content of a folder or file; no media file is decoded.

    Raises:
      DataError: the folder or file cannot be read.
    """
    if fields["name"] == "npz":
        return Held(*npz_columns.held(fields["file"], seed, PAIR))
    listing = folder_listing.read(fields["directory"], fields.get("layout", ""))
    if listing.problems:
        raise listing.problems[0]
    found = [item for example in listing.examples for item in example.items.values()]
    held: dict[str, str] = {}
    for item in found:
        if item.modality not in held and folder_formats.holds(item):
            held[item.modality] = item.kind
    splits = listing.splits(seed, 0.1, 0.1)
    captioned = [split for split, example in zip(splits, listing.examples) if set(PAIR) <= set(example.items)]
    return Held(held, splits, captioned)


def adherence(captioned: list[str], say: following.Say = print) -> dict[str, Any]:
    """`config.evaluators` that measure whether a picture matches its text; {} where the data has too few pairs.

    A retrieval model is trained on the training split. Beside each metric stand the accuracy of the retrieval model and
    its result on the real pictures.

    Args:
      captioned: see `Held`.
      say: is told where captioned pictures are too few.
    """
    num_train, num_test = captioned.count("train"), captioned.count("test")
    if num_train < MIN_TRAIN or num_test < MIN_TEST:
        if num_train:
            say(
                f"whether pictures match their texts is not measured: expected {MIN_TRAIN} captioned pictures in the "
                f"training split and {MIN_TEST} in the test split, got {num_train} and {num_test}"
            )
        return {}
    ranks = tuple(rank for rank in (1, 5, 10) if rank < num_test)
    return {"adherence": {"name": "retrieval_judge", "ranks": ranks}}


def _draws_from_text(config: Config) -> bool:
    return config.objective.get("target") == "image" and "text" in following.reads(config)


def _kind(name: str) -> str | None:
    return name if name in kinds.names() else None


def _use_label(config: Config, held: Held, where) -> None:
    """Replaces the label of the config's own set by the label of the data."""
    own = [name for name in following.reads(config) if _kind(name) is None and name not in held.kinds]
    labels = [name for name, kind in held.kinds.items() if kinds.find(kind).ranks == (0,)]  # an example is one class
    if not own or not labels:
        return
    objective = config.objective
    if objective.get("auxiliary_labels"):
        _use_labels(config, own, labels)
        return
    if len(own) > 1 or len(labels) > 1:
        raise ConfigError(
            f"{where}: the config recognises {', '.join(own)}, and the data has the labels {', '.join(labels)}; "
            f"expected one of each; rename one to {own[0]}, or leave the others out of the data"
        )
    if objective.get("target") == own[0]:
        objective.target = labels[0]
    for evaluator in config.evaluators.values():
        for field in ("target", "label"):
            if evaluator.get(field) == own[0]:
                evaluator[field] = labels[0]


def _use_labels(config: Config, own: list[str], labels: list[str]) -> None:
    """Replaces all labels of a config that recognises several labels by all labels of the data."""
    objective = config.objective
    before = [objective.target, *objective.auxiliary_labels]
    objective.target, objective.auxiliary_labels = labels[0], dict.fromkeys(labels[1:], 1.0)
    measures = {name: one for name, one in config.evaluators.items() if one.get("target") in before}
    for name in measures:
        del config.evaluators[name]
    for measure in list(measures.values())[:1]:
        config.evaluators.update({label: {**measure, "target": label} for label in labels})


def _leave_out(config: Config, held: Held, say: following.Say) -> None:
    """Removes the encoders of modalities that the data lacks, where another condition remains."""
    missing = [name for name, encoder in config.encoders.items() if (encoder.get("modality") or name) not in held.kinds]
    if len(missing) == len(config.encoders):
        return
    rates = config.get("fusion", {}).get("modality_dropout")
    for name in missing:
        del config.encoders[name]
        if hasattr(rates, "keys") and name in rates:
            del rates[name]
        say(f"config.encoders.{name} is left out: the data has {', '.join(held.kinds)}")


def _sizes(config: Config, needed: tuple[str, ...]) -> dict[str, Any]:
    """The sizes that the config's networks were chosen for; the set's default where the config names no size."""
    source = lookup.find("data", config.data.name)
    defaults = {field.name: field.default for field in dataclasses.fields(source)}
    found = {}
    for name in needed:
        for field in SIZES.get(name, ()):
            own = "video_size" if (name, field) == ("video", "image_size") and "video_size" in defaults else field
            if (value := config.data.get(own, defaults.get(own))) is not None:
                found.setdefault(field, value)
    return found


def _keep(evaluator: Any, held: Held) -> bool:
    """Whether an evaluator can measure a model of the data.

    Changes the evaluator to fit: ranks that the test split is too small for are removed, and so is `splits`, because
    the config names splits of its own set; the evaluator then measures its default splits.
    """
    cls = lookup.find("evaluators", evaluator.name)
    if getattr(cls, "of_set", "") or held.splits.count("test") < 2:
        return False
    for field in ("splits", "outside"):  # an outside recogniser knows the grammar of the config's own set
        if field in evaluator:
            del evaluator[field]
    fields = {field.name: field.default for field in dataclasses.fields(cls)}
    label = evaluator.get("label", fields.get("label"))
    if label and "label" in fields and label not in held.kinds:
        if fields["label"] != "":
            return False
        evaluator.label = ""  # the evaluator can do without a label
    if "ranks" in fields:
        ranks = tuple(rank for rank in evaluator.get("ranks", fields["ranks"]) if rank < held.splits.count("test"))
        if ranks != fields["ranks"]:
            evaluator.ranks = ranks
    return True
