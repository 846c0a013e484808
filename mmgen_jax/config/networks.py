"""The networks of the targets: `config.target_encoder`, `config.generator`, `config.discriminator`.

A part is one group of fields, or, for an objective with several targets, a group for each target:

    config.target_encoder = {"image": {"name": "image.mlp"}, "digit": {"name": "label"}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmgen_jax import lookup
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import Discrete

INIT_FROM = "init_from"  # the field of `config.generator` that names the run whose generator it starts from


def is_per_target(fields: Any) -> bool:
    """Whether the fields of a part are a group for each target; a group that is one component has a `name`."""
    return hasattr(fields, "keys") and "name" not in fields and all(hasattr(group, "keys") for group in fields.values())


def groups(config: Config, part: str) -> dict[str, Any]:
    """`{place: fields}` of the components of a part: `config.generator`, or `config.generator.image`, …"""
    fields = config.get(part)
    if not fields:
        return {}
    if not is_per_target(fields):
        return {f"config.{part}": fields}
    return {f"config.{part}.{name}": group for name, group in fields.items()}


def build(package: str, config: Config, part: str, facts: Mapping[str, Mapping[str, Any]], spaces: Mapping) -> Any:
    """The network of a part, `{target: network}` where the part has a group for each target, or None.

    A single group of fields gets the facts of the first target. A target of ids with a generator of its own has the
    shape `[length, number of ids]`: the generator gives the logits of all ids at once.

    Args:
      facts: for each target, the arguments that the config does not hold: its shape, its number of classes, …
      spaces: of each target, the space that the objective models.

    Raises:
      ConfigError: the groups are not those of the objective's targets.
    """
    fields = config.get(part)
    if not fields:
        return None
    if not is_per_target(fields):
        own = {key: value for key, value in fields.items() if key != INIT_FROM}
        return lookup.build(package, own, f"config.{part}", **next(iter(facts.values())))
    if set(fields) != set(facts):
        raise ConfigError(
            f"config.{part}: expected one component, or one for each target ({', '.join(facts)}), got "
            + ", ".join(fields)
        )
    built = {}
    for name, known in facts.items():
        space = spaces[name]
        if package == "generators" and isinstance(space, Discrete):
            known = {**known, "shape": (space.length, space.size)}
        built[name] = lookup.build(package, fields[name], f"config.{part}.{name}", **known)
    return built


def init_from(config: Config) -> dict[str, str]:
    """`{place: reference}` of the networks that start from another run: `encoders.text`, `generator`."""
    places = {f"encoders.{name}": encoder for name, encoder in config.encoders.items()}
    if config.get("generator") and not is_per_target(config.generator):
        places["generator"] = config.generator
    return {place: fields[INIT_FROM] for place, fields in places.items() if fields.get(INIT_FROM)}
