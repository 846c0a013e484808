"""The linear probe against closed forms and scikit-learn, the nearest text, and what baselines refuse."""

import dataclasses
import math

import numpy as np
import pytest
from tiny import ROOT

from mmgen_jax import evaluate, sweep
from mmgen_jax.baselines import base, class_matched, linear_probe, nearest_text
from mmgen_jax.config import loading, override, schema
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError, SweepError
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import Tokenizer
from mmgen_jax.results import cells


@dataclasses.dataclass
class Examples:
    """A source with given rows."""

    rows: dict[str, np.ndarray]
    modalities: dict[str, Modality]

    def __len__(self):
        return len(next(iter(self.rows.values())))

    def read(self, indices, epochs):
        return {name: rows[indices] for name, rows in self.rows.items()}


def test_classes_are_those_of_the_measured_examples(monkeypatch):
    """Training has three in four of class 0, the test split one in four; and two evaluations draw the same."""
    own = {"image": np.arange(80.0)[:, None], "color": np.repeat([0, 1], (60, 20))}
    test = {"image": np.zeros((40, 1)), "color": np.repeat([0, 1], (10, 30))}
    held = {"": Examples(own, {}), "test": Examples(test, {})}
    monkeypatch.setattr(class_matched, "open_source", lambda config, split="", names=(): held[split])
    config = recognition()
    sampler = base.create("class_matched", config, "image")
    order = examples.order(40)

    def drawn():
        sampler.rewind()
        return np.concatenate([sampler({"image": order[i : i + 16]})["image"][:, 0] for i in (0, 16, 32)]).astype(int)

    found = drawn()
    np.testing.assert_array_equal(own["color"][found], test["color"][order])
    np.testing.assert_array_equal(found, drawn())
    of_first = found[own["color"][found] == 0]
    assert len(set(of_first)) == len(of_first) == 10  # 60 to draw from
    assert len(set(found) - set(of_first)) == 20  # 30 draws of 20: each once before one twice
    with config.unlocked():
        del config.evaluators["retrieval"]
    with pytest.raises(ConfigError, match="expected an evaluator with a `label`"):
        base.create("class_matched", config, "image")


def recognition(target="color", **encoders):
    """A config of rendered scenes, 200 to fit and 60 to test."""
    config = schema.base()
    data = {"name": "scenes", "image_size": 16, "num_train": 200, "num_test": 60}
    config.data = data | {"names": ("image", "audio", "color")}
    config.encoders = encoders or {"image": {"name": "image.cnn", "features": 8, "channels": (8,)}}
    config.fusion = {"name": "concat", "features": 8}
    config.objective = {"name": "recognition", "target": target}
    config.optimizers = {"classifier": {"lr": 1e-3}}
    config.evaluators = {
        "accuracy": {"name": "label_accuracy"},
        "retrieval": {"name": "class_retrieval", "label": "color", "ranks": (1,)},
    }
    return config.lock()


def pixels(*rows):
    return np.array(rows, np.float32).reshape(len(rows), 1, -1, 1)


@pytest.fixture
def given(monkeypatch):
    """`given(rows)`: what any config reads is these rows, of images and of the label `color`."""

    def put(rows, num_classes=2):
        images = {k: Modality("image", v.shape[1:]) for k, v in rows.items() if v.ndim == 4}
        modalities = images | {"color": Modality("label", classes=tuple(map(str, range(num_classes))))}
        monkeypatch.setattr(linear_probe, "open_source", lambda *_, **__: Examples(rows, modalities))

    return put


def test_two_points_have_a_closed_form():
    # One pixel, -1 for one class and 1 for the other: the minimum is at weights (-a, a) with sigmoid(-2a) = l2 a.
    weights = linear_probe.fit(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), 2, 1 / (1 + math.e**2))
    np.testing.assert_allclose(weights, [[-1, 1], [0, 0]], atol=1e-4)


def test_biases_are_not_penalised():
    weights = linear_probe.fit(np.zeros((4, 3), np.float32), np.array([0, 0, 0, 1]), 2, 100.0)
    assert weights[-1, 0] - weights[-1, 1] == pytest.approx(math.log(3), abs=1e-4)
    np.testing.assert_allclose(weights[:-1], 0, atol=1e-6)


@pytest.mark.parametrize("l2", [1.0, 1e-3])
def test_the_fit_is_that_of_scikit_learn(l2):
    from sklearn import linear_model

    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=300).astype(np.int32)
    x = rng.normal(size=(4, 20))[labels] + 3 * rng.normal(size=(300, 20))
    weights = linear_probe.fit(x, labels, 4, l2)
    theirs = linear_model.LogisticRegression(C=1 / (l2 * len(x)), tol=1e-8, max_iter=10_000).fit(x, labels)
    np.testing.assert_allclose(weights[:-1], theirs.coef_.T, atol=1e-3)
    ours = (linear_probe.predict(weights, x) == labels).mean()
    assert 0.3 < ours < 1 and ours == pytest.approx(theirs.score(x, labels), abs=0.004)


def test_what_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr(linear_probe, "MAX_STEPS", 1)
    x = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    with pytest.raises(ArithmeticError, match=r"l2 0.001: no minimum after 1 steps"):
        linear_probe.fit(x, (x[:, 0] > x[:, 1]).astype(np.int32), 2, 1e-3)


def noisy(num, seed, noise=100):
    """Two classes that one pixel tells apart, among many that tell nothing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=num).astype(np.int32)
    x = rng.normal(size=(num, 1 + noise)).astype(np.float32)
    x[:, 0] += 4 * labels - 2
    return x, labels


def test_the_strength_is_the_one_that_generalises():
    (x, labels), (others, other_labels) = noisy(200, seed=0), noisy(2000, seed=1)
    fits = [linear_probe.fit(x, labels, 2, l2) for l2 in linear_probe.STRENGTHS]
    accuracies = [(linear_probe.predict(weights, others) == other_labels).mean() for weights in fits]
    best = linear_probe.STRENGTHS[int(np.argmax(accuracies))]
    assert linear_probe.choose_strength(x, labels, 2, seed=0) == best
    assert linear_probe.STRENGTHS[0] > best > linear_probe.STRENGTHS[-1]


def test_of_strengths_as_good_the_strongest_is_taken():
    labels = np.arange(50, dtype=np.int32) % 2
    x = 10 * (2 * labels - 1)[:, None].astype(np.float32)
    assert linear_probe.choose_strength(x, labels, 2, seed=0) == linear_probe.STRENGTHS[0]


@pytest.mark.slow
def test_a_probe_is_measured_as_a_model_is():
    """The whole way, against scikit-learn on the training split that the probe should have read."""
    from sklearn import linear_model

    config = recognition()
    train, test = (open_source(config, split) for split in ("train", "test"))
    rows = [source.read(np.arange(len(source)), np.zeros(len(source), int)) for source in (train, test)]
    x, y = (batch["image"].reshape(len(batch["image"]), -1).astype(np.float64) for batch in rows)
    mean, deviation = x.mean(0), (x - x.mean(0)).std()
    x, y = (x - mean) / deviation, (y - mean) / deviation
    held_out, others = np.split(np.random.default_rng(config.seed).permutation(200), [40])
    labels, wanted = rows[0]["color"], rows[1]["color"]

    def theirs(l2, part):
        model = linear_model.LogisticRegression(C=1 / (l2 * len(part)), tol=1e-6, max_iter=10_000)
        return model.fit(x[part], labels[part])

    scores = [theirs(l2, others).score(x[held_out], labels[held_out]) for l2 in linear_probe.STRENGTHS]
    l2 = linear_probe.STRENGTHS[int(np.argmax(scores))]
    sampler = base.create("linear_probe", config, "color")
    assert np.mean(sampler(rows[1])["color"] == theirs(l2, np.arange(200)).predict(y)) > 0.97
    np.testing.assert_allclose(sampler.embed(rows[1]), y, atol=1e-4)

    metrics = evaluate.run(config, build_system(config, train.modalities), sampler)
    accuracy = metrics["test/accuracy/accuracy"]
    assert accuracy["value"] == np.mean(sampler(rows[1])["color"] == wanted) > accuracy["baseline"] + 0.2
    unit = y / np.linalg.norm(y, axis=1, keepdims=True)
    nearest = np.argmax(unit @ unit.T - 2 * np.eye(60), axis=1)
    assert metrics["test/retrieval/recall@1"]["value"] == np.mean(wanted[nearest] == wanted)
    again = base.create("linear_probe", config, "color")
    np.testing.assert_array_equal(again._probe._fitted[0], sampler._probe._fitted[0])


def test_examples_without_image_or_label_do_not_count(given):
    given({"image": pixels([0.1], [0.3], [0.2], [0.4], [0.5]), "color": np.array([0, 1, 0, 1, 0], np.int32)})
    expected = base.create("linear_probe", recognition(), "color")._probe._fitted
    rows = {"image": pixels([0.1], [np.nan], [0.3], [0.2], [-0.9], [0.4], [0.5]), "image/mask": np.arange(7) != 1}
    rows |= {"color": np.array([0, 1, 1, 0, 1, 1, 0], np.int32), "color/mask": np.arange(7) != 4}
    given(rows)
    sampler = base.create("linear_probe", recognition(), "color")
    for got, wanted in zip(sampler._probe._fitted, expected):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(sampler.embed(rows)[1], [0])  # masked: as the mean


@pytest.mark.parametrize(
    "name, target, encoders, message",
    [
        ("linear_probe", "image", {"audio": {"name": "audio.mfcc"}}, r"expected a label as target, got image"),
        ("linear_probe", "color", {"audio": {"name": "audio.mfcc"}}, r"one image .* conditions, got audio \(audio\)"),
        ("nearest_text", "color", {}, r"nearest_text: expected one text among the conditions, got image \(image\)"),
        ("mean_example", "color", {}, r"mean_example: expected a target of continuous values, got color"),
    ],
)
def test_what_cannot_be_fitted_is_refused(name, target, encoders, message):
    with pytest.raises(ConfigError, match=message):
        base.create(name, recognition(target, **encoders), target)


def test_too_few_examples_are_refused(given):
    given({"image": pixels([0.1], [0.3], [0.2], [0.4]), "color": np.array([0, 1, 0, 1], np.int32)})
    with pytest.raises(ConfigError, match="expected at least 5 training examples with image and color, got 4"):
        base.create("linear_probe", recognition(), "color")({})


def test_two_images_are_refused(given):
    given({"image": pixels([0.1]), "photo": pixels([0.1]), "color": np.zeros(1, np.int32)})
    cnn = {"name": "image.cnn", "features": 8, "channels": (8,)}
    with pytest.raises(ConfigError, match=r"one image .* got image \(image\), photo \(image\)"):
        base.create("linear_probe", recognition(image=cnn, photo=cnn), "color")


def test_methods_that_a_baseline_lacks_are_refused(monkeypatch):
    monkeypatch.setattr(linear_probe, "fit", lambda *_: pytest.fail("a probe was fitted"))
    names = ("linear_probe", "training_examples")
    probe, examples = (base.create(name, recognition(), "color") for name in names)
    lacking = {probe: ("reconstruct", "embed_pair", "elbo"), examples: ("embed", "embed_pair", "elbo")}
    for sampler, methods in lacking.items():
        assert sampler.supports("sample")
        for method in methods:
            assert not sampler.supports(method)
            with pytest.raises(ConfigError, match=r"it has no .*; use a config without the evaluator `\w+`"):
                getattr(sampler, method)({})
    assert probe.supports("embed") and examples.supports("reconstruct")


def test_a_sweep_refuses_what_cannot_be_fitted_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(linear_probe, "fit", lambda *_: pytest.fail("a probe was fitted"))
    file = tmp_path / "sweep.py"
    entry = {"config": "configs/quickstart.py", "baseline": "linear_probe", "seeds": (0,)}
    file.write_text(f"def cells():\n    return [{entry!r}]\n")
    with pytest.raises(SweepError, match="linear_probe: expected a label as target, got image"):
        sweep.check(cells.load(file))


NAMES = ("red apple", "green apple", "green pear", "a pear and a pear", "")


@pytest.fixture
def named(monkeypatch):
    """`named(**masks)`: a baseline of five named pictures, the n-th all n, and the batch of given names."""

    def make(seed=0, **masks):
        tokenizer = Tokenizer("word", ("red", "green", "apple", "pear", "a", "and"), open=True)
        modalities = {"text": Modality("text", (8,), tokenizer=tokenizer), "image": Modality("image", (1, 1, 1))}

        def encode(*names):
            return np.stack([tokenizer.encode(name, 8) for name in names])

        rows = {"text": encode(*NAMES), "image": np.arange(5, dtype=np.float32).reshape(-1, 1, 1, 1)}
        rows |= {f"{name}/mask": np.array(mask) for name, mask in masks.items()}
        monkeypatch.setattr(nearest_text, "open_source", lambda *_, **__: Examples(rows, modalities))
        config = override.override(loading.load(f"{ROOT}/configs/text_to_image_gan.py"), {"seed": seed})
        baseline = base.create("nearest_text", config, "image")
        return lambda *names, **more: baseline({"text": encode(*names), **more})["image"].ravel().tolist()

    return make


def test_the_nearest_text_shares_the_rarest_words(named):
    draw = named()
    assert draw("red apple", "an apple that is red", "green pear") == [0, 0, 2]
    assert draw("pear", "red pear") == [2, 0]  # more of that name is a pear; "red" is rarer than "pear"
    # By scikit-learn, whose smoothed tf-idf is this one.
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+").fit(NAMES)
    asked = ["green", "a red pear", "green apple and pear", "a green"]
    cosines = (vectorizer.transform(asked) @ vectorizer.transform(NAMES).T).toarray()
    np.testing.assert_allclose(cosines[np.arange(4), np.array(draw(*asked), int)], cosines.max(1), rtol=1e-6)
    assert (cosines.max(1) > cosines.min(1)).all()


def test_texts_that_share_nothing_go_by_the_seed(named):
    drawn = {named(seed)("unheard of")[0] for seed in range(40)}
    assert drawn == {0, 1, 2, 3, 4}
    draw = named()
    assert len(set(draw("unheard of", "", "another"))) == 1
    assert draw("red apple", **{"text/mask": np.array([False])}) == draw("")


def test_examples_without_text_or_target_are_not_drawn(named):
    assert named(image=[False, True, True, True, True])("red apple") == [1]
    assert named(text=[True, True, False, True, True])("green pear")[0] in (1, 3)
    with pytest.raises(ConfigError, match="expected training examples with text and image, got none"):
        named(text=[False] * 5)("red")


def test_the_source_stands_for_the_target():
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image",), "image_size": 16}
    config.derived = {"photo": {"name": "blur", "of": "image"}, "grey": {"name": "grey", "of": "image"}}
    config.aligned = ("photo", "grey")
    batch = open_source(config, "test").read(np.arange(4), np.zeros(4, int))
    np.testing.assert_array_equal(base.create("source", config, "image")(batch)["image"], batch["photo"])
    for aligned, got in ((("grey",), r"grey \[16, 16, 1\]"), ((), "none")):
        config.aligned = aligned
        with pytest.raises(ConfigError, match=rf"one aligned source of the target's shape \[16, 16, 3\], got {got}"):
            base.create("source", config, "image")
