from __future__ import annotations

import functools

import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate
from mmgen_jax.config import schema
from mmgen_jax.data import scenes
from mmgen_jax.evaluators import scenes_coherence
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.scenes import factors, judge, judge_audio
from mmgen_jax.training import parallel, state

NAMES = ("shape", "color", "size", "motion")


@functools.cache
def batch(count: int, target: str, **fields):
    return scenes.Source(names=(target, *NAMES), **fields).read(np.arange(count))


def accuracy(judged, truth) -> dict[str, float]:
    return {name: (judged[name] == truth[name]).mean() for name in NAMES if name in judged}


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    offset = np.subtract.outer(np.arange(images.shape[1]), np.arange(images.shape[1]))
    weights = np.exp(-0.5 * (offset / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("yh,bhwc,xw->byxc", weights, images, weights, optimize=True).astype(np.float32)


@pytest.mark.parametrize("split", ("test", "compositional"))
def test_judge_reads_true_images(split):
    true = batch(500, "image", split=split)
    judged = judge.judge_images(true["image"])
    assert min(accuracy(judged, true).values()) >= 0.99
    assert judged["confidence"].min() > 0.8
    assert all(judged[name].dtype == np.int32 for name in ("shape", "color", "size"))


@pytest.mark.parametrize("image_size", (16, 24, 64))
def test_judge_reads_other_resolutions(image_size):
    true = batch(150, "image", split="test", image_size=image_size)
    assert min(accuracy(judge.judge_images(true["image"]), true).values()) >= 0.98


def test_judge_reads_spoilt_images():
    true = batch(300, "image", split="test")
    grain = np.random.default_rng(0).normal(0, 0.15, true["image"].shape)
    for spoilt in (blurred(true["image"], 0.7), blurred(true["image"], 1.0), true["image"] / 2, true["image"] + grain):
        judged = judge.judge_images(np.clip(spoilt, -1, 1).astype(np.float32))
        assert min(accuracy(judged, true).values()) >= 0.98


def test_judge_is_not_sure_of_nothing():
    noise = np.random.default_rng(0).uniform(-1, 1, (32, 32, 32, 3)).astype(np.float32)
    assert judge.judge_images(noise)["confidence"].max() < 0.4
    assert np.isfinite(judge.judge_images(np.zeros((2, 32, 32, 3), np.float32))["confidence"]).all()
    with pytest.raises(ValueError, match="expected images"):
        judge.judge_images(np.zeros((2, 28, 28, 1), np.float32))


def test_judge_reads_true_videos_sounds_and_captions():
    video = batch(60, "video", split="test")
    judged = judge.judge_videos(video["video"])
    assert min(accuracy(judged, video).values()) >= 0.98
    backwards = judge.judge_videos(video["video"][:, ::-1])
    np.testing.assert_array_equal(backwards["motion"], np.array([0, 2, 1, 4, 3])[judged["motion"]])

    audio = batch(200, "audio", split="test")
    assert min(accuracy(judge_audio.judge_audio(audio["audio"], 8000), audio).values()) >= 0.98
    assert min(accuracy(judge_audio.judge_audio(audio["audio"] / 10, 8000), audio).values()) >= 0.98

    text = batch(200, "text", split="test")
    judged = judge.judge_texts(text["text"])
    assert min(accuracy(judged, text)[name] for name in ("shape", "color", "size")) == 1.0
    assert set(np.unique(judged["motion"][judged["motion"] != text["motion"]])) == {-1}


def split_into(true, size: int):
    """A finite iterator, as the pipeline gives it: the last batch is smaller."""
    count = len(true["shape"])
    return ({name: array[i : i + size] for name, array in true.items()} for i in range(0, count, size))


@pytest.mark.parametrize("target", ("image", "video", "audio", "text"))
def test_copying_scores_one_and_guessing_scores_chance(target):
    true = batch(90, target, split="test")
    evaluator = scenes_coherence.Evaluator(target=target)
    entries = evaluator(lambda b: {target: b[target]}, split_into(true, 32))
    assert list(entries) == [*evaluator.names, "all"]
    for entry in entries.values():
        assert entry["n"] == 90 and entry["value"] == entry["judge_accuracy"] == 1.0
        assert entry["interval"][0] < entry["value"] <= entry["interval"][1] + 1e-9
    constant = {target: np.repeat(true[target][:1], 32, axis=0)}
    entries = evaluator(lambda b: constant, split_into(true, 32))
    for name in evaluator.names:  # a constant answer is right as often as its value occurs
        assert entries[name]["value"] == pytest.approx((true[name] == true[name][0]).mean())
        assert entries[name]["chance"] == 1 / len(factors.FACTORS[name])
    assert entries["all"]["chance"] == pytest.approx(np.prod([entries[name]["chance"] for name in evaluator.names]))


@pytest.mark.slow
@pytest.mark.parametrize("target, least", [("audio", 0.95), ("video", 0.98)])
def test_what_a_sampler_gives_is_judged_as_the_renders_are(target, least):
    """Values in float32 from compiled functions: a sound through its log-mel, and what an untrained model draws."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("text", target), "num_test": 64}
    if target == "audio":
        config.representation = {"name": "log_mel"}
    config.generator = {"name": "conv", "width": 4, "max_width": 8}
    config.discriminator = {"name": "conv", "width": 4, "max_width": 8}
    config.encoders = {"text": {"name": "text.embedding", "features": 8}}
    config.fusion = {"name": "concat", "features": 8}
    config.objective = {"name": "adversarial", "target": target}
    config.optimizers = {"generator": {}, "discriminator": {}}
    config.parallel.num_devices = 1
    config.evaluators = {
        "drawn": {"name": "scenes_coherence", "splits": ("test",), "num_examples": 64},
        **(
            {"through": {"name": "scenes_coherence", "splits": ("test",), "from_target": True}}
            if target == "audio"
            else {}
        ),
    }
    training = tiny.Training(config)
    sampler = Sampler(training.system, parallel.create("jit", 32, num_devices=1), batch_size=32)
    entries = evaluate.run(config, training.system, sampler.load(*state.averaged(training.run(0)[0])))
    drawn = entries["test/drawn/all"]
    assert drawn["n"] == 64 and drawn["judge_accuracy"] >= least and drawn["value"] < 0.1
    if target == "audio":
        through = entries["test/through/all"]
        assert through["value"] >= least and through["judge_accuracy"] == drawn["judge_accuracy"]


def test_reconstructions_are_judged_where_asked():
    class Model:
        def __call__(self, batch):
            raise AssertionError("drawn, not reconstructed")

        def reconstruct(self, batch):
            return {"image": np.zeros_like(batch["image"]) if batch["color"][0] == 0 else batch["image"]}

    true = batch(60, "image", split="test")
    blank = np.flatnonzero(true["color"] == 0)
    blank, shown = ({name: rows[at] for name, rows in true.items()} for at in (blank, np.setdiff1d(range(60), blank)))
    entries = scenes_coherence.Evaluator("image", from_target=True)(Model(), (shown,))
    assert entries["all"]["value"] == 1.0
    entries = scenes_coherence.Evaluator("image", from_target=True)(Model(), (blank,))
    assert entries["all"]["value"] < 0.5 and entries["all"]["judge_accuracy"] == 1.0


def test_masked_and_surplus_examples_do_not_count():
    true = batch(90, "image", split="test")
    mask = np.arange(90) % 2 == 0
    spoilt = dict(true) | {"image/mask": mask, "image": np.where(mask[:, None, None, None], true["image"], 0)}
    copy = lambda b: {"image": b["image"]}  # noqa: E731
    entries = scenes_coherence.Evaluator("image")(copy, split_into(spoilt, 32))
    assert entries["all"]["n"] == 45 and entries["all"]["value"] == 1.0
    entries = scenes_coherence.Evaluator("image", num_examples=40)(copy, split_into(true, 32))
    assert entries["all"]["n"] == 40
    with pytest.raises(ValueError, match="got none"):
        scenes_coherence.Evaluator("image")(copy, split_into(true | {"image/mask": np.zeros(90, bool)}, 32))


def test_unknown_target_is_named():
    with pytest.raises(ValueError, match="no judge for 'smell'"):
        scenes_coherence.Evaluator(target="smell")


def test_factors_that_no_condition_tells_do_not_count_in_all():
    true = batch(200, "audio", split="test")
    quiet = dict(batch(200, "audio", split="test"))
    still = scenes.audio.render(
        {name: quiet[name] for name in NAMES} | {"motion": np.zeros(200, np.int32)},
        factors.draws(factors.keys(0, "test", np.arange(200))),
        factors.keys(0, "test", np.arange(200)),
        quiet["audio"].shape[1],
        8000,
    )
    every, told = (
        scenes_coherence.Evaluator("audio", told=told, num_examples=200)(lambda _: {"audio": still}, [true])
        for told in ((), ("shape", "color", "size"))
    )
    assert told["all"]["value"] >= 0.99 and told["all"]["factors"] == 3 and told["motion"] == every["motion"]
    assert every["all"]["value"] == every["motion"]["value"] < 0.3 and every["all"]["factors"] == 4
    with pytest.raises(ValueError, match="a target 'image' shows no 'motion'"):
        scenes_coherence.Evaluator("image", told=("motion",))
