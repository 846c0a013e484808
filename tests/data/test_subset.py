"""`config.data.fraction`: which examples a run trains on."""

import numpy as np
import pytest

from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data import pipeline


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
    with pytest.raises(ValueError, match=r"data.fraction: expected above 0 and at most 1"):
        open_source(config(fraction))
