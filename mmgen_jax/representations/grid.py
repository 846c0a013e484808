"""Shapes of the token grids of learned representations."""

from __future__ import annotations

import flax.linen as nn
import jax
import numpy as np

from mmgen_jax.networks.generators.grid import doublings
from mmgen_jax.networks.layers.strides import coarse_grid, stage_strides


def num_tokens(encoder: nn.Module, shape: tuple[int, ...]) -> int:
    """The number of tokens that `encoder` gives for an example of `shape`; only shapes are evaluated."""
    array, mask = np.zeros((1, *shape), np.float32), np.ones(1, bool)
    tokens = jax.eval_shape(lambda: encoder.init_with_output(jax.random.key(0), array, mask)[0])
    return tokens.values.shape[1]


def grid_shape(encoder: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sides of the token grid that `encoder` gives for an example `(*grid, C)`; only shapes are evaluated.

    Raises:
      ConfigError: no number of stages of `layers/strides.py` gives a grid with this number of tokens.
    """
    grid = shape[:-1]
    return coarse_grid(grid, stage_strides(grid, doublings(num_tokens(encoder, shape), *grid)))
