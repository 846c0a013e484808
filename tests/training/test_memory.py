"""Gradient accumulation and rematerialisation are the plain step, with less memory."""

import functools

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError
from mmgen_jax.train import prepare
from mmgen_jax.train_step import train_step


@functools.cache
def training():
    """A VAE without batch statistics, whose loss is a mean over examples."""
    changes = {"generator.norm": "none", "target_encoder.norm": "none", "parallel.num_devices": 2}
    return tiny.Training(override(tiny.config("vae"), changes))


@functools.cache
def stepped(accumulate=1, rematerialise=False):
    """`(state, metrics)` after two steps."""
    one = training()
    step = functools.partial(train_step, objective=one.objective, optimizers=one.system.optimizers, seed=0)
    step = functools.partial(step, accumulate=accumulate, rematerialise=rematerialise)
    state, batches = one.init(), one.batches()
    compiled = one.layout.compile_step(step, state)
    for _ in range(2):
        state, metrics = compiled(state, one.layout.put(next(batches)), one.objective.players)
    return jax.tree.map(np.asarray, (state, metrics))


@pytest.mark.parametrize(
    "fields", [{"accumulate": 2}, pytest.param({"accumulate": 4}, marks=pytest.mark.slow), {"rematerialise": True}]
)
def test_it_is_the_plain_step(fields):
    (state, metrics), (expected_state, expected) = stepped(**fields), stepped()
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    for leaf, other in zip(jax.tree.leaves(state.params), jax.tree.leaves(expected_state.params)):
        np.testing.assert_allclose(leaf, other, atol=1e-6)


def test_parts_that_the_devices_cannot_share_are_refused():
    with pytest.raises(ConfigError, match=r"train.accumulate: expected train.batch_size=8 to be a multiple .* × 2 dev"):
        prepare(override(training().config, {"train.accumulate": 3}))
