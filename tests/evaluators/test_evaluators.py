"""The judge and the evaluators on data whose answers are known."""

import gzip
import json
import types

import dm_pix
import numpy as np
import pytest
import tiny
from skimage.metrics import structural_similarity

from mmgen_jax import evaluate, lookup
from mmgen_jax.config import schema
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import bits_per_sample
from mmgen_jax.evaluators.judges import classifier, image
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.evaluators.measures.fidelity import measure
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.representations import identity, mu_law
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import parallel, state

RNG = np.random.default_rng(0)
SCENES = {"name": "scenes", "names": ("text", "image"), "num_train": 4000, "num_test": 240, "image_size": 16}
SHORT = image.Training(steps=120, batch_size=64)


def batches(arrays, size=50):
    total = len(next(iter(arrays.values())))
    for start in range(0, total, size):
        yield {name: rows[start : start + size] for name, rows in arrays.items()}


@pytest.fixture(scope="module")
def cached_judge(tmp_path_factory):
    """A judge of the colour of scenes, in a cache of its own: `(judge, Evaluator fields, test arrays)`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        source = lookup.build("data", SCENES | {"split": "test", "names": ("image", "color")})
        test = source.read(np.arange(240), np.zeros(240, np.int64))
        fields = {"data": SCENES, "target": "image", "label": "color", "training": SHORT}
        yield classifier.load(SCENES, "image", "color", SHORT), fields, test


def test_judge_learns_reports_its_own_accuracy_and_is_cached(cached_judge, monkeypatch):
    judge, _, test = cached_judge
    logits, features = judge.predict(test["image"], batch_size=64)  # 240 is no multiple of 64
    assert logits.shape == (240, 6) and features.shape == (240, image.NUM_FEATURES) and features.min() == 0
    assert judge.accuracy == (logits.argmax(-1) == test["color"]).mean() > 0.6 and judge.num_test == 240
    np.testing.assert_allclose(judge.predict(test["image"][:5])[1], features[:5], rtol=1e-4, atol=1e-5)

    monkeypatch.setattr(classifier, "train", None)  # the second load must not train
    again = classifier.load(SCENES, "image", "color", SHORT)
    assert again.hash == judge.hash and again.classes == judge.classes and len(judge.hash) == 12
    np.testing.assert_array_equal(again.predict(test["image"])[0], judge.predict(test["image"])[0])


@pytest.mark.parametrize("change", [{"seed": 5}, {"num_train": 3999}])
def test_another_data_set_or_training_is_another_judge(cached_judge, monkeypatch, change):
    def train(*_):
        raise RuntimeError("trains")

    monkeypatch.setattr(classifier, "train", train)
    with pytest.raises(RuntimeError, match="trains"):
        classifier.load(SCENES | change, "image", "color", SHORT)
    with pytest.raises(RuntimeError, match="trains"):
        classifier.load(SCENES, "image", "color", image.Training(steps=121, batch_size=64))


@pytest.mark.slow
def test_a_run_on_a_fraction_of_another_seed_is_measured_by_the_same_judge(cached_judge, monkeypatch):
    judge = cached_judge[0]
    monkeypatch.setattr(classifier, "train", None)  # it is in the cache
    small = tiny.config("gan")
    with small.unlocked():
        small.seed, small.parallel.num_devices = 7, 1
        small.data = SCENES | {"fraction": 0.01}
        small.evaluators = {"accuracy": {"name": "classifier_accuracy", "num_examples": 16}}
        small.evaluators.accuracy.update({"label": "color", "training": SHORT})
    training = tiny.Training(small)
    assert len(training.source) == 40
    sampler = Sampler(training.system, parallel.create("jit", 8, num_devices=1), batch_size=8)
    sampler.load(*state.averaged(training.run(0)[0]))
    entry = evaluate.run(small, training.system, sampler)["test/accuracy/accuracy"]
    assert entry["judge"] == judge.hash and entry["n"] == 16
    assert entry["judge_trained_on"] == {"source": "scenes", "split": "train", "examples": 4000}
    assert entry["shares_training_items"] is None  # seed 7 renders other pictures: none of those compared is shared


@pytest.mark.slow
def test_training_is_deterministic_from_its_seed():
    sources = [lookup.build("data", SCENES | {"split": s, "names": ("image", "color")}) for s in ("train", "test")]
    hashes = [
        classifier.train(*sources, "image", "color", image.Training(steps=2, batch_size=16, seed=seed)).hash
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


class Mnist:
    """The canonical files of a part, `train` or `t10k`, as a source."""

    def __init__(self, folder, part):
        pixels, labels = (
            np.frombuffer(gzip.decompress((folder / f"{part}-{field}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
            for field, offset in (("images-idx3", 16), ("labels-idx1", 8))
        )
        self.images, self.labels = pixels.reshape(-1, 28, 28, 1), labels.astype(np.int32)
        digit = Modality("label", (), classes=tuple("0123456789"))
        self.modalities = {"image": Modality("image", (28, 28, 1)), "digit": digit}

    def __len__(self):
        return len(self.images)

    def read(self, indices, epochs):
        return {"image": (self.images[indices] / 127.5 - 1).astype(np.float32), "digit": self.labels[indices]}


@pytest.mark.slow
def test_judge_of_handwritten_digits_is_good(mmgen_data):
    sources = [Mnist(mmgen_data / "tfds" / "mnist", part) for part in ("train", "t10k")]
    judge = classifier.train(*sources, "image", "digit", image.Training(steps=350))  # the default's 1400: 99.4 %
    assert judge.accuracy > 0.985 and judge.num_test == 10_000


def test_classifier_accuracy_counts_what_was_asked(cached_judge):
    judge, fields, test = cached_judge
    evaluator = lookup.build("evaluators", {"name": "classifier_accuracy", "num_examples": 120, **fields})
    assert evaluator.names == ("color",) and evaluator.splits == ("test",)
    entry = evaluator(lambda batch: {"image": batch["image"]}, batches(test))["accuracy"]
    right = judge.predict(test["image"][:120])[0].argmax(-1) == test["color"][:120]
    assert entry["n"] == 120 and entry["value"] == entry["reference"] == right.mean()
    assert entry["interval"][0] < entry["value"] <= entry["interval"][1] and entry["chance"] == 1 / 6
    first = test["color"][:120] == 0
    assert entry["per_class"][judge.classes[0]] == right[first].mean()
    assert entry["judge"] == judge.hash and entry["judge_accuracy"] == judge.accuracy

    rolled = evaluator(lambda batch: {"image": np.roll(batch["image"], 1, axis=0)}, batches(test))["accuracy"]
    assert rolled["value"] < 0.5 < rolled["reference"]
    json.dumps(entry, allow_nan=False)


def test_classifier_frechet_orders_copies_noise_and_collapse(cached_judge):
    judge, fields, test = cached_judge
    evaluator = lookup.build("evaluators", {"name": "classifier_frechet", **fields})

    def measured(sample):
        return evaluator(lambda batch: {"image": sample(batch["image"])}, batches(test))

    copies = measured(lambda x: x)
    noise = measured(lambda x: np.clip(x + RNG.normal(size=x.shape), -1, 1).astype(np.float32))
    collapse = measured(lambda x: np.repeat(x[:1], len(x), axis=0))
    assert copies["frechet_distance"]["value"] == pytest.approx(0, abs=1e-6)
    assert copies["precision"]["value"] == copies["recall"]["value"] == 1
    for worse in (noise, collapse):
        assert worse["frechet_distance"]["value"] > worse["frechet_distance"]["reference"] > 0
        assert worse["kernel_distance"]["value"] > worse["kernel_distance"]["reference"]
    assert collapse["recall"]["value"] < 0.3 < collapse["precision"]["value"]
    for entry in noise.values():
        assert entry["n"] == 240 and entry["judge"] == judge.hash
    json.dumps(noise, allow_nan=False)


def test_a_translation_is_measured_by_features_beside_its_error(cached_judge, monkeypatch):
    judge = cached_judge[0]
    monkeypatch.setattr(classifier, "train", None)
    config = schema.base()
    config.data, config.derived, config.aligned = SCENES, {"grey": {"name": "grey", "of": "image"}}, ("grey",)
    config.objective, config.generator = {"name": "regression", "target": "image"}, {"name": "translation", "width": 4}
    config.optimizers, config.parallel.num_devices = {"generator": {"lr": 1e-3}}, 1
    config.evaluators = {
        "features": {"name": "classifier_frechet", "label": "color", "num_examples": 24, "training": SHORT},
        "error": {"name": "reconstruction", "num_examples": 24},
    }
    training = tiny.Training(tiny.shrink(config.lock()))
    sampler = Sampler(training.system, parallel.create("jit", 8, num_devices=1), batch_size=8)
    sampler.load(*state.averaged(training.run(0)[0]))
    entries = evaluate.run(config, training.system, sampler)
    distance, l1 = entries["test/features/frechet_distance"], entries["test/error/l1"]
    assert distance["n"] == l1["n"] == 24 and distance["judge"] == judge.hash
    assert distance["value"] > distance["reference"] and l1["value"] > 0.02  # it is not trained


@pytest.mark.parametrize("shape", [(16, 20, 3), (4, 16, 16, 1)])
def test_reconstruction_measures_as_dm_pix_does(shape):
    evaluator = lookup.build("evaluators", {"name": "reconstruction", "target": "view"})
    real = RNG.uniform(-1, 1, (30, *shape)).astype(np.float32)
    noise = RNG.normal(0, 0.1, real.shape).astype(np.float32)
    fakes = np.clip(real + noise, -1, 1)
    samples = iter(np.split(fakes, 3))
    entries = evaluator(lambda batch: {"view": next(samples)}, batches({"view": real}, 10))
    a, b = (x.reshape(30, -1, *shape[-2:]) / 2 + 0.5 for x in (fakes, real))  # the frames of a clip above each other
    assert entries["psnr"]["value"] == pytest.approx(float(np.mean(dm_pix.psnr(a, b))), rel=1e-5)
    frames = (x.reshape(-1, *shape[-3:]) / 2 + 0.5 for x in (fakes, real))
    assert entries["ssim"]["value"] == pytest.approx(float(np.mean(dm_pix.ssim(*frames))), rel=1e-4)
    assert entries["mse"]["value"] == pytest.approx(np.mean((a - b) ** 2), rel=1e-5)
    assert entries["mse"]["baseline"] == pytest.approx(np.mean((b - b.mean(0)) ** 2), rel=1e-4)
    assert entries["psnr"]["value"] > entries["psnr"]["baseline"] and entries["psnr"]["n"] == 30


@pytest.mark.parametrize("clip", [False, True])
def test_ssim_is_scikit_images_even_of_nearly_flat_pictures(clip):
    noise = RNG.uniform(-1, 1, (2, 2, 24, 19, 3)).astype(np.float32)
    b = (1e-3 * noise + 0.9).astype(np.float32)
    a = (b + 1e-3 * noise[::-1]).astype(np.float32)
    values = measure(a, b)["ssim"] if clip else np.concatenate([measure(x, y)["ssim"] for x, y in zip(a, b)])
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    expected = [
        [
            structural_similarity(*(p.astype(float) / 2 + 0.5 for p in pair), channel_axis=-1, **options)
            for pair in zip(*c)
        ]
        for c in zip(a, b)
    ]
    np.testing.assert_allclose(values, np.mean(expected, 1) if clip else np.ravel(expected), rtol=0, atol=1e-7)


def test_reconstruction_of_a_copy_is_finite_and_may_see_the_target():
    evaluator = lookup.build("evaluators", {"name": "reconstruction", "target": "image", "from_target": True})
    sampler = types.SimpleNamespace(reconstruct=lambda batch: {"image": batch["image"]})
    small = RNG.uniform(-1, 1, (6, 8, 8, 1)).astype(np.float32)
    entries = evaluator(sampler, batches({"image": small}))
    assert entries["psnr"]["value"] == 100 and entries["mse"]["value"] == 0 and "ssim" not in entries  # 8 px < 11


def test_reconstruction_refuses_other_shapes():
    evaluator = lookup.build("evaluators", {"name": "reconstruction", "target": "image"})
    wrong = {"image": np.zeros((4, 8, 8, 1), np.float32)}
    with pytest.raises(ValueError, match="one shape"):
        evaluator(lambda batch: {"image": batch["image"][:, :4]}, batches(wrong))


def test_likelihood_is_the_mean_bound_in_nats_and_bits():
    evaluator = lookup.build("evaluators", {"name": "likelihood", "target": "image", "num_examples": 30})
    nats = np.linspace(-900, -1000, 40).astype(np.float32)
    arrays = {"image": np.zeros((40, 4, 5, 3), np.float32), "id": np.arange(40)}
    sampler = types.SimpleNamespace(elbo=lambda batch: nats[batch["id"]])
    entries = evaluator(sampler, batches(arrays, 20))
    assert entries["elbo"]["value"] == pytest.approx(nats[:30].mean()) and entries["elbo"]["n"] == 30
    assert entries["elbo"]["standard_error"] == pytest.approx(nats[:30].std(ddof=1) / np.sqrt(30), rel=1e-6)
    bits = entries["bits_per_dimension"]
    assert bits["value"] == pytest.approx(-nats[:30].mean() / np.log(2) / 60) and bits["dimensions"] == 60


def test_bits_of_other_codes_or_of_other_samples_than_the_models_are_refused():
    evaluator = bits_per_sample.Evaluator("sound", pause=5)
    modality = Modality("audio", (80,), sample_rate=800)
    code = mu_law.Representation(modality=modality)
    evaluator.check_model(types.SimpleNamespace(code=code, pause=5))
    with pytest.raises(ConfigError, match="pause: expected that of the objective, None, got 5"):
        evaluator.check_model(types.SimpleNamespace(code=code, pause=None))
    with pytest.raises(ConfigError, match="representation 'mu_law'; use `likelihood`"):
        evaluator.check_model(types.SimpleNamespace(code=identity.Representation(modality=modality), pause=5))


def test_collect_leaves_out_masked_examples_and_stops():
    masks = np.tile([True, False], 20)
    arrays = {"image": np.arange(40.0), "image/mask": masks, "digit": np.arange(40)}
    seen = []

    def sample(batch):
        seen.append(len(batch["image"]))
        return {"image": -batch["image"]}

    samples, true = examples.collect(sample, batches(arrays, 8), "image", ("image", "digit"), 10)
    np.testing.assert_array_equal(true["digit"], np.arange(0, 20, 2))
    np.testing.assert_array_equal(samples, -true["image"])
    assert seen == [8, 8, 8]  # no batch is sampled that is not needed
    with pytest.raises(ValueError, match="got none"):
        examples.collect(sample, batches(arrays | {"image/mask": masks & False}), "image", ("image",), 10)
