"""Reads configs of version 0.1 as configs of today, and gives today's fields the names of version 0.1 for hashes.

So a workdir of version 0.1 resumes, samples and evaluates, and a line of `results.jsonl` still belongs to its config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# {field of version 0.1: field of today}
RENAMED = {
    "data.invariant_to": "data.label_preserving",
    "objective.also": "objective.auxiliary_labels",
    "objective.relaxation": "objective.gumbel_temperature",
}
_NETWORKS = {"target_encoder": "representation.encoder", "target_decoder": "representation.decoder"}
# {representation: (the objective that had an autoencoder of its own in version 0.1, the fields that moved)}
MOVED = {
    "vq_vae": (
        "autoregressive",
        _NETWORKS
        | {
            f"objective.{field}": f"representation.{field}"
            for field in ("codebook_size", "code_dim", "codebook_decay", "commitment")
        },
    ),
    "kl_autoencoder": (
        "diffusion",
        _NETWORKS | {f"objective.{field}": f"representation.{field}" for field in ("latent_dim", "kl_weight")},
    ),
}

# {source: its default sample rate in Hz (in version 0.1, today)}, for sources whose default changed.
RATES = {name: (8_000, 16_000) for name in ("grid_s1", "hymnal", "folder")}


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config of version 0.1, with the defaults of version 0.1 that have changed since."""
    data = config.get("data", {})
    if data.get("name") not in RATES or not _hears(data.get("names", ())):
        return dict(config)
    return {**config, "data": {"sample_rate": RATES[data["name"]][0], **data}}


def _hears(names) -> bool:
    return not names or "audio" in names


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as nested dicts, with the fields of version 0.1 under today's names; other fields are unchanged."""
    config = _move(config, RENAMED)
    for representation, (objective, moves) in MOVED.items():
        if config.get("target_decoder") and config.get("objective", {}).get("name") == objective:
            config = _move(config, moves)
            config["representation"] = {"name": representation, **config["representation"]}
    return config


def hashed(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Today's fields `{"a.b.c": value}` under their names of version 0.1, where they had one."""
    flat = {key: value for key, value in flat.items() if key != "format"}
    if (source := flat.get("data.name")) in RATES and _hears(flat.get("data.names", ())):
        then, now = RATES[source]
        if (rate := flat.pop("data.sample_rate", now)) != then:
            flat["data.sample_rate"] = rate
    moves = {now: then for then, now in RENAMED.items()}
    name = str(flat.get("representation.name"))
    objective, moved = MOVED.get(name, ("", {}))
    if (
        objective
        and flat.get("objective.name") == objective
        and not any(k.startswith("representation.of.") for k in flat)
    ):
        flat = {key: value for key, value in flat.items() if key != "representation.name"}
        moves |= {now: then for then, now in moved.items()}
    return {_renamed(key, moves): value for key, value in flat.items()}


def _renamed(key: str, moves: Mapping[str, str]) -> str:
    for old, new in moves.items():
        if key == old or key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return key


def _move(config: Mapping[str, Any], moves: Mapping[str, str]) -> dict[str, Any]:
    moved: dict[str, Any] = {}

    def visit(tree: Mapping[str, Any], prefix: str) -> None:
        for key, value in tree.items():
            path = f"{prefix}{key}"
            if isinstance(value, Mapping) and value and path not in moves:
                visit(value, f"{path}.")
            else:
                *parents, last = _renamed(path, moves).split(".")
                node = moved
                for parent in parents:
                    node = node.setdefault(parent, {})
                node[last] = value

    visit(config, "")
    return moved
