"""The loop: what it does with values that are not finite, and that it needs nothing from outside."""

import dataclasses
import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate, sample, train, train_step
from mmgen_jax.config import loading
from mmgen_jax.errors import NotFinite
from mmgen_jax.training import checkpoint


def test_not_finite_names_step_metric_and_tensor_and_is_not_saved(tmp_path, monkeypatch):
    original = train_step.train_step

    def poisoned(state, *args, **kwargs):
        """From the step numbered 5 (from 1) on, the first parameter is NaN."""
        (first, *others), structure = jax.tree.flatten(state.params)
        params = jax.tree.unflatten(structure, [jnp.where(state.step == 4, jnp.nan, first), *others])
        return original(dataclasses.replace(state, params=params), *args, **kwargs)

    monkeypatch.setattr(train, "train_step", poisoned)
    config = tiny.config("autoencoder", steps=12, checkpoint_steps=2, log_steps=12)
    with config.unlocked():
        config.parallel.num_devices = 1
    with pytest.raises(NotFinite, match=r"^step 5: generator/\S+ is not finite; .* tensors .* first \.params\["):
        train.train(config, tmp_path / "run")
    with checkpoint.Checkpointer(tmp_path / "run" / "checkpoints", create=False) as checkpoints:
        assert checkpoints.latest_step() == 4
    assert all(np.isfinite(list(line.values())).all() for line in tiny.metrics_lines(tmp_path / "run"))


def test_no_network_no_account_no_files(cache, tmp_path, monkeypatch):
    """The quickstart config, made small, from training to a drawn prompt."""

    def refused(*address, **_):
        raise AssertionError(f"the network was asked for {address}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    original = loading.load(str(tiny.ROOT / "configs" / "quickstart.py"))
    config = tiny.shrink(original).copy_and_resolve_references()
    with config.unlocked():
        config.evaluators = original.evaluators
        config.parallel.num_devices = 1
    train.train(config, tmp_path / "run")
    assert {name.split("/")[0] for name in evaluate.read(tmp_path / "run")} == {"test", "compositional"}
    assert [path.name for path in sample.sample(tmp_path / "run", tmp_path / "out", {"text": "a large green star"}, 2)]
    assert not (tmp_path / "home").exists() and not cache.exists()
