"""Random tokens, small fusions and their parameters, for the tests of fusions."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from mmgen_jax import lookup
from mmgen_jax.networks.conditioning.tokens import Tokens

BATCH, FEATURES = 4, 8
NAMES = ("caption", "digit", "photo")
NUM_TOKENS = {"caption": 5, "digit": 1, "photo": 4}
WIDTH = {"caption": 6, "digit": 8, "photo": 8}  # encoders need not agree on a width
property_test = settings(max_examples=20, deadline=None, derandomize=True)
seeds = st.integers(0, 2**16)


def build(name: str, **fields) -> nn.Module:
    return lookup.build(
        "fusion", {"name": name, **fields}, features=FEATURES, num_heads=2, **{"num_layers": 1} | fields
    )


def random_variables(module: nn.Module, *inputs):
    """Parameters of the module's shapes, all random: no zero that an initialiser sets hides a dependence."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(scale=0.4, size=x.shape).astype(np.float32), shapes)


def random_tokens(seed: int) -> dict[str, Tokens]:
    """Random values, and masks of all kinds: absent modalities, single tokens, examples without any modality."""
    rng = np.random.default_rng(seed)
    present = rng.random((len(NAMES), BATCH)) < rng.uniform(0.2, 1)
    if rng.random() < 0.5:
        present[:, 0] = False
    tokens = {}
    for index, name in enumerate(NAMES):
        values = rng.normal(size=(BATCH, NUM_TOKENS[name], WIDTH[name])).astype(np.float32)
        mask = present[index][:, None] & (rng.random(values.shape[:2]) < 0.7)
        tokens[name] = Tokens(values, mask)
    return tokens


@functools.cache
def built(name: str):
    """The fusion, its variables, and its compiled `apply`."""
    fusion = build(name)
    return fusion, random_variables(fusion, random_tokens(0)), jax.jit(fusion.apply)


def assert_same(a, b):
    """Bitwise, NaN included."""
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), a, b)
