"""Metrics: one file per family of metrics, with a frozen dataclass `Evaluator`.

    splits: tuple[str, ...]                        splits to evaluate where `mmgen evaluate` names none
    names: tuple[str, ...]                         modalities to read besides those that the model trains on
    ability: str                                   optional: what the model must be able to, `sample` unless it says
    of_set: str                                    optional: the one data set that it can measure
    check(batch, conditions)                       optional: raises where a split or a model's conditions do not suit it
    __call__(sampler, batches) -> {metric: entry}

`sampler(batch) -> {target: array}` draws samples; its noise starts anew for every evaluator. `contracts.Draw` lists its
other methods (`reconstruct`, `embed`, `embed_pair`, `elbo`). `batches` are one pass over a split, in the
random order of `measures.examples`; the last batch may be smaller. An entry is `{"value": float, "n": int, …}` with
everything that makes the number comparable: an `interval` (None where a single value has none), a `baseline`, several
`baselines` (`measures/paired.py`) or `chance` on the same examples, the judge and the judge's own accuracy,
preprocessing, seeds. The key of an entry in `evaluation.json` is `<split>/<evaluator>/<metric>`.

`mmgen evaluate` fills the fields `target`, `seed`, `data` (from the config) and `sample_rate` (of the target, in Hz) of
an evaluator that has them.
"""
