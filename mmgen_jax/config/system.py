"""Builds the parts of a config: data, networks, objective, optimizers. Only this module reads these parts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from mmgen_jax import contracts, lookup
from mmgen_jax.config import fitting, networks, ranges, schema
from mmgen_jax.config.schema import DTYPES, NETWORKS, PLACEMENT, PLACES, REPRESENTATION_PACKAGES, Config
from mmgen_jax.data import derived, subset
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch, Modality, name_of
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.readout import CellTokens
from mmgen_jax.training import optimizers
from mmgen_jax.training.augment import Augmentation
from mmgen_jax.training.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class System:
    """The trained system: an objective with its networks, and an optimizer per player.

    Args:
      conditions: the modalities that an encoder or an aligned source reads.
      init_from: `{"encoders.text": "workdir:module", "generator": "workdir"}`, the parameters that networks start from.
      augment: of the training batches, `(batch, keys) -> batch`.
    """

    objective: contracts.Objective
    optimizers: Mapping[str, Optimizer]
    modalities: Mapping[str, Modality]
    conditions: tuple[str, ...]
    init_from: Mapping[str, str]
    augment: Augmentation | None

    @property
    def targets(self) -> tuple[str, ...]:
        """Every modality that the objective draws."""
        return self.objective.targets

    @property
    def target(self) -> str:
        """The first of `targets`, for code that handles one target."""
        return self.targets[0]

    def without_targets(self, batch: Batch, given: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """The batch for sampling: conditions and `given` targets are kept, other targets are zero and masked.

        A target that is also a condition is kept.
        """
        size = len(next(iter(batch.values())))
        shown = {*self.conditions, *given}
        kept = {key: values for key, values in batch.items() if name_of(key) in shown}
        hidden = {}
        for name in self.targets:
            hidden[name] = self.modalities[name].zeros(size)
            hidden[name + MASK_SUFFIX] = np.zeros(size, bool)
            if name in kept:
                del hidden[name + MASK_SUFFIX]
        return hidden | kept


def open_source(config: Config, split: str = "", names: tuple[str, ...] = ()) -> contracts.Source:
    """The data source of a split (default: the first), with the modalities `names` beside the config's own.

    `config.data.part` and `config.data.fraction` are no fields of the source: of the first split, the training split,
    only this part is read, and of the part only this fraction. `+` joins splits, where the source can
    (`validation+test`). The modalities of `config.derived` are computed when they are read.

    Raises:
      ConfigError: the source has no such split; see also `data/derived.py`.
    """
    schema.check_numbers(config)
    cls = lookup.find("data", config.data.get("name"))
    ranges.check_value(tuple[str, ...], config.data.get("names", ()), "config.data.names")
    split = split or cls.splits[0]
    if not set(split.split("+")) <= set(cls.splits):
        raise ConfigError(f"split {split!r}: {config.data.name} has the splits {', '.join(cls.splits)}")
    own, entries = tuple(config.data.get("names", ())), derived.build(config.get("derived", {}))
    read = [root for name in (*own, *names, *entries) for root in derived.roots(config.get("derived", {}), name)]
    fields: dict[str, Any] = dict(config.data) | {"names": tuple(dict.fromkeys(read)) if own else ()}
    fields |= {name: os.path.expanduser(fields[name]) for name in PLACES if isinstance(fields.get(name), str)}
    fraction, half = float(fields.pop("fraction", 1.0)), fields.pop("part", "")
    whole = lookup.build("data", fields, "config.data", split=split, seed=config.seed)
    trained_on = split == cls.splits[0]
    part = subset.part_of(whole, half, fraction, config.seed) if trained_on else whole
    return derived.added(part, entries, config.seed if trained_on else None)


def held_out_split(config: Config) -> str:
    """`test` where the data has it, else its last split."""
    splits = lookup.find("data", config.data.get("name")).splits
    return "test" if "test" in splits else splits[-1]


def build_system(
    config: Config,
    modalities: Mapping[str, Modality],
    label_preserving: tuple[str, ...] | None = None,
) -> System:
    """Networks, objective and optimizers; nothing is compiled or allocated.

    Args:
      label_preserving: of the data source, see `augment.Augmentation`; None leaves augmentation out (only training
        augments).

    Raises:
      ConfigError, LookupFailed: a name, field or modality that does not exist.
      InputError: an augmentation that the modalities do not have.
    """
    schema.check_numbers(config)
    if config.dtype not in DTYPES:
        raise ConfigError(f"config.dtype: expected one of {', '.join(DTYPES)}, got {config.dtype!r}")
    fitting.check_generator(config)
    common = {"dtype": DTYPES[config.dtype]}
    names = config.objective.get("targets") or (config.objective.get("target"),)
    targets = {name: _modality(name, "objective.target", modalities) for name in names}
    representations = _representations(config, targets, common)
    target = next(iter(targets.values()))
    representation = representations[names[0]]
    spaces = {name: (representations[name] or modality).space for name, modality in targets.items()}
    facts = {name: common | _facts(targets[name]) | _space_facts(space) for name, space in spaces.items()}
    parts = {part: networks.build(package, config, part, facts, spaces) for part, package in NETWORKS.items()}
    context = {
        "target": names[0],
        "modality": target,
        "modalities": modalities,
        "conditioner": _conditioner(config, modalities, common),
        "representation": representation,
        "representations": representations,
        **parts,
    }
    context = {key: value for key, value in context.items() if value is not None}
    objective = lookup.build("objectives", config.objective, "config.objective", **context)
    taken = {field.name for field in dataclasses.fields(objective)}
    taken |= {"target", "modality", "modalities", "representations"}
    if unused := sorted(set(context) - taken):
        part = "encoders" if unused[0] == "conditioner" else unused[0]
        raise ConfigError(f"config.{part}: objective {config.objective.name!r} has no use for it; take it out")
    if not objective.takes_representation and any(found is not None for found in representations.values()):
        raise ConfigError(f"config.representation: objective {config.objective.name!r} has no use for it; take it out")
    kept = tuple(config.objective[field] for field in ("known", "hole") if config.objective.get(field))
    conditions = tuple(dict.fromkeys((*_reads(config).values(), *_aligned(config), *kept)))
    if len(targets) == 1 and names[0] in conditions and "sample" in objective.abilities and "generator" in context:
        raise ConfigError(f"config.encoders: {names[0]!r} is the target and cannot be a condition of itself")
    return System(
        objective,
        _optimizers(config, objective.players),
        modalities,
        conditions,
        networks.init_from(config),
        Augmentation(config.augment, modalities, label_preserving)
        if config.augment and label_preserving is not None
        else None,
    )


def _representations(config, targets: Mapping[str, Modality], common) -> dict[str, Any]:
    """`{target: representation}`, None where the target's own array is modelled."""
    fields = config.get("representation")
    if not fields:
        return dict.fromkeys(targets)
    if len(targets) == 1:
        name, modality = next(iter(targets.items()))
        return {name: _representation(fields, modality, common, "representation")}
    if unknown := sorted(set(fields) - set(targets)):
        raise ConfigError(
            f"config.representation: several targets have one each ({', '.join(targets)}), got {unknown[0]!r}"
        )
    return {
        name: _representation(fields[name], modality, common, f"representation.{name}") if name in fields else None
        for name, modality in targets.items()
    }


def _representation(fields, modality: Modality, common, where: str):
    """The representation of a target, with the representation that it is built on (`of`)."""
    if not isinstance(fields, ml_collections.ConfigDict):
        raise ConfigError(f"config.{where}: expected a group of fields with a name, got {fields!r}")
    part = getattr(lookup.find("representations", str(fields.get("name"))), "part_of", lambda whole: whole)(modality)
    inner = _representation(fields["of"], part, common, f"{where}.of") if fields.get("of") else None
    of = inner or lookup.find("representations", "identity")(part)
    facts = common | _facts(part) | {"shape": of.space.shape}
    context = {"modality": modality, "of": of, "sample_rate": modality.sample_rate}
    for part, package in REPRESENTATION_PACKAGES.items():
        if fields.get(part):
            context[part] = lookup.build(package, fields[part], f"config.{where}.{part}", **facts)
    own = {key: value for key, value in fields.items() if key not in ("of", *REPRESENTATION_PACKAGES)}
    return lookup.build("representations", own, f"config.{where}", **context)


def _reads(config) -> dict[str, str]:
    """The modality that each encoder reads: its `modality`, else the modality of the encoder's name."""
    return {name: encoder.get("modality") or name for name, encoder in config.encoders.items()}


def _aligned(config) -> tuple[str, ...]:
    names = config.get("aligned", ())
    return (names,) if isinstance(names, str) else tuple(names)


def _conditioner(config, modalities, common) -> Conditioner | None:
    aligned = _aligned(config)
    if not config.encoders and not aligned:
        return None
    if config.encoders and not config.get("fusion"):
        raise ConfigError("config.fusion: expected a fusion to join the encoders, e.g. fusion.name='concat'")
    reads = _reads(config)
    own = {name: _modality(name, "encoders", modalities) for name in reads.values()}
    fitting.check_encoders(config, reads, own)
    for name in aligned:
        own[name] = _modality(name, "aligned", modalities)
        space = own[name].space
        if not isinstance(space, Continuous) or space.rank == 0:
            raise ConfigError(
                f"config.aligned: {name!r} is of kind {own[name].kind!r}, which has no grid; read it by an encoder"
            )
    encoders = {
        name: lookup.build(
            "encoders",
            {k: v for k, v in encoder.items() if k not in PLACEMENT},
            f"config.encoders.{name}",
            **common,
            **_facts(own[reads[name]]),
        )
        for name, encoder in config.encoders.items()
    }
    fusion = {k: v for k, v in config.fusion.items() if k != "modality_dropout"} if config.encoders else None
    return Conditioner(
        encoders,
        lookup.build("fusion", fusion, "config.fusion", **common) if fusion else None,
        reads,
        own,
        _dropout(config) if config.encoders else 0.0,
        tuple(name for name, encoder in config.encoders.items() if encoder.get("frozen")),
        {
            name: CellTokens(encoder.readout, common["dtype"])
            for name, encoder in config.encoders.items()
            if encoder.get("readout")
        },
        aligned,
    )


def _dropout(config) -> float | dict[str, float]:
    rates = config.fusion.get("modality_dropout", 0.0)
    if isinstance(rates, (int, float)):
        return float(rates)
    if unknown := sorted(set(rates) - set(config.encoders)):
        raise ConfigError(
            f"config.fusion.modality_dropout: no encoder {unknown[0]!r}; there are: {', '.join(config.encoders)}"
        )
    return dict(rates)


def _modality(name, where: str, modalities: Mapping[str, Modality]) -> Modality:
    if name not in modalities:
        raise ConfigError(f"config.{where}: {name!r} is not in the data; its modalities are: {', '.join(modalities)}")
    return modalities[name]


def _facts(modality: Modality) -> dict[str, Any]:
    """The facts of a modality that a component may need."""
    return {
        "shape": modality.shape,
        "vocab_size": modality.vocab_size,
        "num_classes": modality.num_classes,
        "sample_rate": modality.sample_rate,
        "frame_rate": modality.frame_rate,
    }


def _space_facts(space) -> dict[str, Any]:
    """The facts of a space that a component may need."""
    return {"shape": space.shape, "vocab_size": space.num_ids if isinstance(space, Discrete) else 0}


def _optimizers(config, players: tuple[str, ...]) -> dict[str, Optimizer]:
    if set(config.optimizers) != set(players):
        raise ConfigError(
            f"config.optimizers: expected one for each player ({', '.join(players)}), got "
            + ", ".join(config.optimizers)
        )
    frozen = tuple(f"encoders_{name}" for name, encoder in config.encoders.items() if encoder.get("frozen"))
    return {
        player: optimizers.build(player, config.optimizers[player], total_steps=config.train.steps, frozen=frozen)
        for player in players
    }
