"""The random numbers of a check of `peers.py`, the same for our side and PyTorch's."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np


def fixed(shape, uniform: bool = False) -> np.ndarray:
    """The random numbers of a check: a function of the shape, for both sides."""
    draw = np.random.default_rng(math.prod(shape))
    return (draw.random(shape) if uniform else draw.standard_normal(shape)).astype(np.float32)


def normal(rng, num, shape):
    return jnp.asarray(fixed((num, *shape)))


def uniform(rng, num, shape=()):
    return jnp.asarray(fixed((num, *shape), uniform=True))
