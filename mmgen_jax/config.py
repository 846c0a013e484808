"""Configs: loading a file, overriding fields by their dotted names, and refusing what no config has."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from mmgen_jax import lookup
from mmgen_jax.lookup import nearest

# The parts a config may have; each is read in one place (`system.py`, or the loop for the plain numbers).
PARTS = {
    "reference",
    "seed",
    "dtype",
    "data",
    "augment",
    "encoders",
    "fusion",
    "target_encoder",
    "target_decoder",
    "generator",
    "discriminator",
    "objective",
    "optimizers",
    "train",
    "evaluators",
    "parallel",
}
# What a resumed run may change: how long it goes on (where no schedule depends on it), what it reports, where it runs.
MAY_CHANGE = (
    "reference",
    "train.steps",
    "train.log_steps",
    "train.eval_steps",
    "train.checkpoint_steps",
    "train.sample_steps",
    "train.num_samples",
)
MAY_CHANGE_PARTS = ("parallel", "evaluators")


class ConfigError(ValueError):
    """A config, or a change to one, that cannot be used; one line that says what to do."""


def base() -> ml_collections.ConfigDict:
    """The fields that every config has, with their defaults."""
    return ml_collections.ConfigDict(
        {
            "reference": "",  # where it was loaded from, set by `load`
            "seed": 0,
            "dtype": "float32",  # of the computation; parameters, losses and statistics stay float32
            "data": {},
            "augment": {},
            "encoders": {},
            "objective": {},
            "optimizers": {},
            "train": {
                "steps": 1000,
                "batch_size": 64,
                "log_steps": 50,
                "eval_steps": 0,  # 0: only at the end
                "checkpoint_steps": 1000,
                "sample_steps": 1000,
                "steps_per_call": 1,
                "num_samples": 16,
            },
            "evaluators": {},
            "parallel": {"mode": "jit", "fsdp": 1, "num_devices": 0},
        }
    )


def load(reference: str) -> ml_collections.ConfigDict:
    """The locked config of `path/to/file.py` or `path/to/file.py:argument`."""
    path, _, argument = reference.partition(":")
    file = pathlib.Path(path)
    if not file.is_file():
        found = sorted(str(f) for f in (file.parent if file.parent.is_dir() else pathlib.Path("configs")).glob("*.py"))
        raise ConfigError(f"--config: no file {path}; there are: {', '.join(found) or 'no configs here'}")
    spec = importlib.util.spec_from_file_location(f"config_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise ConfigError(f"--config: {path} has no function get_config(arg='')")
    if argument and not hasattr(module, "ARGUMENTS"):
        raise ConfigError(f"--config: {path} takes no argument, got {argument!r}; expected --config={path}")
    config = module.get_config(argument) if argument else module.get_config()
    config.reference = reference
    return checked(config)


def choose(argument: str, choices: Mapping[str, Any], config: str) -> Any:
    """What a config's argument picks.

    Raises:
      ConfigError: the argument is not one of the choices; the message lists them.
    """
    if argument not in choices:
        raise ConfigError(f"configs/{config}.py:{argument}: expected one of {', '.join(choices)}, got {argument!r}")
    return choices[argument]


def sized(argument: str, arguments: Iterable[str], config: str) -> tuple[str, bool]:
    """Which of a config's arguments is meant, and whether at its large size: `large` is the first one's, `X_large` X's.

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


def enlarged(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy sized for one accelerator: 64 px, batches of 256, bfloat16, and `changes` as `override` takes them."""
    size = {"dtype": "bfloat16", "train.batch_size": 256, "data.image_size": 64}
    if config.data.name == "digits":
        size["data.image_fit"] = "resize"
    return override(config, size | dict(changes))


def checked(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    if unknown := sorted(set(config) - PARTS):
        hint = nearest(unknown[0], PARTS)
        raise ConfigError(f"config.{unknown[0]}: no such part; {hint}the parts are: {', '.join(sorted(PARTS))}")
    for part in ("train", "parallel"):
        override(base(), {f"{part}.{key}": value for key, value in config[part].items()})
    return config.lock()


def override(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy with fields changed: `{"optimizers.generator.lr": "2e-4"}`; text is read as the field's type.

    Raises:
      ConfigError: no such field (the nearest one is named), or a value of another type.
    """
    config = config.copy_and_resolve_references()
    with config.unlocked():
        for key, value in changes.items():
            *path, field = key.split(".")
            node = config
            for depth, part in enumerate(path):
                node = _child(node, part, ".".join(path[:depth]))
                if not isinstance(node, ml_collections.ConfigDict):
                    raise ConfigError(f"config.{key}: {'.'.join(path[: depth + 1])} is a value, it has no fields")
            old = node[field] if field in node else _default(path, node, field)
            node[field] = _read(key, value, old)
    return config.lock()


def _default(path: list[str], node: ml_collections.ConfigDict, field: str) -> Any:
    """The default of a field that a component or optimizer has and the config leaves out."""
    from mmgen_jax import optimizers, system

    cls = optimizers.Optimizer if path[:1] == ["optimizers"] and len(path) == 2 else None
    if "name" in node and (package := system.PACKAGES.get(path[0])):
        cls = lookup.find(package, node.name)
    defaults = {f.name: f.default for f in dataclasses.fields(cls) if f.init} if cls else {}
    defaults |= system.PLACEMENT if path[0] == "encoders" else {}
    defaults |= {"modality_dropout": 0.0} if path[0] == "fusion" else {}
    value = defaults.get(field, dataclasses.MISSING)
    if isinstance(value, (bool, int, float, str, tuple)):
        return value
    settable = [name for name, default in defaults.items() if isinstance(default, (bool, int, float, str, tuple))]
    return _child(node, field, ".".join(path), settable)


def _child(node: ml_collections.ConfigDict, name: str, path: str, settable: Iterable[str] = ()):
    """The field `name` of a part; the error lists what there is, and what else can be set (`settable`)."""
    if name in node:
        return node[name]
    where = f"config.{path}" if path else "config"
    known = sorted({*node, *settable} - {"parent"})
    raise ConfigError(f"{where} has no field {name!r}; {nearest(name, known)}it has: {', '.join(known)}")


def _read(key: str, value: Any, old: Any) -> Any:
    """`value` as the type of `old`."""
    expected = type(old).__name__
    if isinstance(old, ml_collections.ConfigDict):
        raise ConfigError(f"config.{key}: it is a group of fields, set one of: {', '.join(sorted(old))}")
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = {"true": True, "false": False}[value.lower()] if isinstance(old, bool) else ast.literal_eval(value)
        except (ValueError, SyntaxError, KeyError):
            raise ConfigError(f"config.{key}: expected a value of type {expected}, got {value!r}") from None
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(old, tuple) and isinstance(value, list):
        value = tuple(value)
    if old is not None and type(value) is not type(old):
        raise ConfigError(f"config.{key}: expected a value of type {expected}, got {value!r}")
    return value


def to_json(config: ml_collections.ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def from_json(text: str) -> ml_collections.ConfigDict:
    def tuples(value):
        if isinstance(value, dict):
            return {k: tuples(v) for k, v in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return ml_collections.ConfigDict(tuples(json.loads(text))).lock()


def check_same(config: ml_collections.ConfigDict, saved: ml_collections.ConfigDict, workdir) -> None:
    """Raises ConfigError where a run in `workdir` would go on with another config than it began with."""
    now, before = flatten(json.loads(to_json(config))), flatten(json.loads(to_json(saved)))
    scheduled = [key for key, value in before.items() if key.endswith(".schedule") and value != "constant"]
    if scheduled and now["train.steps"] != before["train.steps"]:
        raise ConfigError(
            f"--workdir={workdir} holds a run whose {scheduled[0]} ends at step {before['train.steps']}, now train."
            f"steps is {now['train.steps']}; use another --workdir, or a constant schedule from the start"
        )
    for key in sorted(set(now) | set(before)):
        if key in MAY_CHANGE or key.split(".")[0] in MAY_CHANGE_PARTS or now.get(key) == before.get(key):
            continue
        raise ConfigError(
            f"--workdir={workdir} holds a run of another config: {key} was {before.get(key, 'not set')!r}, now "
            f"{now.get(key, 'not set')!r}; use another --workdir, or the config it was trained with"
        )


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
