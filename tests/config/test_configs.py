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
from mmgen_jax.train_step import train_step
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

FILES = sorted((ROOT / "configs").glob("*.py"))
# Steps in bfloat16 take long to compile here: of the large sizes a GAN and a VAE stand for all. `test_large_configs.py`
# traces the steps of the others.
LARGE = ("configs/dcgan.py:large", "configs/text_to_image_vae.py:large")


def networks(config):
    """The names of all components and of the target: configs that agree in them compile programs of one structure."""
    parts = ("objective", "representation", "target_encoder", "generator", "discriminator", "encoders", "fusion")

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


def quick_first(chosen, quick):
    """All of `chosen`, those that are not `quick` marked as slow."""
    return [r if r in quick else pytest.param(r, marks=pytest.mark.slow) for r in chosen]


# Every cell of any to any trains a step; of the other configs, one of each file is traced.
STRUCTURES = list(structures().values())
CELLS = [r for r in STRUCTURES if r.startswith("configs/any_to_any.py:scenes") and "conditions" not in r]
assert len(CELLS) == 17
OTHERS = [r for r in references() if r not in CELLS and not r.endswith(":large")]
SLOW = ("style_transfer", "vgan", "vocoder_flow", "vocoder_gan")  # of files; more than 5 seconds
FIRST = {r.partition(":")[0]: r for r in reversed(OTHERS)}
FIRST = [r for file, r in FIRST.items() if file.removeprefix("configs/").removesuffix(".py") not in SLOW]


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


@pytest.mark.parametrize("reference", quick_first(OTHERS, FIRST))
def test_a_step_and_a_sample_fit_together(reference, shrunk):
    """Traced, not compiled: every loss, gradient and update, and the sample."""
    training = shrunk(reference)
    objective, system = training.objective, training.system
    batch = training.source.read(np.arange(8), np.zeros(8, np.int64))
    state = jax.eval_shape(functools.partial(create_state, training.config, system))
    step = functools.partial(train_step, objective=objective, optimizers=system.optimizers, seed=0)
    step = functools.partial(step, players=objective.players, augment=system.augment)
    after, metrics = jax.eval_shape(step, state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {f"{player}/grad_norm" for player in objective.players} <= set(metrics)
    if "sample" in objective.abilities:
        for name, drawn in jax.eval_shape(objective.sample, *averaged(state), batch, jax.random.key(0)).items():
            modality = system.modalities[name]
            assert drawn.shape == (8, *modality.shape) and drawn.dtype == modality.dtype


@pytest.mark.parametrize("reference", quick_first(STRUCTURES, CELLS))
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
def test_docstring_draws_or_retrieves(file):
    """`mmgen retrieve` is for towers, `mmgen sample` for whatever draws its target."""
    module = config_module(file)
    argument = (getattr(module, "ARGUMENTS", ()) or ("",))[0]
    if module.__doc__ is None or (not argument and "ARGUMENTS" in vars(module)):
        return  # of the user's own data
    towers = loading.load(f"{file}:{argument}" if argument else str(file)).objective.name == "contrastive"
    verbs = set(re.findall(r"^    mmgen (sample|retrieve) ", module.__doc__, re.MULTILINE))
    assert verbs <= ({"retrieve"} if towers else {"sample"})


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
