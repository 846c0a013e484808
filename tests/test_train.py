"""The loop: what it does with values that are not finite, and that it needs nothing from outside."""

import dataclasses
import itertools
import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate, sample, train, train_step
from mmgen_jax.config import loading
from mmgen_jax.config.override import override
from mmgen_jax.data import pipeline, scenes
from mmgen_jax.errors import BatchError, NotFinite
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
    kept = np.load(tmp_path / "run" / "not_finite_5.npz")
    source = tiny.Training(config).source
    expected = next(itertools.islice(pipeline.batches(source, batch_size=8, seed=config.seed, num_threads=0), 4, None))
    np.testing.assert_array_equal(kept["image"], expected["image"])
    np.testing.assert_array_equal(source.read(kept["index"], kept["epoch"])["image"], expected["image"])


def poisoned_at(*steps):
    """The step, with a batch of NaN in the steps of these numbers (from 0)."""
    original = train_step.train_step

    def poisoned(state, batch, **kwargs):
        bad = jnp.isin(state.step, jnp.array(steps))
        floats = {k: jnp.where(bad, jnp.nan, v) for k, v in batch.items() if jnp.issubdtype(v.dtype, jnp.floating)}
        return original(state, batch | floats, **kwargs)

    return poisoned


def test_a_step_that_is_not_finite_is_skipped_as_often_as_the_config_allows(tmp_path, monkeypatch):
    config = override(
        tiny.config("autoencoder", steps=6, log_steps=6, checkpoint_steps=6),
        {"parallel.num_devices": 1, "train.skip_bad_steps": 1},
    )
    monkeypatch.setattr(train, "train_step", poisoned_at(4))
    state = train.train(config, tmp_path / "run")
    assert state.step == 6 and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    [line] = tiny.metrics_lines(tmp_path / "run")
    assert line["skipped_steps"] == pytest.approx(1 / 6) and np.isfinite(list(line.values())).all()
    monkeypatch.setattr(train, "train_step", poisoned_at(2, 4))
    with pytest.raises(NotFinite, match=r"step 5: 2 steps were not finite and skipped, train\.skip_bad_steps allows 1"):
        train.train(config, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").glob("not_finite*")] == ["not_finite_5.npz"]


def test_a_bad_batch_is_named_where_it_is_read(tmp_path, monkeypatch):
    """Not only the first batch of a run is checked; the state before it is saved."""
    read = scenes.Source.read

    def bad(self, indices, epochs):
        batch = read(self, indices, epochs)
        return batch | {"text": batch["text"] + 10**6} if np.any(epochs) else batch

    monkeypatch.setattr(scenes.Source, "read", bad)
    config = override(tiny.config("vae", steps=12, checkpoint_steps=12), {"parallel.num_devices": 1})
    with pytest.raises(BatchError, match=r"batch 8 \(examples \d+, .*\): batch\['text'\]"):
        train.train(config, tmp_path / "run")
    with checkpoint.Checkpointer(tmp_path / "run" / "checkpoints", create=False) as checkpoints:
        assert checkpoints.latest_step() == 8


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
