"""Encoders: one modality to tokens. A module `<kind>/<name>.py` defines `Encoder`, `(array, mask [B]) -> Tokens`.

`trunk` reads a grid of whatever kind, and what a representation gives: it names no kind.

Encoders keep the examples of a batch apart (no batch statistics unless `norm="batch"` is asked for), so that a masked
example cannot change another one.
"""
