"""Encoders, from one modality to tokens: `<kind>/<name>.py` defines `Encoder`, `(array, mask [B]) -> Tokens`.

`trunk.py` reads a grid of any kind, and the grids of representations.

The tokens of an example do not depend on the other examples of the batch (no batch statistics unless `norm="batch"`),
so a masked example cannot change another example.
"""
