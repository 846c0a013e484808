"""A family of two targets, from its config to its evaluation: one may be given, and the other is drawn after it."""

import sys

import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate, objectives, train
from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import restore
from mmgen_jax.training.state import averaged

PAIR = '''
"""A clip and its picture: the clip is the picture standing still, so many times as bright."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp

from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import example_weights, zero_masked


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    targets: tuple[str, ...] = ()
    representations: Any = None

    own_players: ClassVar[tuple[str, ...]] = ("pair",)

    @property
    def clip(self):
        return self.targets[0]

    @property
    def picture(self):
        return self.targets[1]

    def init(self, rng, batch):
        shape = self.modalities[self.picture].shape
        return {"pair": {"params": {"gain": jnp.zeros(()), "mean": jnp.zeros(shape)}}}

    def loss(self, player, params, collections, batch, rng, step=0):
        own, picture = params[player], zero_masked(batch, self.picture)
        weights = example_weights(batch, self.clip)
        error = zero_masked(batch, self.clip) - own["gain"] * picture[:, None]
        error = jnp.mean(error.reshape(len(error), -1) ** 2, axis=1)
        return jnp.mean(weights * error) + jnp.mean((picture - own["mean"]) ** 2), (collections, {})

    def sample(self, params, collections, batch, rng, given=()):
        own, picture = params["pair"], batch[self.picture]
        if self.picture not in given:
            picture = jnp.broadcast_to(own["mean"], picture.shape)
        clip = own["gain"] * picture[:, None]
        clip = batch[self.clip] if self.clip in given else jnp.broadcast_to(clip, batch[self.clip].shape)
        return {self.clip: clip, self.picture: picture}
'''


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objectives")
    (folder / "pair.py").write_text(PAIR)
    before = objectives.__path__
    objectives.__path__ = [*before, str(folder)]
    yield
    objectives.__path__ = before
    sys.modules.pop("mmgen_jax.objectives.pair", None)


def config(targets=("video", "image"), **changes):
    base = tiny.config("autoencoder", steps=40, checkpoint_steps=40, log_steps=40).unlock()
    del base["generator"], base["target_encoder"]
    base.data.names, base.data.num_frames = ("text", "image", "video"), 2
    base.optimizers = {"pair": {"lr": 0.05}}
    base.objective = {"name": "pair", "targets": targets}
    base.parallel.num_devices = 1
    base.evaluators = {
        "picture": {"name": "reconstruction", "target": "image"},
        "clip": {"name": "reconstruction", "target": "video"},
    }
    base.update(changes)
    return loading.checked(base)


@pytest.fixture(scope="module")
def run(family, tmp_path_factory):
    """`(workdir, system, sampler, batch)`"""
    workdir = tmp_path_factory.mktemp("run") / "pair"
    train.train(config(), workdir)
    _, system, sampler, _ = restore(workdir, batch_size=8)
    batch = tiny.Training(config()).source.read(np.arange(8), np.zeros(8, int))
    return workdir, system, sampler, batch


def test_a_system_has_several_targets(family):
    system = tiny.Training(config()).system
    assert system.targets == ("video", "image") and system.target == "video" and system.conditions == ()
    assert system.objective.representations == {"video": None, "image": None}


def test_targets_are_hidden_but_for_those_that_are_given(run):
    _, system, _, batch = run
    hidden = system.without_targets(batch)
    assert set(hidden) == {"video", "video/mask", "image", "image/mask"}  # nothing reads the text
    for name in ("video", "image"):
        assert hidden[name].shape == batch[name].shape and hidden[name].dtype == np.float32
        assert not hidden[name].any() and hidden[f"{name}/mask"].dtype == bool and not hidden[f"{name}/mask"].any()
    given = system.without_targets(batch, ("image",))
    assert set(given) == {"video", "video/mask", "image"}
    np.testing.assert_array_equal(given["image"], batch["image"])
    mask = np.arange(8) > 3
    given = system.without_targets(batch | {"image/mask": mask}, ("image",))
    np.testing.assert_array_equal(given["image/mask"], mask)


def test_what_is_drawn_depends_on_what_is_given_and_on_nothing_else(run):
    _, _, sampler, batch = run
    other = batch | {"image": batch["image"][::-1], "video": batch["video"][::-1]}
    drawn = sampler(batch)
    assert set(drawn) == {"video", "image"}
    for name, array in drawn.items():
        np.testing.assert_array_equal(array, sampler(other)[name])
        np.testing.assert_array_equal(array, sampler({"text": batch["text"], name: batch[name]})[name])
    given = sampler(batch, given=("image",))
    np.testing.assert_array_equal(given["image"], batch["image"])
    gain = float(sampler.variables[0]["pair"]["gain"])
    assert gain > 0.3
    np.testing.assert_allclose(given["video"], gain * np.stack([batch["image"]] * 2, axis=1), rtol=1e-5)
    swapped = sampler(other, given=("image",))
    np.testing.assert_array_equal(swapped["video"], given["video"][::-1])
    both = sampler(batch, given=("image", "video"))
    np.testing.assert_array_equal(both["video"], batch["video"])


def test_an_evaluator_names_its_target(run):
    workdir, _, _, _ = run
    written = evaluate.read(workdir)
    metrics = evaluate.evaluate(workdir)
    names = {f"test/{name}/{metric}" for name in ("picture", "clip") for metric in ("psnr", "mse", "l1", "ssim")}
    assert set(metrics) == set(written) == names
    for name in names:
        assert metrics[name]["value"] == pytest.approx(written[name]["value"], rel=1e-5)
    assert metrics["test/picture/mse"]["value"] != metrics["test/clip/mse"]["value"]
    # The mean of the training pictures is about the best constant of the test's.
    assert metrics["test/picture/mse"]["value"] < 1.5 * metrics["test/picture/mse"]["baseline"]


def test_samples_of_every_target_are_written(run):
    workdir, *_ = run
    clip = {"0000040_video.gif", "0000040_video.mp4", "0000040_video_frames.png"}
    assert {path.name for path in (workdir / "samples").iterdir()} == {*clip, "0000040_image.png"}


def test_a_target_may_be_a_condition_of_another(family):
    conditional = config(encoders={"image": {"name": "image.cnn", "features": 16}}, fusion={"name": "concat"})
    system = tiny.Training(conditional).system
    assert system.conditions == ("image",)
    batch = tiny.Training(conditional).source.read(np.arange(2), np.zeros(2, int))
    kept = system.without_targets(batch)
    assert set(kept) == {"image", "video", "video/mask"}
    np.testing.assert_array_equal(kept["image"], batch["image"])


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"targets": ("video", "sound")}, "config.objective.target: 'sound' is not in the data"),
        ({"representation": {"name": "identity"}}, r"several targets have one each \(video, image\), got 'name'"),
        ({"representation": {"text": {"name": "identity"}}}, "got 'text'"),
    ],
)
def test_what_targets_cannot_have_is_refused(family, changes, expected):
    with pytest.raises(ConfigError, match=expected):
        _ = tiny.Training(config(**changes)).system


def test_each_target_has_a_representation_of_its_own(family):
    system = tiny.Training(config(representation={"image": {"name": "identity"}})).system
    own = system.objective.representations
    assert own["video"] is None and own["image"].modality == system.modalities["image"]


def test_parameters_that_sample_are_the_average(run):
    _, system, _, batch = run
    training = tiny.Training(config())
    state, _ = training.run(1)
    sampler = Sampler(system, training.layout, 8).load(*averaged(state))
    drawn = sampler(batch)["image"]
    np.testing.assert_array_equal(drawn[0], state.params["pair"]["mean"])
