"""Transforms of pictures, clips and sounds, one per file. The pipeline adds their results (`config.derived`).

A transform is a module with a class `Transform`, a frozen dataclass built from `config.derived.<name>`:

    modality(*of: Modality) -> Modality                     what it gives for modalities like these
    __call__(*arrays, rng) -> array                         one example `[H, W, C]` or `[S]`; float32 in [-1, 1]

`frames` and `per_frame` read clips `[T, H, W, C]`; `per_frame` applies a transform of pictures to every frame.

`rng` is a `numpy.random.Generator` of the example's own (`data/derived.py`). A transform that draws nothing ignores it.
"""
