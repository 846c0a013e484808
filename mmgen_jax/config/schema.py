"""The parts of a config, their defaults, and the fields that a resumed run may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax.numpy as jnp
import ml_collections

from mmgen_jax.config import ranges
from mmgen_jax.config.ranges import Count, Interval, NotNegative, Seconds, Seed, Share, Size, Steps, TopShare

# An `ml_collections.ConfigDict`, whose fields are attributes of any type: `config.train.steps`.
Config: TypeAlias = Any

# The parts a config may have; each is read in one place (`system.py`, or the loop for the plain numbers).
PARTS = {
    "reference",
    "seed",
    "dtype",
    "data",
    "derived",
    "augment",
    "encoders",
    "fusion",
    "aligned",
    "representation",
    "target_encoder",
    "generator",
    "discriminator",
    "objective",
    "optimizers",
    "train",
    "evaluators",
    "parallel",
}


# The parts that are groups of fields; and of these, the parts that hold several groups, each under its name.
GROUPS = PARTS - {"reference", "seed", "dtype", "aligned"}
NAMED_GROUPS = {"derived", "encoders", "evaluators", "optimizers"}


# Fields that a resumed run may change: its length (where no schedule depends on the length), its reports, its devices
# and memory, and its treatment of steps that are not finite.
MAY_CHANGE = (
    "reference",
    "train.steps",
    "train.log_steps",
    "train.eval_steps",
    "train.checkpoint_steps",
    "train.checkpoint_minutes",
    "train.keep_checkpoints",
    "train.sample_steps",
    "train.num_samples",
    "train.rematerialise",
    "train.skip_bad_steps",
)


MAY_CHANGE_PARTS = ("parallel", "evaluators")


def base() -> Config:
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


# Optional fields and their defaults. A config stores an optional field only if it sets the field, so the hashes of
# other configs do not change.
OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "train": {
        "checkpoint_minutes": 0.0,  # also save at the first log step after so many minutes; 0: by steps alone
        "keep_checkpoints": 2,  # so many of the newest stay; 0: all
        "accumulate": 1,  # parts of a batch, whose gradients are averaged
        "skip_bad_steps": 0,  # so many steps of a run may be NaN or infinite; they change nothing
        "rematerialise": False,  # compute activations again in the backward pass
    },
    "parallel": {"wait_seconds": 600.0},  # how long processes wait for one of them before a step
}


def optional(config: Config, part: str, field: str) -> Any:
    """The value of a field of OPTIONAL."""
    return config[part].get(field, OPTIONAL[part][field])


# The ranges of the numbers that belong to no component.
RANGES: Mapping[str, Mapping[str, Any]] = {
    "": {"seed": Seed},
    "train": {
        "batch_size": Size,
        "steps_per_call": Size,
        "num_samples": Size,
        **dict.fromkeys(("steps", "log_steps", "checkpoint_steps"), Interval),
        **dict.fromkeys(("sample_steps", "eval_steps"), Steps),
        "checkpoint_minutes": NotNegative,
        "keep_checkpoints": Steps,
        "accumulate": Size,
        "skip_bad_steps": Steps,
    },
    "parallel": {"fsdp": Size, "num_devices": Count, "wait_seconds": Seconds},
    "data": {"fraction": TopShare},
    "fusion": {"modality_dropout": Share | Mapping[str, Share]},
}


def check_numbers(config: Config) -> None:
    """Raises ConfigError for a number of RANGES that is out of its range; components check their own."""
    for part, fields in RANGES.items():
        group = config.get(part, {}) if part else config
        for name, annotation in fields.items():
            if name in group:
                ranges.check_value(annotation, group[name], f"config.{part}.{name}" if part else f"config.{name}")


DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


# Fields of an encoder's config that are not fields of the encoder itself.
PLACEMENT = {"modality": "", "init_from": "", "frozen": False, "readout": 0}


# Fields of `data` that give the place of the data; the same data may move.
PLACES = ("directory", "file")


def places(config: Config) -> dict[str, str]:
    """The fields of PLACES that a config has, at any depth of `config.data`: `{"data.sets.a.directory": "pets"}`."""

    def found(group: Any, where: str) -> dict[str, str]:
        own = {f"{where}.{key}": value for key, value in group.items() if key in PLACES}
        for key, value in group.items():
            own |= found(value, f"{where}.{key}") if hasattr(value, "items") else {}
        return own

    return found(config.data, "data")


# The package of the component that each part of a config names.
PACKAGES = {
    "data": "data",
    "derived": "transforms",
    "encoders": "encoders",
    "fusion": "fusion",
    "target_encoder": "encoders",
    "representation": "representations",
    "generator": "generators",
    "discriminator": "discriminators",
    "objective": "objectives",
    "evaluators": "evaluators",
}
# Of these, the networks of the targets (`config/networks.py`).
NETWORKS = {part: PACKAGES[part] for part in ("target_encoder", "generator", "discriminator")}
# The same for the networks of a representation; `of` is another representation.
REPRESENTATION_PACKAGES = {"encoder": "encoders", "decoder": "generators"}
