"""The package from Python: light to import, and the functions that do what the commands do."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tiny

import mmgen_jax
from mmgen_jax import api
from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("api") / "vae"
    config = tiny.config("vae", steps=2)
    with config.unlocked():
        config.evaluators = {"pixels": {"name": "reconstruction"}}
    state = api.train(config, workdir)
    assert int(state.step) == 2
    return workdir


def test_importing_the_package_imports_no_jax():
    script = "import sys, mmgen_jax; dir(mmgen_jax); mmgen_jax.__version__; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(tiny.ROOT)}, check=True)


@pytest.mark.parametrize("order", ["mmgen_jax.train", "import mmgen_jax.train"])
def test_a_name_is_the_same_whatever_was_imported_before(order):
    script = f"import mmgen_jax, types; {order}; assert isinstance(mmgen_jax.train, types.ModuleType); mmgen_jax.load"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(tiny.ROOT)}, check=True)


def test_everything_that_is_listed_exists():
    assert set(mmgen_jax.__all__) <= set(dir(mmgen_jax))
    assert all(getattr(mmgen_jax, name) for name in mmgen_jax.__all__)
    assert mmgen_jax.load is api.load and mmgen_jax.encode is api.encode
    with pytest.raises(AttributeError, match="'mmgen_jax' has no attribute 'trian'"):
        _ = mmgen_jax.trian


def test_a_run_is_trained_loaded_and_drawn_from(workdir):
    run = api.load(workdir)
    given = {"text": "a large red star"}
    drawn = api.sample(run, given, num=3)
    tiny.assert_sample(drawn["image"], run.system.modalities["image"], 3)
    np.testing.assert_array_equal(api.sample(run, given, num=3)["image"], drawn["image"])
    np.testing.assert_array_equal(api.sample(workdir, given, num=3)["image"], drawn["image"])
    assert not np.array_equal(api.sample(run, given, num=3, seed=1)["image"], drawn["image"])
    assert not np.array_equal(api.sample(run, num=3)["image"], drawn["image"])  # the caption is masked


def test_a_run_is_measured(workdir):
    entries = api.evaluate(workdir)
    assert entries["test/pixels/psnr"]["n"] > 0 and (workdir / "evaluation.json").is_file()


def test_a_config_may_be_named_by_its_file(workdir, monkeypatch):
    monkeypatch.chdir(tiny.ROOT)
    with pytest.raises(ConfigError, match="was"):  # the workdir holds another run, found before anything trains
        api.train("configs/quickstart.py", workdir)


def test_conditions_are_encoded_where_the_family_embeds(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.ROOT)
    config = tiny.shrink(loading.load("configs/image_text_retrieval.py:scenes"))
    api.train(config, tmp_path / "run")
    run = api.load(tmp_path / "run")
    pictures = np.random.default_rng(0).uniform(-1, 1, (3, *run.system.modalities["image"].shape)).astype(np.float32)
    vectors = api.encode(run, {"image": pictures})
    assert vectors.shape[0] == 3 and vectors.ndim == 2
    assert not np.allclose(vectors[0], vectors[1])
    with pytest.raises(ValueError, match="has no 'embed'"):
        api.encode(workdir, {"text": np.zeros((1, 16), np.int32)})
