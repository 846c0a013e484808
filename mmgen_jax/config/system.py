"""From a config to what it describes: data, networks, objective, optimizers. The only reader of those parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.schema import DTYPES, PLACEMENT, ConfigError
from mmgen_jax.data.subset import Subset
from mmgen_jax.modalities.modality import DTYPE, MASK_SUFFIX, Batch, Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.readout import CellTokens
from mmgen_jax.training.augment import Augmentation
from mmgen_jax.training.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class System:
    """What is trained: an objective with its networks, and an optimizer per player.

    Args:
      conditions: the modalities that an encoder reads.
      init_from: `{encoder: "workdir:module"}`, parameters to start from.
      augment: of the training batches, `(batch, keys) -> batch`.
    """

    objective: Any
    optimizers: Mapping[str, Optimizer]
    modalities: Mapping[str, Modality]
    conditions: tuple[str, ...]
    init_from: Mapping[str, str]
    augment: Augmentation | None

    @property
    def target(self) -> str:
        return self.objective.target

    def without_target(self, batch: Batch) -> dict[str, np.ndarray]:
        """The batch as one samples from it: conditions as they are, the target zero and masked."""
        size = len(next(iter(batch.values())))
        kept = {k: v for k, v in batch.items() if k.removesuffix(MASK_SUFFIX) in self.conditions}
        modality = self.modalities[self.target]
        target = np.zeros((size, *modality.shape), DTYPE[modality.kind])
        # A target that is also a condition stays as it is given.
        return {self.target: target, self.target + MASK_SUFFIX: np.zeros(size, bool)} | kept


def open_source(config: ml_collections.ConfigDict, split: str = "", names: tuple[str, ...] = ()):
    """The data source of a split (the first where none is named), with modalities beyond the config's own.

    `config.data.fraction` is not the source's: of the first split, the one to train on, only that part is read.

    Raises:
      ConfigError: the source has no such split.
    """
    cls = lookup.find("data", config.data.get("name"))
    split = split or cls.splits[0]
    if split not in cls.splits:
        raise ConfigError(f"split {split!r}: {config.data.name} has the splits {', '.join(cls.splits)}")
    own = tuple(config.data.get("names", ()))
    fields = dict(config.data) | {"names": tuple(dict.fromkeys(own + tuple(names))) if own else ()}
    fraction = fields.pop("fraction", 1.0)
    whole = lookup.build("data", fields, split=split, seed=config.seed)
    return Subset(whole, fraction, config.seed) if fraction != 1 and split == cls.splits[0] else whole


def held_out_split(config: ml_collections.ConfigDict) -> str:
    """`test` where the data has it, else its last split."""
    splits = lookup.find("data", config.data.get("name")).splits
    return "test" if "test" in splits else splits[-1]


def build_system(
    config: ml_collections.ConfigDict,
    modalities: Mapping[str, Modality],
    axis_name: str | None = None,
    invariant_to: tuple[str, ...] | None = None,
) -> System:
    """Networks, objective and optimizers; nothing is compiled or allocated.

    Args:
      axis_name: of the mapped axis, for what averages over devices itself (`pmap`).
      invariant_to: the data source's, see `augment.Augmentation`; None leaves augmentation out, as all but training do.

    Raises:
      ConfigError, lookup.LookupFailed: a name, field or modality that does not exist.
    """
    if config.dtype not in DTYPES:
        raise ConfigError(f"config.dtype: expected one of {', '.join(DTYPES)}, got {config.dtype!r}")
    common = {"dtype": DTYPES[config.dtype], "axis_name": axis_name}
    target = _modality(config.objective.get("target"), "objective.target", modalities)
    networks = {
        "modality": target,
        "modalities": modalities,
        "axis_name": axis_name,
        "conditioner": _conditioner(config, modalities, common),
        "target_encoder": _optional("encoders", config.get("target_encoder"), common | _facts(target)),
        "target_decoder": _optional("generators", config.get("target_decoder"), common | _facts(target)),
        "generator": _optional("generators", config.get("generator"), common | _facts(target)),
        "discriminator": _optional("discriminators", config.get("discriminator"), common | _facts(target)),
    }
    networks = {key: value for key, value in networks.items() if value is not None}
    objective = lookup.build("objectives", config.objective, **networks)
    taken = {field.name for field in dataclasses.fields(objective)} | {"modality", "modalities", "axis_name"}
    if unused := sorted(set(networks) - taken):
        part = "encoders" if unused[0] == "conditioner" else unused[0]
        raise ConfigError(f"config.{part}: objective {config.objective.name!r} has no use for it; take it out")
    if config.objective.target in _reads(config).values() and "generator" in networks:
        raise ConfigError(
            f"config.encoders: {config.objective.target!r} is the target and cannot be a condition of itself"
        )
    return System(
        objective,
        _optimizers(config, objective.players),
        modalities,
        tuple(dict.fromkeys(_reads(config).values())),
        {name: encoder.init_from for name, encoder in config.encoders.items() if encoder.get("init_from")},
        Augmentation(config.augment, modalities, invariant_to) if config.augment and invariant_to is not None else None,
    )


def _reads(config) -> dict[str, str]:
    """The modality that each encoder reads: the one of its own name unless it says another."""
    return {name: encoder.get("modality") or name for name, encoder in config.encoders.items()}


def _conditioner(config, modalities, common) -> Conditioner | None:
    if not config.encoders:
        return None
    if not config.get("fusion"):
        raise ConfigError("config.fusion: expected a fusion to join the encoders, e.g. fusion.name='concat'")
    reads = _reads(config)
    own = {name: _modality(name, "encoders", modalities) for name in reads.values()}
    encoders = {
        name: lookup.build(
            "encoders", {k: v for k, v in encoder.items() if k not in PLACEMENT}, **common, **_facts(own[reads[name]])
        )
        for name, encoder in config.encoders.items()
    }
    fusion = {k: v for k, v in config.fusion.items() if k != "modality_dropout"}
    return Conditioner(
        encoders,
        lookup.build("fusion", fusion, **common),
        reads,
        own,
        _dropout(config),
        tuple(name for name, encoder in config.encoders.items() if encoder.get("frozen")),
        {
            name: CellTokens(encoder.readout, common["dtype"])
            for name, encoder in config.encoders.items()
            if encoder.get("readout")
        },
        common["axis_name"],
    )


def _dropout(config) -> float | dict[str, float]:
    rates = config.fusion.get("modality_dropout", 0.0)
    if isinstance(rates, float):
        return rates
    if unknown := sorted(set(rates) - set(config.encoders)):
        raise ConfigError(
            f"config.fusion.modality_dropout: no encoder {unknown[0]!r}; there are: {', '.join(config.encoders)}"
        )
    return dict(rates)


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
            f"config.optimizers: expected one for each player ({', '.join(players)}), got "
            + ", ".join(config.optimizers)
        )
    fields = {field.name for field in dataclasses.fields(Optimizer)} - {"total_steps", "frozen"}
    for player, optimizer in config.optimizers.items():
        if unknown := sorted(set(optimizer) - fields):
            raise ConfigError(
                f"config.optimizers.{player} has no field {unknown[0]!r}; {lookup.nearest(unknown[0], fields)}it has: "
                + ", ".join(sorted(fields))
            )
    frozen = tuple(f"encoders_{name}" for name, encoder in config.encoders.items() if encoder.get("frozen"))
    common = {"total_steps": config.train.steps, "frozen": frozen}
    return {player: Optimizer(**config.optimizers[player], **common) for player in players}
