"""A new family or representation is one file, found by its name; here it lies in a folder of its own."""

import importlib
import sys

import numpy as np
import pytest
import tiny

from mmgen_jax import lookup, train
from mmgen_jax.config import loading
from mmgen_jax.config.override import override
from mmgen_jax.errors import LookupFailed
from mmgen_jax.runs.workdir import restore

FAMILY = '''
"""The mean of the target."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, example_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    power: int = 2
    scale: float = 1.0

    own_players: ClassVar[tuple[str, ...]] = ("mean",)
    sampling: ClassVar[tuple[str, ...]] = ("scale",)

    def init(self, rng, batch):
        own = {"params": {"mean": jnp.zeros(self.continuous().shape)}}
        return {**self.code.init(rng, batch[self.target]), "mean": own}

    def loss(self, player, params, collections, batch, rng, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        error = jnp.abs(self.encode_target(params, collections, batch) - params["mean"]["mean"]) ** self.power
        loss = jnp.mean(example_weights(batch, self.target) * error.reshape(len(error), -1).mean(axis=1))
        return loss, (collections, {})

    def sample(self, params, collections, batch, rng, given=()):
        mean = self.scale * params["mean"]["mean"]
        code = jnp.broadcast_to(mean, (batch_size(batch), *mean.shape))
        return {self.target: self.code.decode(params, collections, code)}
'''
REPRESENTATION = '''
"""A picture turned upside down, its values shrunk."""

import dataclasses
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Representation:
    of: Any
    shrink: float = 2.0

    players: ClassVar[tuple[str, ...]] = ()

    @property
    def space(self):
        return self.of.space

    def init(self, rng, target):
        return self.of.init(rng, target)

    def encode(self, params, collections, target):
        return self.of.encode(params, collections, target)[:, ::-1] / self.shrink

    def decode(self, params, collections, code):
        return self.of.decode(params, collections, code[:, ::-1] * self.shrink)
'''


@pytest.fixture
def one_file(tmp_path, monkeypatch):
    """`(package, name, text) -> None`: writes the file and puts its folder on the package's path."""
    written = []

    def write(package, name, text):
        module = importlib.import_module(lookup.PACKAGES[package][0])
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        written.append(f"{module.__name__}.{name}")

    yield write
    for name in written:
        sys.modules.pop(name, None)


def pictures(**train_fields):
    """A config of unconditional pictures, without networks."""
    config = tiny.config("autoencoder", **train_fields).unlock()
    del config["generator"], config["target_encoder"]
    config.data.names = ("image",)
    config.optimizers = {"mean": {"lr": 1e-2}}
    config.objective = {"name": "mean", "target": "image"}
    return loading.checked(config)


def test_a_family_is_one_file(one_file, tmp_path):
    one_file("objectives", "mean", FAMILY)
    assert "mean" in lookup.available("objectives")
    workdir = tmp_path / "run"
    state = train.train(pictures(), workdir)
    assert state.step == 1 and np.abs(state.params["mean"]["mean"]).max() > 0
    config, system, sampler, _ = restore(workdir)
    assert config.objective.name == "mean" and system.targets == ("image",) and not sampler.supports("elbo")
    drawn = sampler({"image": np.zeros((3, 16, 16, 3), np.float32)})["image"]
    tiny.assert_sample(drawn, system.modalities["image"], 3)
    np.testing.assert_array_equal(drawn[0], state.params["mean"]["mean"])
    _, _, half, _ = restore(workdir, changes={"objective.scale": 0.5})
    np.testing.assert_array_equal(half({"image": drawn})["image"], 0.5 * drawn)
    with pytest.raises(
        ValueError, match=r"objective\.power: is fixed by the training; 'mean' can change .*: objective\.scale$"
    ):
        restore(workdir, changes={"objective.power": 1})


def test_a_representation_is_one_file(one_file, tmp_path):
    """A model of the mean sees the pictures upside down, and what it draws is the right way up."""
    one_file("objectives", "mean", FAMILY)
    one_file("representations", "turned", REPRESENTATION)
    config = pictures(steps=60).unlock()
    config.representation = {"name": "turned"}
    config.optimizers.mean.lr = 0.05
    turned = override(config.lock(), {"representation.shrink": 4.0})
    workdir = tmp_path / "run"
    state = train.train(turned, workdir)
    _, system, sampler, _ = restore(workdir)
    assert system.objective.representation.shrink == 4.0
    drawn = sampler({"image": np.zeros((1, 16, 16, 3), np.float32)})["image"][0]
    np.testing.assert_allclose(drawn[::-1] / 4, state.params["mean"]["mean"], rtol=1e-6)
    source = tiny.Training(turned).source
    mean = source.read(np.arange(64), np.zeros(64, int))["image"].mean(axis=0)
    assert np.abs(drawn - mean).mean() < 0.3 * np.abs(mean).mean()


@pytest.mark.parametrize(
    "family", ["autoencoder", *(pytest.param(family, marks=pytest.mark.slow) for family in ("gan", "vae"))]
)
def test_the_families_there_are_take_a_representation_that_they_do_not_know(family, one_file):
    one_file("representations", "turned", REPRESENTATION)
    config = tiny.config(family).unlock()
    config.representation = {"name": "turned"}
    training = tiny.Training(override(config.lock(), {"parallel.num_devices": 1}))
    state, metrics = training.run(1)
    assert state.step == 1 and all(np.isfinite(values).all() for values in metrics.values())
    assert training.objective.players == tiny.Training(tiny.config(family)).objective.players


def test_a_representation_that_does_not_exist_is_refused():
    config = tiny.config("gan").unlock()
    config.representation = {"name": "turned"}
    with pytest.raises(LookupFailed, match=r"representations: 'turned' does not exist .*there are: identity"):
        _ = tiny.Training(config.lock()).system
