"""A workdir in a store: checkpoints by Orbax, everything else by copies; the store here is a folder."""

import numpy as np
import pytest
import tiny

from mmgen_jax import api, evaluate, sweep, train
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError
from mmgen_jax.training.checkpoint import Checkpointer


def config(steps):
    small = override(tiny.config("autoencoder", steps=steps, checkpoint_steps=3), {"parallel.num_devices": 1})
    with small.unlocked():
        small.evaluators = {"pixels": {"name": "reconstruction", "from_target": True}}
    return small


def lines(workdir):
    return [{k: v for k, v in line.items() if "/" in k or k == "step"} for line in tiny.metrics_lines(workdir)]


def test_a_run_in_a_store_goes_on_from_the_store_alone(tmp_path, cache):
    store = tmp_path / "store"
    address = f"file://{store}/run"
    train.train(config(3), address)
    with Checkpointer(store / "run" / "checkpoints", create=False) as checkpoints:
        assert checkpoints.latest_step() == 3
    assert {"config.json", "modalities.json", "metrics.jsonl", "evaluation.json"} <= {
        path.name for path in (store / "run").iterdir()
    }
    before = (store / "run" / "evaluation.json").read_text()

    train.train(config(6), address)  # from a new copy: nothing of the first run's copy is used
    assert (store / "run" / "evaluation.json").read_text() != before
    train.train(config(3), tmp_path / "whole")
    train.train(config(6), tmp_path / "whole")
    assert lines(store / "run") == lines(tmp_path / "whole")
    assert len(list((store / "run" / "samples").iterdir())) == len(list((tmp_path / "whole" / "samples").iterdir()))

    sampler = api.load(address)
    assert "image" in sampler.reconstruct(tiny.Training(config(6)).source.read(np.arange(1), np.zeros(1, int)))
    (store / "run" / "evaluation.json").unlink()
    evaluate.evaluate(address)
    assert evaluate.read(store / "run")
    assert not any(path.is_dir() and path.name == "checkpoints" for path in cache.rglob("*"))


def test_what_needs_a_folder_and_what_cannot_be_read_is_one_line(tmp_path, cache):
    with pytest.raises(ConfigError, match="mmgen sweep needs a folder of a file system"):
        sweep.run(tmp_path / "sweep.py", f"file://{tmp_path}/cells")
    with pytest.raises(ConfigError, match="a run on data of your own needs a folder"):
        api.train(config(3), f"file://{tmp_path}/run", source=str(tmp_path))
    with pytest.raises(ConfigError, match="--workdir=nostore://bucket/run: the store cannot be read"):
        train.train(config(3), "nostore://bucket/run")
