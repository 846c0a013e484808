"""CycleGAN: its losses by hand, the pool of fakes, what is drawn from what, and what is refused."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mmgen_jax import sample as sampling
from mmgen_jax import train
from mmgen_jax.config import loading, schema
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.objectives import cycle_adversarial
from mmgen_jax.objectives.cycle_adversarial import exchanged
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

SMALL = {"name": "small_digits", "of": "image", "image_size": 8}
SETS = {"a": {**SMALL, "part": (0, 2)}, "b": {**SMALL, "part": (1, 2)}}


def config(mode="jit", num_devices=1, **changes):
    base = schema.base()
    base.data = {"name": "unpaired", "sets": SETS}
    base.aligned = ("a", "b")
    base.generator = {"name": "resnet_translation", "width": 4, "num_stages": 1, "num_blocks": 1}
    base.discriminator = {"name": "patch", "width": 4, "num_stages": 1}
    base.objective = {"name": "cycle_adversarial", "targets": ("a", "b"), "identity": 0.5, "pool": 5}
    base.optimizers = {"discriminator": {"lr": 1e-3}, "generator": {"lr": 1e-3, "ema_decay": 0.5}}
    base.train.update({"batch_size": 8, "steps": 2, "log_steps": 1, "checkpoint_steps": 1, "sample_steps": 0})
    base.parallel.update({"mode": mode, "num_devices": num_devices})
    base.update(changes)
    return loading.checked(base)


class Scaled(nn.Module):
    """The source times a number."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, latent, condition, train: bool = False):
        assert latent is None and len(condition.aligned) == 1
        (source,) = condition.aligned.values()
        return self.param("gain", nn.initializers.ones, ()) * source


class Mean(nn.Module):
    """The mean of a picture as its logit."""

    @nn.compact
    def __call__(self, target, condition, train: bool = False):
        assert condition is None
        return self.param("gain", nn.initializers.ones, ()) * target.mean((1, 2, 3))


def by_hand(**fields):
    modalities = {name: Modality("image", (8, 8, 1)) for name in "ab"}
    given = {"target": "a", "modality": modalities["a"], "modalities": modalities, "targets": ("a", "b")}
    conditioner = Conditioner({}, None, {}, modalities, aligned=("a", "b"))
    networks = {"generator": Scaled((8, 8, 1)), "discriminator": Mean(), "conditioner": conditioner}
    return cycle_adversarial.Objective(**(given | networks | fields))


def test_losses_are_those_of_the_paper():
    objective = by_hand(cycle=10.0, identity=0.5, pool=0)
    rng = np.random.default_rng(0)
    batch = {name: rng.uniform(-1, 1, (4, 8, 8, 1)).astype(np.float32) for name in "ab"}
    keep = np.array([True, True, False, True])
    batch |= {"a/mask": keep, "a": np.where(keep[:, None, None, None], batch["a"], np.nan)}
    variables = objective.init(jax.random.key(0), batch)
    params = {player: tree["params"] for player, tree in variables.items()}
    params["generator"]["networks_b"]["gain"] = jnp.float32(0.5)
    params["generator"]["networks_a"]["gain"] = jnp.float32(2.0)
    collections = {player: {} for player in variables}
    a, b = batch["a"][keep], batch["b"]
    to_b, to_a = np.tanh(0.5 * a), np.tanh(2 * b)  # examples without an `a` give no fake `b`

    def mean(values, power=2):
        return np.mean(np.abs(values) ** power)

    adversarial = mean(to_b.mean((1, 2, 3)) - 1) + mean(to_a.mean((1, 2, 3)) - 1)
    cycle = mean(np.tanh(2 * to_b) - a, 1) + mean(np.tanh(0.5 * to_a) - b, 1)
    identity = mean(np.tanh(0.5 * b) - b, 1) + mean(np.tanh(2 * a) - a, 1)
    loss, _ = objective.loss("generator", params, collections, batch, jax.random.key(1))
    np.testing.assert_allclose(loss, adversarial + 10 * cycle + 5 * identity, rtol=1e-5)
    loss, (_, metrics) = objective.loss("discriminator", params, collections, batch, jax.random.key(1))
    of_a = 0.5 * (mean(a.mean((1, 2, 3)) - 1) + mean(to_a.mean((1, 2, 3))))
    of_b = 0.5 * (mean(b.mean((1, 2, 3)) - 1) + mean(to_b.mean((1, 2, 3))))
    np.testing.assert_allclose([metrics["loss_a"], metrics["loss_b"], loss], [of_a, of_b, of_a + of_b], rtol=1e-5)


def test_the_pool_fills_then_shows_half_of_the_former_fakes():
    fakes = jnp.arange(1.0, 401.0)
    present = jnp.arange(400) % 4 > 0
    keys = jax.random.split(jax.random.key(0), 400)
    pool, count, shown = jax.jit(exchanged)(jnp.zeros(50), jnp.int32(0), fakes, present, keys)
    first = np.asarray(fakes)[np.asarray(present)][:50]
    assert count == 50
    np.testing.assert_array_equal(shown[: int(first[-1])], fakes[: int(first[-1])])
    later = np.asarray(shown != fakes)
    assert not later[~np.asarray(present)].any()
    assert 0.35 < later[np.asarray(present)][50:].mean() < 0.65
    assert np.all(np.asarray(shown)[later] < np.asarray(fakes)[later])
    held = [*np.asarray(pool).tolist(), *np.asarray(shown)[np.asarray(present)].tolist()]
    assert set(held) == set(np.asarray(fakes)[np.asarray(present)].tolist())  # each is shown, or still in the pool
    assert len(set(np.asarray(pool).tolist())) == 50


@pytest.fixture(scope="module")
def two_steps():
    """State and metrics after two steps in one device's memory."""
    return tiny.Training(config()).run(2)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "num_devices"), [("jit", 4), ("pmap", 4)])
def test_every_layout_keeps_the_same_pool(two_steps, mode, num_devices):
    state, metrics = two_steps
    other, others = tiny.Training(config(mode, num_devices)).run(2)
    assert set(metrics) == set(others)
    for name, values in metrics.items():
        np.testing.assert_allclose(others[name], values, rtol=2e-3, atol=1e-5, err_msg=name)
    assert set(state.buffers) == {"discriminator", "generator"} and not state.buffers["generator"]
    for name in "ab":
        buffers = [one.buffers["discriminator"]["buffers"] for one in (state, other)]
        assert [int(kept["count"][name]) for kept in buffers] == [5, 5]
        assert buffers[0]["count"][name].dtype == jnp.int32
        np.testing.assert_allclose(buffers[1]["pool"][name], buffers[0]["pool"][name], atol=1e-4)
        assert np.abs(buffers[0]["pool"][name]).min() > 0


@pytest.mark.slow
def test_a_resumed_run_has_the_pool_of_one_that_was_not_stopped(two_steps, tmp_path):
    once, halves = tmp_path / "once", tmp_path / "halves"
    train.train(config(), once)
    for steps in (1, 2):
        stopped = config().unlock()
        stopped.train.steps = steps
        train.train(loading.checked(stopped), halves)
    from mmgen_jax.runs.workdir import restore

    pools = [restore(folder, batch_size=8)[2].variables for folder in (once, halves)]
    for one, other in zip(*(jax.tree.leaves(variables) for variables in pools), strict=True):
        np.testing.assert_array_equal(one, other)
    kept = pools[0][1]["discriminator"]["buffers"]["pool"]["a"]
    np.testing.assert_allclose(kept, two_steps[0].buffers["discriminator"]["buffers"]["pool"]["a"], atol=1e-4)


@pytest.mark.slow
def test_each_target_is_drawn_from_the_other(two_steps):
    training = tiny.Training(config())
    system = training.system
    assert system.conditions == system.targets == ("a", "b")
    sampler = Sampler(system, parallel.create("jit", 8, num_devices=1), batch_size=8).load(*averaged(two_steps[0]))
    batch = training.source.read(np.arange(6), np.zeros(6, int))
    drawn = sampler(batch)
    for name, other in ("ab", "ba"):
        tiny.assert_sample(drawn[name], system.modalities[name], 6)
        changed = sampler(batch | {name: batch[name][::-1]})
        np.testing.assert_array_equal(changed[name], drawn[name])
        np.testing.assert_allclose(changed[other], drawn[other][::-1], atol=1e-5)
        given = sampler(batch, given=(other,))
        np.testing.assert_array_equal(given[other], batch[other])
        np.testing.assert_array_equal(given[name], drawn[name])
        alone = sampling.draw(sampler, {other: batch[other]}, 1)
        assert set(alone) == {name}
        np.testing.assert_allclose(alone[name], drawn[name], atol=1e-5)
    with pytest.raises(ConfigError, match=r"all that the model draws is given \(a, b\)"):
        sampling.batch_of(system, {name: batch[name][0] for name in "ab"}, 1)
    there_and_back = sampler.reconstruct(batch)
    np.testing.assert_allclose(there_and_back["a"], sampler({**batch, "b": drawn["b"]})["a"], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"objective": {"name": "cycle_adversarial", "targets": ("a",)}}, "objective.targets: expected two, .* got"),
        ({"aligned": ("a",)}, r"config.aligned: cycle_adversarial reads its two targets .* aligned = \('a', 'b'\)"),
        ({"representation": {"a": {"name": "identity"}}}, "has no use for it"),
        ({"representation": {"b": {"name": "identity"}}}, "has no use for it"),
        ({"data": {"name": "unpaired", "sets": {**SETS, "a": {**SMALL, "image_size": 11}}}}, "'a' has a grid of 11x11"),
        (
            {"objective": {"name": "cycle_adversarial", "targets": ("a", "a_digit")}, "aligned": ("a",)},
            "expected values on a grid, 'a_digit' is of kind 'label'",
        ),
    ],
)
def test_what_it_cannot_translate_is_refused(changes, expected):
    with pytest.raises(ConfigError, match=expected):
        _ = tiny.Training(config(**changes)).system


def test_refusals_of_channels_and_of_grids_that_are_halved_too_often():
    modalities = {"a": Modality("image", (8, 8, 1)), "b": Modality("image", (8, 8, 3))}
    conditioner = Conditioner({}, None, {}, modalities, aligned=("a", "b"))
    with pytest.raises(ConfigError, match=r"objective.identity: needs .* of channels, got 1 \(a\) and 3 \(b\)"):
        by_hand(modalities=modalities, conditioner=conditioner, identity=0.5)
    assert by_hand(modalities=modalities, conditioner=conditioner, identity=0.0).targets == ("a", "b")
    training = tiny.Training(config(generator={"name": "resnet_translation", "num_stages": 2}))
    with pytest.raises(ConfigError, match=r"cannot halve the sides of \(8, 8\) 2 times, only 1 times"):
        jax.eval_shape(training.objective.init, jax.random.key(0), training.source.read(np.arange(2), np.zeros(2, int)))
    assert dataclasses.is_dataclass(training.objective)


@pytest.mark.slow
def test_the_command_names_the_samples_of_both_targets(tmp_path):
    file = tmp_path / "pair.py"
    file.write_text(
        "import test_cycle_adversarial\n\n\ndef get_config():\n    return test_cycle_adversarial.config()\n"
    )
    code, out, errors = tiny.mmgen("train", f"--config={file}", f"--workdir={tmp_path / 'run'}")
    assert not code, errors
    for target in "ab":
        assert f"samples: {tmp_path / 'run' / 'samples' / f'0000002_{target}.png'}" in out
