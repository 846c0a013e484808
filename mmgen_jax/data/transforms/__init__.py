"""Transforms of pictures and clips, one per file. The pipeline adds their results to each example (`config.derived`).

A transform is a module with a class `Transform`, a frozen dataclass built from `config.derived.<name>`:

    modality(*of: Modality) -> Modality                     what it gives for modalities like these
    __call__(*arrays [H, W, C], rng) -> array [H', W', C']  one example; float32 in [-1, 1]

`rng` is a `numpy.random.Generator` of the example's own (`data/derived.py`). A transform that draws nothing ignores it.

A transform of pictures also reads clips: frame by frame, each frame with its own draws, and further pictures the same
for every frame. A transform with `takes_clips = True` gets a clip whole. `gives` is the kind of its result, where this
is not the kind of the first modality that it reads.
"""
