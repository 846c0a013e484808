"""Objective families: one file each, a frozen dataclass `Objective` that holds its networks and weights.

    players: tuple[str, ...]                                  in update order; a name is also an `optimizers` entry
    init(rng, batch) -> {player: variables}
    loss(player, params, extra, batch, rng, step) -> (loss, (extra, metrics))      differentiated in params[player] only
    sample(params, extra, batch, rng) -> {target: array}      does not read the target from the batch; an objective
                                                              that only embeds has none

`params` and `extra` are keyed by player. Optional methods that evaluators ask for: `reconstruct` (as `sample`, reads
the target), `elbo(params, extra, batch, rng) -> [B]` nats, `embed` and `embed_pair`, of the conditions `[B, D]` and of
the conditions and the target, unit vectors `([B, D], [B, D])`. Optional `sampling: ClassVar[tuple[str, ...]]`: the
fields that only `sample` reads, so that `mmgen sample --config.objective.temperature=0.8` may set them after training.

Optional `stages`: pairs of players of which the first must have been trained, and stand still, when the second begins
(`optimizers.check_stages`).

Fields that the surroundings fill where an objective has them: `conditioner`, `generator`, `discriminator`,
`target_encoder`, `target_decoder`, `modality` (of `target`), `modalities` (of the data), `axis_name`.
"""
