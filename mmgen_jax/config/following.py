"""Consequences of a change of a config: removes fields, networks and optimizers without a use; adds data to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmgen_jax import lookup
from mmgen_jax.config import declared
from mmgen_jax.config.schema import NETWORKS, PARTS, Config
from mmgen_jax.data import derived

Say = Callable[[str], None]


def switch(node: Config, path: Sequence[str], name: str, say: Say) -> None:
    """Sets another component in a group; removes the fields that it does not have, or has with another type.

    Raises:
      LookupFailed: the component does not exist.
    """
    old = node.get("name", "")
    node["name"] = name
    known = {"name": "", **declared.fields(path, node)}
    gone = [field for field in node if field not in known or not _fits(node[field], known[field])]
    for field in gone:
        del node[field]
    if gone:
        say(f"config.{'.'.join(path)}.name={name}: fields of {old or 'the one before'} go: {', '.join(gone)}")


def _fits(value: Any, known: Any) -> bool:
    number = (int, float)
    if isinstance(known, bool) or isinstance(value, bool):
        return isinstance(known, bool) and isinstance(value, bool)
    if isinstance(known, number) and isinstance(value, number):
        return True
    return hasattr(value, "keys") or isinstance(value, type(known))


def follow(before: Config, config: Config, changes: Mapping[str, Any], say: Say) -> None:
    """Removes parts that the changes leave without a use, but no part that a change names; adds new encoders' data."""
    named = {part for part in PARTS if any(key.split(".")[0] == part for key in changes)}
    if (name := config.objective.get("name")) != before.objective.get("name"):
        _other_family(config, name, named, say)
    if {"objective.name", "representation", "representation.name"} & set(changes):
        for player in [p for p in config.optimizers if p not in players(config) and _unset(f"optimizers.{p}", changes)]:
            del config.optimizers[player]
            say(f"config.optimizers.{player} goes: nothing trains it")
    removed = [encoder for encoder in before.get("encoders", {}) if encoder not in config.encoders]
    rates = config.get("fusion", {}).get("modality_dropout")
    for encoder in removed:
        if hasattr(rates, "keys") and encoder in rates:
            del rates[encoder]
            say(f"config.fusion.modality_dropout.{encoder} goes with its encoder")
    for name in config.data.get("sets", {}):
        if name in before.data.get("sets", {}):
            _own_set(name, before, config, changes, say)
    if "data.names" not in changes and config.data.get("names"):
        _read_what_is_used(before, config, say)


def _own_set(name: str, before: Config, config: Config, changes: Mapping[str, Any], say: Say) -> None:
    """Where a set was replaced by the user's own, removes settings about the labels of the former set."""
    was, now = (one.data.sets[name].get("name", "") for one in (before, config))
    if was == now or getattr(lookup.find("data", now), "available", ()):
        return
    labels = [other for other in config.data.get("names", ()) if other.startswith(f"{name}_")]
    if labels and "data.names" not in changes:
        config.data.names = tuple(other for other in config.data.names if other not in labels)
        say(f"config.data.names: without {', '.join(labels)}, of {was}")
    unset = [
        field for field, value in config.objective.items() if value in labels and _unset(f"objective.{field}", changes)
    ]
    for field in unset:
        del config.objective[field]
        say(f"config.objective.{field} goes: {now} need not have it")
    for evaluator in [other for other in config.evaluators if _unset(f"evaluators.{other}", changes)]:
        del config.evaluators[evaluator]
        say(f"config.evaluators.{evaluator} goes: it measures a model of {was}")


def _other_family(config: Config, name: str, named: set[str], say: Say) -> None:
    cls = lookup.find("objectives", name)
    taken = {field for field in getattr(cls, "__dataclass_fields__", {})}
    unused = [part for part in NETWORKS if part in config and part not in taken]
    if "representation" in config and not getattr(cls, "takes_representation", True):
        unused.append("representation")
    for part in unused:
        if part not in named:
            del config[part]
            say(f"config.{part} goes: objective {name!r} has no use for it")


def players(config: Config) -> list[str]:
    """The players of the representation and of the objective; a config has an optimizer for each player."""
    found, group = [], config.get("representation")
    groups = [] if not group else [group] if "name" in group else list(group.values())
    for group in groups:
        while group:
            own = getattr(lookup.find("representations", group.get("name")), "own_player", "")
            found, group = [*filter(None, [own]), *found], group.get("of")
    return [*found, *getattr(lookup.find("objectives", config.objective.get("name")), "own_players", ())]


def _read_what_is_used(before: Config, config: Config, say: Say) -> None:
    """Keeps `data.names` in step with encoders that came or went."""
    was, now = _read_by(before), _read_by(config)
    names, used = tuple(config.data.names), reads(config)
    if added := [name for name in dict.fromkeys(now) if name not in was and name not in names]:
        say(f"config.data.names: also {', '.join(added)}, for its encoder")
    if gone := [name for name in names if name in was and name not in used]:
        say(f"config.data.names: without {', '.join(gone)}, which nothing reads any more")
        for name in gone:
            if name in config.augment:
                del config.augment[name]
    if added or gone:
        config.data.names = (*(name for name in names if name not in gone), *added)


def reads(config: Config) -> list[str]:
    """Every modality of the data that a config's model reads or draws; for a derived modality, its roots."""
    objective = config.objective
    targets = objective.get("targets") or (objective.get("target"),)
    kept = [objective[field] for field in ("hole", "known") if objective.get(field)]
    labels = objective.get("auxiliary_labels", {})
    return _roots(config, [*_read_by(config), *_aligned(config), *kept, *targets, *labels])


def _read_by(config: Config) -> list[str]:
    encoders = config.get("encoders", {}).items()
    return _roots(config, [encoder.get("modality") or name for name, encoder in encoders])


def _roots(config: Config, names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(root for name in names for root in derived.roots(config.get("derived", {}), name)))


def _aligned(config: Config) -> tuple[str, ...]:
    names = config.get("aligned", ())
    return (names,) if isinstance(names, str) else tuple(names)


def _unset(group: str, changes: Mapping[str, Any]) -> bool:
    return not any(key == group or key.startswith(f"{group}.") for key in changes)
