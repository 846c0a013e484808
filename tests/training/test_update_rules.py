"""Optimizers of optax by name: each has the fields of optax's own function, and trains."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from mmgen_jax import train
from mmgen_jax.config import override, ranges
from mmgen_jax.errors import ConfigError, LookupFailed
from mmgen_jax.runs.workdir import restore
from mmgen_jax.training import update_rules
from mmgen_jax.training.optimizers import build, settable

FIELDS = {
    "adam": {"b1": 0.5, "eps": 1e-6, "nesterov": True},
    "adamw": {"weight_decay": 0.1},
    "sgd": {"momentum": 0.9, "nesterov": True},
    "rmsprop": {"decay": 0.5, "centered": True},
    "lion": {"b2": 0.9},
    "adafactor": {"min_dim_size_to_factor": 2, "weight_decay_rate": 0.1},
    "muon": {"ns_steps": 3, "beta": 0.9},
}
PARAMS = {"kernel": jnp.asarray(np.random.default_rng(0).normal(size=(4, 4)), jnp.float32), "bias": jnp.full(4, 3.0)}
SURROUNDINGS = {"total_steps": 10, "frozen": ()}


def moved(transform, params, grads):
    return transform.update(grads, transform.init(params), params)[0]


def test_every_rule_is_tried():
    assert set(FIELDS) == set(update_rules.RULES)


@pytest.mark.parametrize("name", FIELDS)
def test_a_rule_is_that_of_optax(name):
    optimizer = build("generator", {"name": name, "lr": 0.1, **FIELDS[name]}, **SURROUNDINGS)
    grads = jax.tree.map(jnp.sin, PARAMS)
    own = dict(FIELDS[name])
    mask = {"adafactor": "weight_decay_mask", "muon": "weight_decay_mask", "lion": "mask", "adamw": "mask"}.get(name)
    if mask:
        own[mask] = {"kernel": True, "bias": False}
    function = optax.contrib.muon if name == "muon" else getattr(optax, name)
    expected = moved(function(learning_rate=0.1, **own), PARAMS, grads)
    got = moved(optimizer.transform, PARAMS, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, expected)
    still = moved(build("g", {"name": name, "lr": 0.1}, total_steps=10, frozen=("bias",)).transform, PARAMS, grads)
    assert (still["bias"] == 0).all() and (still["kernel"] != 0).any()


@pytest.mark.parametrize("name", FIELDS)
def test_what_a_rule_does_not_have_is_refused(name):
    with pytest.raises(LookupFailed, match=r"config.optimizers.generator has no field 'epsilon'; .*it has: "):
        build("generator", {"name": name, "epsilon": 1e-8}, **SURROUNDINGS)
    known = settable(name)
    assert {"lr", "schedule", "clip_norm", "ema_decay", *FIELDS[name]} <= set(known)
    assert not {"learning_rate", "mask", "weight_decay_mask", "mu_dtype"} & set(known)


def test_every_field_of_a_rule_has_a_range_and_its_default_lies_in_it():
    fields = {(name, field): default for name in FIELDS for field, default in update_rules.fields(name).items()}
    assert {field for _, field in fields} == set(update_rules.TYPES)
    for (name, field), default in fields.items():
        if default != 0.0:  # which may stand for None
            ranges.check_value(update_rules.TYPES[field], default, f"{name}.{field}")


@pytest.mark.parametrize(
    "name, field, value, expected",
    [
        ("lion", "b1", 2, "a number, at least 0 and below 1"),
        ("sgd", "momentum", 5, "a number, at least 0 and below 1"),
        ("sgd", "nesterov", 1, "True or False"),
        ("adam", "eps", 0.0, "a number, above 0"),
        ("adamw", "weight_decay", -1e-4, "a number, at least 0"),
        ("rmsprop", "decay", float("nan"), "a number, at least 0 and below 1"),
        ("adafactor", "decay_rate", 1.5, "a number, above 0 and at most 1"),
        ("adafactor", "min_dim_size_to_factor", 0, "a whole number, at least 1"),
        ("muon", "ns_steps", 0, "a whole number, at least 1"),
        ("muon", "ns_coeffs", (1.0, 2.0), "3 values"),
        ("muon", "preconditioning", "none", "one of frobenius, spectral, aol, schatten"),
    ],
)
def test_a_value_of_a_rule_out_of_its_range_is_refused(name, field, value, expected):
    with pytest.raises(ConfigError, match=rf"^config\.optimizers\.generator\.{field}: expected {expected}"):
        build("generator", {"name": name, field: value}, **SURROUNDINGS)


@pytest.mark.slow
def test_a_run_with_two_rules_is_saved_and_goes_on(tmp_path):
    changes = {"optimizers.generator.name": "muon", "optimizers.discriminator.name": "adafactor"}
    changes |= {"optimizers.discriminator.clip_norm": 1.0, "parallel.num_devices": 2, "parallel.fsdp": 2}
    config = override.override(tiny.config("gan"), changes)
    first = train.train(config, tmp_path / "run")
    state = train.train(override.override(config, {"train.steps": 2}), tmp_path / "run")
    assert int(first.step) == 1 and int(state.step) == 2
    assert restore(tmp_path / "run")[0].optimizers.generator.name == "muon"
