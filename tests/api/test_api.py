"""The package from Python: light to import, and the functions that do what the commands do."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tiny

import mmgen_jax
from mmgen_jax import api
from mmgen_jax.config import loading
from mmgen_jax.errors import BatchError, ConfigError, InputError


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


def test_the_functions_of_the_package_are_those_of_the_api(workdir, tmp_path):
    run = mmgen_jax.load(workdir)
    given = {"text": "a large red star"}
    one, other = (package.sample(run, given, num=2)["image"] for package in (mmgen_jax, api))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ConfigError, match="no config 'quickstrat'"):
        mmgen_jax.train("quickstrat", tmp_path / "run")
    with pytest.raises(ConfigError, match="no such folder"):
        mmgen_jax.evaluate(tmp_path / "nothing")


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


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_config_may_be_named_by_its_file(kind, workdir, monkeypatch):
    monkeypatch.chdir(tiny.ROOT)
    with pytest.raises(ConfigError, match="was"):  # the workdir holds another run, found before anything trains
        api.train(kind("configs/quickstart.py"), workdir)


@pytest.mark.slow
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


@pytest.mark.slow
def test_latents_of_pictures_and_the_way_between_them(workdir):
    run = api.load(workdir)
    rng = np.random.default_rng(0)
    batch = {"image": rng.uniform(-1, 1, (3, *run.system.modalities["image"].shape)).astype(np.float32)}
    ids = np.stack([run.system.modalities["text"].tokenizer.encode("a large red star", 16)] * 3)
    given = {"text": "a large red star"}
    found = api.latents(run, batch, given)
    batch["text"] = ids
    np.testing.assert_array_equal(api.latents(run, batch), found)
    assert found.shape == (3, run.system.objective.latent_dim)
    drawn = api.generate(run, found, given)["image"]
    np.testing.assert_allclose(drawn, run.reconstruct(batch)["image"], atol=1e-5)
    way = api.interpolate(run, given, ends=found[:2], num=5)["image"]
    assert way.shape == (5, 16, 16, 3)
    np.testing.assert_allclose(way[[0, -1]], drawn[:2], atol=1e-4)
    ours = api.interpolate(run, given, num=3, seed=1)["image"]
    np.testing.assert_array_equal(api.interpolate(workdir, given, num=3, seed=1)["image"], ours)
    np.testing.assert_allclose(ours[[0, -1]], api.sample(run, given, num=2, seed=1)["image"], atol=1e-5)
    with pytest.raises(InputError, match=r"expected latents \[B, Z\], at least one, got \[0, \d+\]"):
        api.generate(run, found[:0], given)
    with pytest.raises(InputError, match=r"latents: expected \[B, \d+\], got \[3, 2\]"):
        api.generate(run, found[:, :2], given)
    with pytest.raises(InputError, match=r"expected two ends \[2, Z\], got \[1, \d+\]"):
        api.interpolate(run, given, ends=found[:1])
    for wrong in ({"num": 0}, {"num": -1}, {"seed": -1}):
        with pytest.raises(ConfigError, match=rf"^{next(iter(wrong))}: expected a whole number, at least"):
            api.interpolate(run, given, **wrong)
    (workdir / "prompts.txt").write_text("a large red star\na small blue circle\n")
    with pytest.raises(InputError, match="one latent for each of 2 conditions, got 3"):
        api.generate(run, found, {"text": f"@{workdir / 'prompts.txt'}"})


def test_a_great_circle_keeps_the_length():
    first, second = np.array([2.0, 0.0, 0.0]), np.array([0.0, 3.0, 0.0])
    way = api.great_circle(first, second, 5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), [2, 2.25, 2.5, 2.75, 3], rtol=1e-6)
    np.testing.assert_allclose(way[2] / 2.5, np.array([1, 1, 0]) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(api.great_circle(first, 2 * first, 3)[:, 0], [2, 3, 4])
    np.testing.assert_allclose(api.great_circle(0 * first, first, 3)[:, 0], [0, 1, 2])


def test_what_the_model_does_not_read_is_no_unconditional_sample(workdir):
    sampler = api.load(str(workdir))
    shape = sampler.system.modalities["image"].shape
    pictures, texts = np.zeros((2, *shape), np.float32), np.zeros((2, 16), np.int32)
    with pytest.raises(InputError, match=r"expected some of what the model reads \(text\), got image; what is to be"):
        sampler({"image": pictures})
    with pytest.raises(InputError, match=r"\(text\), got txet; did you mean 'text'\?"):
        sampler({"txet": texts})
    with pytest.raises(InputError, match=r"got nothing"):
        sampler({})
    for wrong, got in ((None, "a NoneType"), ([1], "a list"), (texts, "a ndarray"), ({1: texts}, "the key 1")):
        for function in (sampler, sampler.reconstruct, lambda batch: api.latents(sampler, batch, {"text": "a star"})):
            with pytest.raises(InputError, match=rf"^batch: expected arrays by name, .*, got {got}; name them$"):
                function(wrong)
    with pytest.raises(InputError, match=r"given: expected conditions by name, .*, got a list"):
        api.sample(sampler, ["a red star"])
    masked = {"text": texts, "text/mask": np.zeros(2, bool)}
    assert sampler(masked)["image"].shape == (2, *shape)
    with pytest.raises(InputError, match=r"\(image\), got text"):
        sampler.reconstruct({"text": texts})


@pytest.mark.parametrize(
    "texts, message",
    [
        (np.zeros((2, 15), np.int32), r"batch\['text'\]\.shape: expected \[B, 16\], got \[2, 15\]"),
        (np.zeros(16, np.int32), r"batch\['text'\]\.shape"),
        (np.zeros((2, 16)), r"batch\['text'\]\.dtype: expected int32, got float64"),
        (np.full((2, 16), 999, np.int32), r"batch\['text'\]\.range \(text\): expected ids in"),
    ],
)
def test_arrays_that_the_model_cannot_read(workdir, texts, message):
    with pytest.raises(BatchError, match=message):
        api.load(workdir)({"text": texts})


def test_a_condition_may_be_a_list_as_a_file_with_one_a_line(workdir, tmp_path):
    words, run = ["a red star", "a blue ring"], api.load(workdir)
    (tmp_path / "prompts.txt").write_text("\n".join(words))
    drawn, wanted = (api.sample(run, {"text": given}, num=2)["image"] for given in (words, f"@{tmp_path}/prompts.txt"))
    assert len(drawn) == 4 and np.ptp(drawn[0] - drawn[2]) > 0
    np.testing.assert_array_equal(drawn, wanted)
    np.testing.assert_array_equal(api.sample(run, {"text": words[:1]}, num=2)["image"], drawn[:2])


def test_a_condition_may_be_an_array(workdir):
    run = api.load(workdir)
    text = run.system.modalities["text"]
    ids = np.stack([text.tokenizer.encode(words, text.shape[0]) for words in ("a red star", "a blue ring")])
    both, first = api.sample(run, {"text": ids}, num=2)["image"], api.sample(run, {"text": ids[0]}, num=2)["image"]
    assert len(both) == 4
    np.testing.assert_array_equal(api.sample(run, {"text": "a red star"}, num=2)["image"], first)
    with pytest.raises(ConfigError, match=r"num: expected a whole number, at least 1 .*got 0"):
        api.sample(run, {"text": ids}, num=0)
    with pytest.raises(ConfigError, match="seed: expected a whole number, at least 0"):
        api.sample(run, {"text": ids}, num=1, seed=-1)
    for wrong in ([], [["a red star"]], [None], {"a": 1}, None):
        expected = r"text: expected a text, a class, a file's name, a list of these or an array, got"
        with pytest.raises(InputError, match=expected):
            api.sample(run, {"text": wrong})
    with pytest.raises(InputError, match=r"text: expected a text, or @FILE with one a line, got 3"):
        api.sample(run, {"text": 3})
