"""Translations judged: by hand-made translators whose answers are known."""

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators.judges import image
from mmgen_jax.evaluators.measures import examples

DIGITS = {"name": "small_digits", "of": "image", "image_size": 16}
DATA = {"name": "unpaired", "sets": {"plain": DIGITS, "moved": {**DIGITS, "border": 2}}}
SHORT = image.Training(steps=150, batch_size=64)


def evaluator(**fields):
    config = {"name": "translation_accuracy", "source": "plain", "target": "moved", "training": SHORT, **fields}
    return lookup.build("evaluators", config, data=DATA)


def measured(translate, num_examples=1000, **fields):
    source = lookup.build("data", DATA, split="test")
    return evaluator(num_examples=num_examples, **fields)(
        lambda batch: {"moved": translate(batch)}, examples.batches(source, 64)
    )


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_a_split_without_a_source_is_told():
    batch = {"plain": np.zeros((2, 16, 16, 1), np.float32), "moved": np.zeros((2, 16, 16, 1), np.float32)}
    batch |= {"plain_digit": np.zeros(2, np.int32), "plain/mask": np.zeros(2, bool)}
    with pytest.raises(InputError, match="no example of the split has 'plain'"):
        evaluator()._collect(lambda batch: batch, [batch])


@pytest.mark.slow
def test_the_truth_is_of_the_domain_and_keeps_the_digit():
    entries = measured(lambda batch: batch["moved"])  # in the test split of one set, the other side is the truth
    assert set(entries) == {"domain", "kept"}
    domain, kept = entries["domain"], entries["kept"]
    assert domain["n"] == kept["n"] == 400
    assert domain["value"] == domain["reference"] > 0.95 and domain["baseline"] < 0.05 and domain["chance"] == 0.5
    assert domain["judge_accuracy"] > 0.95 and domain["judge_trained_on"]["source"] == "domains"
    assert kept["value"] == kept["judge_accuracy"] == kept["reference"] > 0.85 and kept["chance"] == 0.1
    assert kept["interval"][0] < kept["value"] < kept["interval"][1]
    assert kept["judge"] != domain["judge"]


@pytest.mark.slow
def test_no_translation_and_exchanged_digits_are_found():
    untouched = measured(lambda batch: batch["plain"])
    assert untouched["domain"]["value"] == untouched["domain"]["baseline"] < 0.05
    assert untouched["kept"]["value"] == untouched["kept"]["baseline"]
    exchanged = measured(lambda batch: np.roll(batch["moved"], 1, axis=0))
    assert exchanged["domain"]["value"] > 0.95 and exchanged["kept"]["value"] < 0.3


def test_each_example_counts_once_whatever_the_batches_repeat():
    source = lookup.build("data", DATA, split="test")
    batches = [source.read(np.array(rows), np.zeros(len(rows), int)) for rows in ([0, 1, 0, 2], [1, 3], [2, 0])]
    sizes = []

    def translate(batch):
        sizes.append(len(batch["plain"]))
        return {"moved": batch["moved"]}

    assert evaluator()(translate, batches)["kept"]["n"] == 4 and sizes == [3, 1]
    assert evaluator(num_examples=3)(translate, batches)["kept"]["n"] == 3


def test_what_it_cannot_judge_is_refused():
    with pytest.raises(ConfigError, match=r"no set 'other' in config\.data; its sets: plain, moved"):
        evaluator(target="other")
    with pytest.raises(ConfigError, match="its sets: none; use the data source 'unpaired'"):
        lookup.build("evaluators", {"name": "translation_accuracy", "source": "a", "target": "b"}, data={"name": "x"})
    assert evaluator().names == ("plain_digit",)
    batch = {"plain": np.zeros((1, 8, 8, 1)), "moved": np.zeros((1, 8, 8, 1))}
    evaluator().check(batch, ())
    with pytest.raises(ConfigError, match=r"expected sets of one shape, got plain \[8, 8, 1\], moved \[9, 8, 1\]"):
        evaluator().check(batch | {"moved": np.zeros((1, 9, 8, 1))}, ())
