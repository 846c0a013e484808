"""Transforms of pictures and sounds, one per file. The pipeline adds their results to each example (`config.derived`).

A transform is a module with a class `Transform`, a frozen dataclass built from `config.derived.<name>`:

    modality(*of: Modality) -> Modality                     what it gives for modalities like these
    __call__(*arrays, rng) -> array                         one example `[H, W, C]` or `[S]`; float32 in [-1, 1]

`rng` is a `numpy.random.Generator` of the example's own (`data/derived.py`). A transform that draws nothing ignores it.
"""
