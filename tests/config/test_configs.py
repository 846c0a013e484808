"""Every config of the project, with every argument, made small: one step, one sample."""

import functools
import re

import jax
import numpy as np
import pytest
from tiny import ROOT, Training, assert_sample, config_module, references, shrink

from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import create_state
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

FILES = sorted((ROOT / "configs").glob("*.py"))
# Steps in bfloat16 take long to compile here: of the large sizes a GAN and a VAE stand for all. `test_large_configs.py`
# traces the steps of the others.
LARGE = ("configs/dcgan.py:large", "configs/text_to_image_vae.py:large")


def networks(config):
    """The names of the objective, its targets and its networks: configs that agree in them have steps of one structure.

    Encoders and fusions are left out: `tests/networks` has the gradients of each.
    """
    parts = ("objective", "representation", "generator", "discriminator")

    def names(fields):
        return {
            key: names(value) if hasattr(value, "items") else value for key, value in fields.items() if key in named
        }

    named = {"name", "of", "encoder", "decoder", "target", *config.encoders, *config.objective.get("targets", ())}
    return repr([names(config.get(part) or {}) for part in parts])


@functools.cache
def structures():
    """`{networks: the first reference that has them}` of all configs."""
    found = {}
    for reference in references():
        if not reference.endswith(":large") or reference in LARGE:
            found.setdefault((networks(loading.load(str(ROOT / reference))), reference in LARGE), reference)
    return found


# Every cell of any to any is quick enough; a step of the others takes 10 seconds and more.
CELL = "configs/any_to_any.py:scenes"
TRAINED = [r if r.startswith(CELL) else pytest.param(r, marks=pytest.mark.slow) for r in structures().values()]
CELLS = [r for r in structures().values() if r.startswith(CELL)]
OTHERS = [r for r in references() if r not in CELLS and not r.endswith(":large")]
TRACED = [r if r in structures().values() else pytest.param(r, marks=pytest.mark.slow) for r in OTHERS]


def few_clips(source, folder):
    """The first 24 of a set like GRID, as links."""
    for kind in ("clips", "alignments"):
        (folder / kind).mkdir()
        for file in sorted((source / kind).iterdir())[:24]:
            (folder / kind / file.name).symlink_to(file)
    return folder


@pytest.fixture
def shrunk(request, monkeypatch, tmp_path):
    """A small `Training` of a config, on one device."""

    def of(reference):
        monkeypatch.chdir(ROOT)
        config = shrink(loading.load(reference))
        folder = None if config.data.name == "scenes" else request.getfixturevalue("mmgen_data")
        with config.unlocked():
            config.parallel.num_devices = 1
            if config.data.name == "grid_s1":  # all 1,000 clips take half a minute to decode
                config.data.directory = str(few_clips(folder / "grid_s1", tmp_path))
        return Training(config)

    return of


@pytest.mark.parametrize("reference", TRACED)
def test_a_step_and_a_sample_fit_together(reference, shrunk):
    """Traced, not compiled."""
    training = shrunk(reference)
    objective, system = training.objective, training.system
    batch = training.source.read(np.arange(8), np.zeros(8, np.int64))
    state = jax.eval_shape(functools.partial(create_state, training.config, system))
    averages = averaged(state)
    key = jax.eval_shape(lambda: jax.random.key(0))
    for player in objective.players:
        loss, _ = jax.eval_shape(functools.partial(objective.loss, player), *averages, batch, key, state.step)
        assert (loss.shape, loss.dtype) == ((), np.float32)
    if "sample" in objective.abilities:
        for name, drawn in jax.eval_shape(objective.sample, *averages, batch, key).items():
            modality = system.modalities[name]
            assert drawn.shape == (8, *modality.shape) and drawn.dtype == modality.dtype


@pytest.mark.parametrize("reference", TRAINED)
def test_one_step(reference, shrunk):
    training = shrunk(reference)
    state, metrics = training.run(1)
    for name, values in metrics.items():
        assert np.isfinite(values).all(), name
    for player in training.objective.players:
        # Far above rounding: normalisation before a linear output would leave that and nothing else.
        assert metrics[f"{player}/grad_norm"][0] > 1e-4, player

    batch = training.source.read(np.arange(3), np.zeros(3, np.int64))
    sampler = Sampler(training.system, parallel.create("jit", 8, num_devices=1), batch_size=8)
    sampler.load(*averaged(state))
    if not sampler.supports("sample"):
        for vectors in sampler.embed_pair(batch):
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.ones(3), rtol=1e-3)
        return
    drawn = sampler(batch)
    assert training.system.target in drawn
    for name, array in drawn.items():  # several where one model has several labels
        assert_sample(array, training.source.modalities[name], 3)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_docstring_holds_its_command(file):
    commands = re.findall(r"mmgen train --config=(\S+) --workdir=\S+", config_module(file).__doc__ or "")
    own = [command for command in commands if command.partition(":")[0] == f"configs/{file.name}"]
    assert own, "expected `mmgen train --config=configs/… --workdir=…` of this file"
    assert all((ROOT / command.partition(":")[0]).is_file() for command in commands)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_argument_that_does_not_exist_is_refused(file):
    with pytest.raises(ConfigError, match="expected"):
        loading.load(f"{file}:no_such_argument")


@pytest.mark.parametrize("reference", references())
def test_config_survives_its_file(reference, monkeypatch):
    """What the workdir keeps is the config: read back, it builds the same system."""
    monkeypatch.chdir(ROOT)
    config = loading.load(reference)
    saved = loading.from_json(loading.to_json(config))
    loading.check_same(config, saved, "workdir")
    assert saved.to_dict() == config.to_dict()
