"""Transforms of pictures, clips and sounds, one per file. The pipeline adds their results (`config.derived`).

A transform is a module with a class `Transform`, a frozen dataclass built from `config.derived.<name>`:

    modality(*of: Modality) -> Modality                     the modality of the result
    __call__(*arrays, rng) -> array                         one example `[H, W, C]` or `[S]`; float32 in [-1, 1]

`frames`, `frame` and `per_frame` read clips `[T, H, W, C]`; `per_frame` applies a transform of pictures to every frame.
A class variable `gives` names the kind of the result, if it differs from the kind of the first input.

`rng` is a `numpy.random.Generator` of the example's own (`data/derived.py`). A transform that draws nothing ignores it.
"""
