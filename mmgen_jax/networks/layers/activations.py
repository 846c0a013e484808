"""Activation functions by name, for networks whose published form fixes one."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "silu": nn.silu,
    "relu": nn.relu,
    "tanh": jnp.tanh,
}


def find(name: str) -> Callable[[jax.Array], jax.Array]:
    """The activation `name`; raises ConfigError where there is none."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]
