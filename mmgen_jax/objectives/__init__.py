"""Objective families, one per file: a frozen dataclass `Objective(parts.family.Family)`.

The contract is `contracts.Objective`: `init`, `loss(player, …)`, and the methods of the abilities that a family
declares, out of `contracts.ABILITIES`. `params` and `collections` are keyed by
player; `training/state.py` describes `collections`.

`config/system.py` sets these fields where an objective has them: `target`, `modality` (of the target), `modalities` (of
the data), `representation`, `conditioner`, `target_encoder`, `generator`, `discriminator`.
"""
