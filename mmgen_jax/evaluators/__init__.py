"""Metrics: one file per family of metrics, with a frozen dataclass `Evaluator`.

    splits: tuple[str, ...]                        splits to evaluate where `mmgen evaluate` names none
    names: tuple[str, ...]                         modalities to read besides the model's own
    ability: str                                   optional: the ability that the model must have; default `sample`
    judged: str                                    optional: the modality that the judge is trained on; default `target`
    of_set: str                                    optional: the only set, or kind of set, that the evaluator measures
    suits(modalities, conditions)                  optional: raises for a target, a label or a model that does not fit
    check(batch, conditions)                       optional: raises for a split or conditions that cannot be measured
    check_model(objective)                         optional: raises for a family for which the metric would be wrong
    __call__(sampler, batches) -> {metric: entry}

`sampler(batch) -> {target: array}` draws samples; its noise starts anew for every evaluator. `contracts.Draw` and
`runs.sampler.Sampler` have its other methods, one for each ability. `batches` are one pass over a split, in the random
order of `measures.examples`; the last batch may be smaller. An entry is `{"value": float, "n": int, …}` with everything
that makes the number comparable: an `interval` (None where a single value has none), a `baseline`, several `baselines`
(`measures/paired.py`) or `chance` on the same examples, the judge and the judge's own accuracy, preprocessing, seeds.
The key of an entry in `evaluation.json` is `<split>/<evaluator>/<metric>`.

If an evaluator has the fields `target`, `seed`, `data` (from the config), `sample_rate` (of the target, in Hz) or
`reads` (the conditions that hold values, without masks), `mmgen evaluate` fills these fields.
"""
