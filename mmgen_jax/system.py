"""From a config to what it describes: data, networks, objective, optimizers. The only reader of those parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

from mmgen_jax import lookup
from mmgen_jax.conditioning import Conditioner
from mmgen_jax.config import ConfigError
from mmgen_jax.modalities import MASK_SUFFIX, Batch, Modality
from mmgen_jax.optimizers import Optimizer

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16, "float16": jnp.float16}


@dataclasses.dataclass(frozen=True)
class System:
    """What is trained: an objective with its networks, and an optimizer per player."""

    objective: Any
    optimizers: Mapping[str, Optimizer]
    modalities: Mapping[str, Modality]
    conditions: tuple[str, ...]  # the modalities that have an encoder

    @property
    def target(self) -> str:
        return self.objective.target

    def without_target(self, batch: Batch) -> dict[str, np.ndarray]:
        """The batch as one samples from it: conditions as they are, the target zero and masked."""
        size = len(next(iter(batch.values())))
        kept = {k: v for k, v in batch.items() if k.removesuffix(MASK_SUFFIX) in self.conditions}
        modality = self.modalities[self.target]
        dtype = np.int32 if modality.kind in ("text", "label") else np.float32
        target = {
            self.target: np.zeros((size, *modality.shape), dtype),
            self.target + MASK_SUFFIX: np.zeros(size, bool),
        }
        return target | kept  # a target that is also a condition is given


def source(config: ml_collections.ConfigDict, split: str = "", names: tuple[str, ...] = ()):
    """The data source of a split (the first where none is named), with modalities beyond the config's own.

    Raises:
      ConfigError: the source has no such split.
    """
    cls = lookup.find("data", config.data.get("name"))
    split = split or cls.splits[0]
    if split not in cls.splits:
        raise ConfigError(f"split {split!r}: {config.data.name} has the splits {', '.join(cls.splits)}")
    own = tuple(config.data.get("names", ()))
    fields = dict(config.data) | {"names": tuple(dict.fromkeys(own + tuple(names))) if own else ()}
    return lookup.build("data", fields, split=split, seed=config.seed)


def held_out_split(config: ml_collections.ConfigDict) -> str:
    """`test` where the data has it, else its last split."""
    splits = lookup.find("data", config.data.get("name")).splits
    return "test" if "test" in splits else splits[-1]


def build(
    config: ml_collections.ConfigDict, modalities: Mapping[str, Modality], axis_name: str | None = None
) -> System:
    """Networks, objective and optimizers; nothing is compiled or allocated.

    Raises:
      ConfigError, lookup.LookupFailed: a name, field or modality that does not exist.
    """
    if config.dtype not in DTYPES:
        raise ConfigError(f"config.dtype: expected one of {', '.join(DTYPES)}, got {config.dtype!r}")
    common = {"dtype": DTYPES[config.dtype], "axis_name": axis_name}
    target = _modality(config.objective.get("target"), "objective.target", modalities)
    networks = {
        "modality": target,
        "axis_name": axis_name,
        "conditioner": _conditioner(config, modalities, common),
        "target_encoder": _optional("encoders", config.get("target_encoder"), common | _facts(target)),
        "generator": _optional("generators", config.get("generator"), common | _facts(target)),
        "discriminator": _optional("discriminators", config.get("discriminator"), common | _facts(target)),
    }
    networks = {key: value for key, value in networks.items() if value is not None}
    objective = lookup.build("objectives", config.objective, **networks)
    return System(objective, _optimizers(config, objective.players), modalities, tuple(config.encoders))


def _conditioner(config, modalities, common) -> Conditioner | None:
    if not config.encoders:
        return None
    if not config.get("fusion"):
        raise ConfigError("config.fusion: expected a fusion to join the encoders, e.g. fusion.name='concat'")
    own = {name: _modality(name, f"encoders.{name}", modalities) for name in config.encoders}
    encoders = {
        name: lookup.build("encoders", encoder, **common, **_facts(own[name]))
        for name, encoder in config.encoders.items()
    }
    return Conditioner(encoders, lookup.build("fusion", config.fusion, **common), own)


def _optional(package: str, config, context):
    return lookup.build(package, config, **context) if config else None


def _modality(name, where: str, modalities: Mapping[str, Modality]) -> Modality:
    if name not in modalities:
        raise ConfigError(f"config.{where}: {name!r} is not in the data; its modalities are: {', '.join(modalities)}")
    return modalities[name]


def _facts(modality: Modality) -> dict[str, Any]:
    """What a component may need to know of its modality."""
    return {
        "shape": modality.shape,
        "vocab_size": modality.vocab_size,
        "num_classes": modality.num_classes,
        "sample_rate": modality.sample_rate,
        "frame_rate": modality.frame_rate,
    }


def _optimizers(config, players: tuple[str, ...]) -> dict[str, Optimizer]:
    if set(config.optimizers) != set(players):
        raise ConfigError(
            f"config.optimizers: expected one for each player ({', '.join(players)}), got {', '.join(config.optimizers)}"
        )
    fields = {field.name for field in dataclasses.fields(Optimizer)} - {"total_steps"}
    for player, optimizer in config.optimizers.items():
        if unknown := sorted(set(optimizer) - fields):
            raise ConfigError(
                f"config.optimizers.{player} has no field {unknown[0]!r}; it has: {', '.join(sorted(fields))}"
            )
    return {player: Optimizer(**config.optimizers[player], total_steps=config.train.steps) for player in players}
