"""Parts about a data set that several configs share: its source, and the evaluators that can judge its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmgen_jax.config.override import override
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError

DIGITS_64 = {"image_size": 64, "image_fit": "resize"}  # fields of `digits` for pictures of 64 px
LABELS = {"digits": "digit", "clothing": "clothing"}  # the label that a judge is trained on


def source(dataset: str, *names: str, **fields) -> dict[str, Any]:
    """`config.data` of a set for the modalities `names`."""
    return {"name": dataset, "names": names, **fields}


def drawn_from_texts(dataset: str) -> dict[str, Any]:
    """`config.data` of a set for a model that draws its `image` from its `text`.

    The judge of emoji (`judges`) is trained on the other part of the training split, so that it has seen no picture
    that the model has seen.
    """
    return source(dataset, "text", "image", **({"part": "first"} if dataset == "emoji" else {}))


def judges(dataset: str, conditional: bool) -> dict[str, Any]:
    """`config.evaluators` for a model that draws the set's `image`, from a text or from nothing."""
    evaluators = {}
    if dataset == "scenes" and conditional:
        evaluators["coherence"] = {"name": "scenes_coherence"}
        evaluators["variety"] = {"name": "variety"}
    if dataset == "emoji" and conditional:
        # The judge knows all words of only 23 of the 160 test names, and of 60 of the test and validation names.
        evaluators["retrieval"] = {"name": "retrieval_judge", "splits": ("validation+test",)}
    if dataset in LABELS:
        evaluators["frechet"] = {"name": "classifier_frechet", "label": LABELS[dataset]}
        if conditional:
            evaluators["accuracy"] = {"name": "classifier_accuracy", "label": LABELS[dataset]}
    return evaluators


def choose(argument: str, choices: Mapping[str, Any], config: str) -> Any:
    """The choice that a config's argument names.

    Raises:
      ConfigError: the argument is not one of the choices; the message lists them.
    """
    if argument not in choices:
        raise ConfigError(f"configs/{config}.py:{argument}: expected one of {', '.join(choices)}, got {argument!r}")
    return choices[argument]


def sized(argument: str, arguments: Iterable[str], config: str) -> tuple[str, bool]:
    """`(name, is_large)` of a config's argument: `large` is the large size of the first name, `X_large` of X.

    Raises:
      ConfigError: neither one of the arguments nor the large size of one.
    """
    names = [name for name in arguments if name != "large"]
    if argument == "large":
        return names[0], True
    name = argument.removesuffix("_large")
    if name not in names:
        expected = f"large or, with or without _large behind it, one of {', '.join(names)}"
        raise ConfigError(f"configs/{config}.py:{argument}: expected {expected}, got {argument!r}")
    return name, name != argument


def split_size(argument: str, default: str) -> tuple[str, bool]:
    """`(argument without its size, is_large)`; `large` alone is the large size of `default`. Checks nothing else."""
    if argument == "large":
        return default, True
    return argument.removesuffix("_large"), argument.endswith("_large")


WIDTHS = ("features", "width", "max_width", "channels")


def widened(fields: Any, factor: int) -> Any:
    """Networks' fields (a config's subtree as a dict), with every width and number of channels times `factor`."""
    if not isinstance(fields, Mapping):
        return fields
    made = {}
    for name, value in fields.items():
        if name in WIDTHS:
            made[name] = tuple(factor * width for width in value) if isinstance(value, tuple) else factor * value
        else:
            made[name] = widened(value, factor)
    return made


def enlarged(config: Config, changes: Mapping[str, Any]) -> Config:
    """A copy sized for one accelerator: 64 px, batches of 256, bfloat16, and `changes` as `override` takes them.

    The data of a config without pictures keeps its fields.
    """
    size: dict[str, Any] = {"dtype": "bfloat16", "train.batch_size": 256}
    if not shows_pictures(config):
        return override(config, size | dict(changes))
    clips = config.data.name == "digits" and "image" not in config.data.get("names", ("image",))
    sides: dict[str, Any] = {"video_size": 64} if clips else {"image_size": 64}
    if config.data.name == "digits" and not clips:
        sides = DIGITS_64
    size |= {f"data.{field}": value for field, value in sides.items()}
    return override(config, size | dict(changes))


def shows_pictures(config: Config) -> bool:
    """Whether a config reads pictures or clips from a data set that names its modalities after their kinds."""
    names = config.data.get("names", ())
    return not names or not set(names) <= {"text", "audio"}


def target_judges(dataset: str, target: str, conditions: tuple[str, ...]) -> dict[str, Any]:
    """`config.evaluators` for a model of any target of `digits` or `scenes`: do judges recognise the given conditions?

    Without conditions, the target is judged as the model reconstructs it.
    """
    if target == "text":
        by = next(name for name in conditions if name != "text")
        name = "captions" if dataset == "digits" else "scenes_captions"
        return {"captions": {"name": name, "by": by}}
    fields: dict[str, Any] = {} if conditions else {"from_target": True}
    if dataset == "scenes":
        if target in ("audio", "video") and conditions and not {"audio", "video"} & set(conditions):
            fields["told"] = ("shape", "color", "size")  # not told: motion by an image, or by every caption
        return {"coherence": {"name": "scenes_coherence", **fields}}
    label = LABELS[dataset]
    return {
        "accuracy": {"name": "classifier_accuracy", "label": label, **fields},
        "controls": {"name": "judge_controls", "label": label},
    }
