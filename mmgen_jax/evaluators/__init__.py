"""Metrics: one file per family, a frozen dataclass `Evaluator`.

    splits: tuple[str, ...]                        those to run on, where `mmgen evaluate` names none
    names: tuple[str, ...]                         modalities to read besides those that the model trains on
    __call__(sampler, batches) -> {metric: entry}

`sampler(batch) -> {target: array}` draws, from its first noise on; `contracts.Draw` lists what else it can
(`reconstruct`, `embed`, `elbo`). `batches` are one pass over a split, in its order, the last one short. An entry is
`{"value": float, "n": int, …}` with what makes it comparable: an `interval`, a `baseline` or `chance` on the same
examples, the judge and its own accuracy, preprocessing, seeds. In `evaluation.json` it is called
`<split>/<evaluator>/<metric>`.

Fields that the surroundings fill where an evaluator has them: `target`, `seed`, `data` (of the config), `sample_rate`.
"""
