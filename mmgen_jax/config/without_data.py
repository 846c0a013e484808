"""The checks of a config that need no data: names and fields of components, numbers out of their ranges, optimizers.

They come before the data is opened, because a folder of many files is decoded when it is opened for the first time.
`system.py` builds the components later and makes the checks that need the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_collections

from mmgen_jax import lookup
from mmgen_jax.config import declared, networks, schema
from mmgen_jax.config.schema import Config
from mmgen_jax.training import optimizers


def check(config: Config) -> None:
    """Raises ConfigError or LookupFailed for the first value that is wrong whatever the data."""
    schema.check_numbers(config)
    for path, group in components(config):
        placed, package = declared.placed(path), declared.package(path, group)
        own = {key: value for key, value in group.items() if key not in placed}
        if package:
            lookup.checked(package, own, f"config.{'.'.join(path)}")
    for player, fields in config.optimizers.items():
        optimizers.build(player, fields, total_steps=config.train.steps)


def components(config: Config) -> Iterator[tuple[tuple[str, ...], Any]]:
    """`(path, group)` of every component: `("encoders", "text")` with its name and fields."""
    for part in schema.PACKAGES:
        group = config.get(part)
        if not group:
            continue
        if part in declared.GROUPED:
            yield from (((part, name), fields) for name, fields in group.items() if fields)
        elif part == "representation":
            yield from _representations((part,), group)
        elif part in schema.NETWORKS and networks.is_per_target(group):
            yield from (((part, name), fields) for name, fields in group.items())
        else:
            yield (part,), group


def _representations(path: tuple[str, ...], group: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A representation, its networks, and the representation that it stands on; or those of several targets."""
    if not isinstance(group, ml_collections.ConfigDict):
        return  # `system.py` says what is expected
    if "name" not in group:
        for target, fields in group.items():
            yield from _representations((*path, target), fields)
        return
    yield path, group
    for part in schema.REPRESENTATION_PACKAGES:
        if group.get(part):
            yield (*path, part), group[part]
    if group.get("of"):
        yield from _representations((*path, "of"), group["of"])
