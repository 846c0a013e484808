"""One device, many by jit, sharded by fsdp and many by pmap are the same computation."""

import functools
import shutil

import jax
import numpy as np
import pytest
from tiny import Training, config, mapped_by, metrics_lines

from mmgen_jax import train
from mmgen_jax.config.override import override
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.training import parallel

STEPS = 10
LAYOUTS = {
    "1 device": {"parallel.num_devices": 1},
    "1 device, 5 steps per call": {"parallel.num_devices": 1, "train.steps_per_call": 5},
    "jit, 8 devices": {"parallel.num_devices": 8},
    "jit, 8 devices, fsdp=2": {"parallel.num_devices": 8, "parallel.fsdp": 2},
    "pmap, 8 devices": {"parallel.num_devices": 8, "parallel.mode": "pmap"},
}
# Rounding differs between layouts and a GAN amplifies it; at this learning rate by less than the tolerance in 10 steps.
LR = 1e-4


@functools.cache
def run(family, layout):
    """`(state, metrics)` after ten steps; several tests look at the same runs."""
    changed = override(config(family), LAYOUTS[layout])
    rates = {f"optimizers.{player}.lr": LR for player in changed.optimizers}
    return Training(override(changed, rates)).run(STEPS)


def assert_same_curves(got, expected):
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        assert len(values) == STEPS
        if name.endswith("/loss"):
            np.testing.assert_allclose(got[name], values, rtol=1e-4, err_msg=name)
        else:
            np.testing.assert_allclose(got[name], values, rtol=1e-2, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("family", ["gan", pytest.param("vae", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "layout",
    [pytest.param(name, marks=[] if "fsdp" in name else pytest.mark.slow) for name in list(LAYOUTS)[1:]],
)
def test_every_layout_gives_the_losses_of_one_device(family, layout):
    (expected_state, expected), (state, got) = run(family, "1 device"), run(family, layout)
    assert expected["generator/loss"][0] != expected["generator/loss"][-1]
    assert_same_curves(got, expected)
    # The gradient of a bias before BatchNorm is zero up to rounding, which Adam divides by itself: such a bias, and
    # with it the running mean, may be off by the path of ten steps.
    for a, b in zip(jax.tree.leaves(state.collections), jax.tree.leaves(expected_state.collections)):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=2 * STEPS * LR)


def test_state_is_born_sharded_and_stays_so():
    state, _ = run("gan", "jit, 8 devices, fsdp=2")
    sizes = {8 * leaf.addressable_shards[0].data.size // leaf.size for leaf in jax.tree.leaves(state)}
    assert sizes == {4, 8}  # eighths of the leaf on one device: half of it, or all
    largest = max(jax.tree.leaves((state.params, state.opt, state.ema)), key=lambda leaf: leaf.size)
    assert 2 * largest.addressable_shards[0].data.size == largest.size
    held = sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state))
    assert held < 0.65 * sum(leaf.size for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize(
    "family, changes, devices",
    [
        ("vae", {"parallel.fsdp": 2}, 4),
        pytest.param("vae", {"parallel.fsdp": 8}, 1, marks=pytest.mark.slow),
        pytest.param("autoencoder", {"parallel.mode": "pmap"}, 2, marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_of_8_devices_resumes_on_fewer(tmp_path, family, changes, devices):
    whole = override(config(family, steps=6, checkpoint_steps=3), {"parallel.num_devices": 8} | changes)
    train.train(whole, tmp_path)
    expected = metrics_lines(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "6")
    fsdp = min(whole.parallel.fsdp, devices)
    train.train(override(whole, {"parallel.num_devices": devices, "parallel.fsdp": fsdp}), tmp_path)
    got = metrics_lines(tmp_path)
    assert [line["step"] for line in got] == [1, 2, 3, 4, 5, 6]
    assert got[:3] == expected[:3] and got[3:] != expected[3:]  # the first three are not run again
    losses = [[line["generator/loss"] for line in lines] for lines in (got, expected)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_what_looks_across_the_batch_sees_the_global_batch_under_pmap():
    """The wrong-caption loss, the share of masked targets, and the points between real and fake."""
    base = config("gan").copy_and_resolve_references()
    base.objective = dict(base.objective) | {"mismatch": 0.5, "gradient_penalty": 1.0}
    present = np.arange(8) % 3 > 0

    training = Training(override(base, {"parallel.num_devices": 1}))
    state = training.init()
    batch = next(training.batches()) | {"image/mask": present, "text/mask": np.roll(present, 1)}

    def metrics(batch):
        loss, (_, metrics) = training.objective.loss(
            "discriminator", state.params, state.collections, batch, jax.random.key(0)
        )
        return metrics | {"loss": loss}

    expected = jax.jit(metrics)(batch)
    parts = {name: rows.reshape(4, 2, *rows.shape[1:]) for name, rows in batch.items()}
    got = mapped_by(jax.pmap, metrics)(parts)
    for name, value in expected.items():
        np.testing.assert_allclose(np.mean(got[name]), value, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"mode": "pjit"}, "parallel.mode: expected 'jit' or 'pmap', got 'pjit'"),
        ({"num_devices": 9}, "expected 0 (all) to 8, got 9"),
        ({"fsdp": 3}, "expected a divisor of the 8 devices, got 3"),
        ({"mode": "pmap", "fsdp": 2}, "use parallel.mode=jit"),
        ({"batch_size": 12}, "train.batch_size: expected a multiple of the 8 devices, got 12"),
    ],
)
def test_layouts_that_do_not_exist_are_refused(fields, expected):
    with pytest.raises(ValueError) as error:
        parallel.create(**{"mode": "jit", "batch_size": 8} | fields)
    assert expected in str(error.value)


def test_noise_is_a_function_of_the_place_in_the_global_batch():
    key = jax.random.key(0)
    whole = randomness.normal(key, 8, (3,))
    parts = mapped_by(jax.pmap, lambda _: randomness.normal(key, 2, (3,)))(np.zeros(4))
    np.testing.assert_array_equal(np.reshape(parts, (8, 3)), whole)
    np.testing.assert_array_equal(randomness.normal(key, 5, (3,)), whole[:5])


def test_roll_crosses_devices():
    rows = np.arange(16.0).reshape(4, 2, 2)
    parts = mapped_by(jax.pmap, mapped.roll)(rows)
    np.testing.assert_array_equal(np.reshape(parts, (8, 2)), mapped.roll(rows.reshape(8, 2)))
    np.testing.assert_array_equal(mapped.roll(rows.reshape(8, 2))[1:], rows.reshape(8, 2)[:-1])
