"""Strided convolutional network over an image: `encoders/trunk.py` under the name `image.cnn`."""

from __future__ import annotations

from mmgen_jax.networks.encoders import trunk


class Encoder(trunk.Encoder):
    """`[B, H, W, C]` to `[B, N, D]`, with N the number of cells of the last grid; fields as in `trunk.Encoder`."""
