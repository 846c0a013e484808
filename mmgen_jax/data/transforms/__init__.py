"""Transforms of pictures, clips and sounds, one per file. The pipeline adds their results (`config.derived`).

A transform is a module with a class `Transform`, a frozen dataclass built from `config.derived.<name>`:

    modality(*of: Modality) -> Modality                     what it gives for modalities like these
    __call__(*arrays, rng) -> array                         one example `[H, W, C]` or `[S]`; float32 in [-1, 1]

`frames`, `frame` and `per_frame` read clips `[T, H, W, C]`; `per_frame` applies a transform of pictures to every frame.
A class variable `gives` names the kind of the result, where this is not the kind of the first modality that is read.

`rng` is a `numpy.random.Generator` of the example's own (`data/derived.py`). A transform that draws nothing ignores it.
"""
