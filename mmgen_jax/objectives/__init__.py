"""Objective families: one file each, a frozen dataclass `Objective(parts.family.Family)` with its networks and weights.

The contract is `contracts.Objective`: `init`, `loss(player, …)`, and the methods of the abilities that a family
declares, `sample`, `reconstruct`, `elbo`, `embed`, `embed_pair`. `params` and `collections` are keyed by player; what
`collections` holds is in `training/state.py`.

Fields that the surroundings fill where an objective has them: `target`, `modality` (of the target), `modalities` (of
the data), `representation`, `conditioner`, `target_encoder`, `generator`, `discriminator`.
"""
