"""What a network holds beside its parameters: stats are averaged, buffers come back as they were left."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.networks.layers import mapped
from mmgen_jax.objectives.parts.apply import apply_train
from mmgen_jax.train_step import steps, train_step
from mmgen_jax.training import checkpoint, parallel
from mmgen_jax.training.optimizers import Optimizer
from mmgen_jax.training.state import averaged, create, merge, split

STEPS, BATCH, KEPT = 5, 8, 20
LAYOUTS = {
    "1 device": ("jit", 1, 1),
    "jit, 8 devices": ("jit", 1, 8),
    "jit, 8 devices, fsdp=2": ("jit", 2, 8),
    "pmap, 8 devices": ("pmap", 1, 8),
}
RNG = np.random.default_rng(0)
BATCHES = [
    {
        "x": RNG.normal(size=(BATCH, 3)).astype(np.float32),
        "pictures": RNG.integers(-(2**30), 2**30, (BATCH, 8, 8)).astype(np.int32),  # float32 holds none of them exactly
    }
    for _ in range(STEPS)
]


class Network(nn.Module):
    """Linear, with a running mean of its input, a counter of its calls and a pool of the last pictures."""

    @nn.compact
    def __call__(self, x, pictures, train: bool = False):
        mean = self.variable("moments", "mean", jnp.zeros, x.shape[1:])
        calls = self.variable("buffers", "calls", jnp.zeros, (), jnp.int32)
        pool = self.variable("buffers", "pool", jnp.zeros, (KEPT, *pictures.shape[1:]), jnp.int32)
        if train and not self.is_initializing():
            mean.value = 0.9 * mean.value + 0.1 * jnp.mean(x, axis=0)  # of this device's examples
            calls.value += 1
            pool.value = jnp.concatenate([pool.value, mapped.gather(pictures)])[-KEPT:]
        return nn.Dense(1)(x - mean.value)


class Pooled:
    """An objective of one player."""

    players = ("generator",)
    network = Network()

    def init(self, rng, batch):
        return {"generator": self.network.init(rng, batch["x"], batch["pictures"])}

    def loss(self, player, params, collections, batch, rng, step):
        output, collections = apply_train(
            self.network, player, params, collections, batch["x"], batch["pictures"], rngs={}
        )
        return jnp.mean(output**2), (collections, {})


OPTIMIZERS = {"generator": Optimizer(lr=1e-2, total_steps=STEPS, ema_decay=0.5)}


def create_state():
    return create(Pooled(), OPTIMIZERS, jax.random.key(0), BATCHES[0])


@functools.cache
def trained(layout):
    """`(layout, state)`"""
    mode, fsdp, num_devices = LAYOUTS[layout]
    layout = parallel.create(mode, BATCH, fsdp, num_devices)
    state = layout.init(create_state)
    step = functools.partial(train_step, objective=Pooled(), optimizers=OPTIMIZERS, seed=0)
    compiled = layout.compile_step(step, state)
    batches = (layout.put(batch) for batch in BATCHES)
    *_, (_, state, _) = steps(compiled, state, batches, stop=STEPS, players=lambda _: Pooled.players)
    return layout, state


@pytest.mark.parametrize("layout", LAYOUTS)
def test_buffers_are_what_the_objective_left(layout):
    _, state = trained(layout)
    assert set(state.stats["generator"]) == {"moments"} and set(state.buffers["generator"]) == {"buffers"}
    buffers = state.buffers["generator"]["buffers"]
    assert buffers["calls"].dtype == buffers["pool"].dtype == jnp.int32
    np.testing.assert_array_equal(buffers["calls"], STEPS)
    pictures = np.concatenate([batch["pictures"] for batch in BATCHES])
    np.testing.assert_array_equal(buffers["pool"], pictures[-KEPT:])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stats_are_means_over_devices_and_in_the_moving_average(layout):
    _, state = trained(layout)
    mean = average = np.zeros(3)
    for number, batch in enumerate(BATCHES):
        mean = 0.9 * mean + 0.1 * batch["x"].mean(0)
        decay = min(0.5, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * mean
    np.testing.assert_allclose(state.stats["generator"]["moments"]["mean"], mean, atol=1e-6)
    assert set(state.ema["generator"]) == {"params", "stats"} and set(state.ema["generator"]["stats"]) == {"moments"}
    np.testing.assert_allclose(state.ema["generator"]["stats"]["moments"]["mean"], average, atol=1e-6)


def test_what_samples_has_the_average_of_stats_and_the_buffers_as_they_are():
    _, state = trained("1 device")
    params, collections = averaged(state)
    assert params["generator"] is state.ema["generator"]["params"]
    assert collections["generator"]["moments"] is state.ema["generator"]["stats"]["moments"]
    assert collections["generator"]["buffers"] is state.buffers["generator"]["buffers"]
    assert state.collections["generator"]["moments"] is state.stats["generator"]["moments"]


@pytest.mark.parametrize("saved, restored", [("pmap, 8 devices", "1 device"), ("1 device", "jit, 8 devices, fsdp=2")])
def test_a_checkpoint_keeps_both(saved, restored, tmp_path):
    _, state = trained(saved)
    layout, _ = trained(restored)
    with checkpoint.Checkpointer(tmp_path) as checkpoints:
        checkpoints.save(STEPS, state, {})
        back, _ = checkpoints.restore(STEPS, layout.abstract(create_state))
    assert jax.tree.structure(back) == jax.tree.structure(state)
    for one, other in zip(jax.tree.leaves(back), jax.tree.leaves(state), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    pool = back.buffers["generator"]["buffers"]["pool"]
    parts = {shard.data.size for shard in pool.addressable_shards}
    assert parts == {pool.size // 2 if "fsdp" in restored else pool.size}  # a pool is sharded as a parameter is


def test_split_and_merge_are_inverse():
    collections = {"a": {"moments": {"mean": 1}, "buffers": {"pool": 2}}, "b": {}, "c": {"buffers": {"n": 3}}}
    stats, buffers = split(collections)
    assert stats == {"a": {"moments": {"mean": 1}}, "b": {}, "c": {}}
    assert buffers == {"a": {"buffers": {"pool": 2}}, "b": {}, "c": {"buffers": {"n": 3}}}
    assert merge(stats, buffers) == collections
