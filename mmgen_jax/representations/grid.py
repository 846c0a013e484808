"""Shapes of the grids that learned representations encode to, and what such representations check."""

from __future__ import annotations

import flax.linen as nn
import jax
import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.generators.grid import doublings
from mmgen_jax.networks.layers.strides import coarse_grid, stage_strides


def num_tokens(encoder: nn.Module, shape: tuple[int, ...]) -> int:
    """How many tokens an encoder gives for an array of `shape`; nothing is computed."""
    array, mask = np.zeros((1, *shape), np.float32), np.ones(1, bool)
    tokens = jax.eval_shape(lambda: encoder.init_with_output(jax.random.key(0), array, mask)[0])
    return tokens.values.shape[1]


def grid_shape(encoder: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sides of the grid of tokens that an encoder gives for an array of `shape`; nothing is computed."""
    grid = shape[:-1]
    return coarse_grid(grid, stage_strides(grid, doublings(num_tokens(encoder, shape), *grid)))


def continuous(representation) -> Continuous:
    """The space of a representation that `check_of` let pass."""
    assert isinstance(representation.space, Continuous)
    return representation.space


def check_of(representation) -> None:
    """Raises ValueError where a learned representation cannot stand on its `of`."""
    space, name = representation.of.space, type(representation).__module__.rpartition(".")[2]
    if not isinstance(space, Continuous) or space.rank == 0:
        raise ConfigError(
            f"representation {name!r}: needs values on a grid (an image, a video, or a sound's log_mel), got {space}"
        )
    if representation.own_player in representation.of.players:
        raise ConfigError(
            f"representation {name!r}: stands on another one with the player {representation.own_player!r}"
        )
