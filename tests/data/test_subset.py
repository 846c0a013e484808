"""`config.data.fraction` and `config.data.part`: which examples a run trains on."""

import numpy as np
import pytest

from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data import pipeline
from mmgen_jax.data.subset import Half


def config(fraction, seed=0):
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image", "color"), "image_size": 16, "num_train": 200, "num_test": 40}
    config.data.fraction = fraction
    config.seed = seed
    return config


def images(source, **fields):
    read = source.read(np.arange(len(source)), np.zeros(len(source), np.int64))
    return {image.tobytes(): int(color) for image, color in zip(read["image"], read["color"])}


def test_a_fraction_holds_examples_of_the_whole_and_smaller_ones_are_parts_of_larger_ones():
    small, large, whole = (images(open_source(config(fraction))) for fraction in (0.05, 0.251, 1.0))
    assert (len(small), len(large), len(whole)) == (10, 51, 200)
    assert small.items() <= large.items() <= whole.items()


def test_the_draw_is_the_seeds():
    source = open_source(config(0.1))  # scenes themselves differ with the seed, so the rows are compared
    rows = [open_source(config(0.1, seed))._rows.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2] and len(set(rows[0])) == 20 == len(source)


def test_splits_that_measure_are_whole():
    assert len(open_source(config(0.1), "test")) == len(open_source(config(1.0), "test")) == 40


def test_it_is_a_source_to_the_pipeline():
    source = open_source(config(0.1))
    assert set(source.modalities) == {"image", "color"} and source.split == "train"
    batches = pipeline.batches(source, batch_size=10, seed=0, epochs=2, num_threads=0)
    seen = [image.tobytes() for batch in batches for image in batch["image"]]
    assert sorted(seen[:20]) == sorted(seen[20:]) == sorted(images(source))
    with pytest.raises(ValueError, match="at least batch_size = 32 examples, got 20"):
        pipeline.batches(source, batch_size=32, seed=0)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_an_impossible_fraction_is_refused(fraction):
    expected = f"config.data.fraction: expected a number, above 0 and at most 1, got {fraction}"
    with pytest.raises(ValueError, match=expected):
        open_source(config(fraction))


def part(name, fraction=1.0):
    small = config(fraction)
    small.data.part = name
    return small


def test_the_two_parts_are_the_whole_and_share_nothing():
    first, second, whole = (images(open_source(part(name))) for name in ("first", "second", ""))
    assert first | second == whole and not first.keys() & second.keys() and 70 < len(first) < 130
    fewer = images(open_source(part("first", 0.1)))
    assert fewer.items() <= first.items() and len(fewer) == np.ceil(0.1 * len(first))
    assert len(open_source(part("first"), "test")) == 40
    assert len(open_source(part("first", 0.1)).whole) == 200  # which a fingerprint is taken of


def test_a_family_is_in_one_part():
    class Source:
        families = [f"family {i // 3}" for i in range(300)]

        def __len__(self):
            return 300

        def read(self, indices, epochs):
            return {"family": np.asarray(indices) // 3}

    halves = [Half(Source(), name) for name in ("first", "second")]
    found = [set(half.read(np.arange(len(half)), None)["family"]) for half in halves]
    assert not found[0] & found[1] and len(found[0]) + len(found[1]) == 100
    assert all(len(half) == 3 * len(families) for half, families in zip(halves, found))


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"data.part: expected first or second, got 'third'"):
        open_source(part("third"))
