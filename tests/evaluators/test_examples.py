"""Which examples of a sorted split are measured, and how they are cut in halves and pairs."""

import types
from typing import ClassVar

import numpy as np
import pytest

from mmgen_jax import evaluate, lookup
from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.evaluators.measures import examples, nearest
from mmgen_jax.evaluators.ms_ssim import ms_ssim
from mmgen_jax.modalities.modality import Modality

RNG = np.random.default_rng(0)


class Sorted:
    """400 examples of 10 classes, sorted by class; `image` holds the class, `number` the place in the split."""

    modalities: ClassVar = {"digit": Modality("label", (), classes=tuple("0123456789"))}

    def __len__(self):
        return 400

    def read(self, indices, epochs):
        label = (indices // 40).astype(np.int32)
        return {"digit": label, "image": np.float32(label)[:, None], "number": indices}


def test_examples_with_a_recording_in_common_are_told():
    sounds = np.float32([0, 1, 0, 2, 1, 0])[:, None]
    batch = {"audio": sounds, "image": np.zeros((6, 2), np.float32), "digit": np.arange(6)}
    batch |= {"digit/mask": np.arange(6) != 1, "audio/mask": np.arange(6) < 4}
    shared = examples.Shared(("audio", "absent"), ("digit",))
    halves = [{name: rows[part] for name, rows in batch.items()} for part in (slice(0, 4), slice(4, 6))]
    samples, _ = examples.collect(lambda batch: batch, shared.watch(halves), "audio", ("digit",), 4)
    (numbers,) = shared.groups(len(samples))  # of the examples 0, 2, 3, 4
    assert numbers[0] == numbers[1] and len(set(numbers)) == 3  # the masked recording of example 4 is its own
    assert examples.same(sounds).tolist() == [0, 1, 0, 2, 1, 0]


def test_a_split_is_read_once_in_one_random_order():
    read = [
        np.concatenate([batch["number"] for batch in examples.batches(Sorted(), batch_size=size)]) for size in (7, 64)
    ]
    np.testing.assert_array_equal(*read)
    np.testing.assert_array_equal(read[0], examples.order(400))
    np.testing.assert_array_equal(np.sort(read[0]), np.arange(400))
    assert set(read[0][:60] // 40) == set(range(10))  # few examples of a sorted split have every class


@pytest.mark.parametrize("seed", [0, 5])
def test_every_evaluator_gets_that_order_whatever_the_seed_of_the_run(seed):
    seen = {}

    def evaluator(name):
        def measure(_, batches):
            seen[name] = np.concatenate([batch["number"] for batch in batches])
            return {}

        return measure

    sampler = types.SimpleNamespace(batch_size=8, rewind=lambda: None)
    config = types.SimpleNamespace(seed=seed)
    built = [evaluate.Built(name, evaluator(name), "test", Sorted(), config) for name in ("first", "second")]
    evaluate.run(config, None, sampler, built=built)
    for numbers in seen.values():
        np.testing.assert_array_equal(numbers, examples.order(400))


@pytest.mark.parametrize("num", [2, 3, 200])
def test_others_are_other_examples(num):
    for seed in range(20):
        found = examples.others(num, seed)
        assert (found != np.arange(num)).all() and np.array_equal(np.sort(found), np.arange(num))
    assert examples.others(1, 0) == [0]


def test_the_examples_of_a_baseline_are_those_that_the_model_has():
    fields = {"name": "scenes", "num_train": 200, "num_test": 8, "image_size": 16}
    names = ("text", "image")
    some = examples.trained_on(fields | {"fraction": 0.1}, names, seed=3)
    assert (len(some), len(examples.trained_on(fields, names, seed=3))) == (20, 200)
    config = schema.base()
    config.seed, config.data = 3, {**fields, "names": names, "fraction": 0.1}
    rows = np.arange(20)
    np.testing.assert_array_equal(some.read(rows, 0 * rows)["image"], open_source(config).read(rows, 0 * rows)["image"])


def test_halves_share_nothing_and_are_not_stratified():
    labels = np.repeat(np.arange(10), 41)[:409]  # 41 of each class, 40 of the last
    first, second = examples.halves(np.arange(409))
    assert len(first) == len(second) == 204 and len(np.union1d(first, second)) == 408
    counts = np.array([np.bincount(labels[half], minlength=10) for half in (first, second)])
    assert np.abs(counts - 20.5).max() > 1.5  # every other example would have 20 or 21 of each class


def test_pairs_of_sorted_pictures_are_random():
    """Two kinds of picture: neighbours of the sorted split are of one kind, a random pair in half of the cases."""
    kinds = RNG.uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32)
    real = kinds.repeat(100, axis=0)
    evaluator = lookup.build("evaluators", {"name": "ms_ssim", "target": "image"})
    entry = evaluator(lambda batch: batch, [{"image": real}])["ms_ssim"]
    apart = float(ms_ssim(kinds[:1], kinds[1:])[0])
    share = (1 - entry["reference"]) / (1 - apart)  # of pairs of two kinds
    assert apart < 0.5 and 0.35 < share < 0.65 and entry["value"] == entry["reference"]


def test_the_nearest_of_some_training_examples_may_be_of_any_class():
    queries = np.arange(10, dtype=np.float32)[:, None]
    found = nearest.captions(Sorted(), "image", "digit", queries, num_train=100)
    np.testing.assert_array_equal(found, np.arange(10))
