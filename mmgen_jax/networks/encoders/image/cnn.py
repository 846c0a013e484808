"""Strided convolutional network over an image: `encoders/trunk.py` under the name of its kind."""

from __future__ import annotations

from mmgen_jax.networks.encoders import trunk


class Encoder(trunk.Encoder):
    """`[B, H, W, C]` to `[B, N, D]`, N the cells of the last grid: 16 for 32 x 32 pixels and three stages."""
