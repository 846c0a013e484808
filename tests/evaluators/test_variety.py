"""The spread of samples within a condition, on models whose spread is known."""

import numpy as np
import pytest

from mmgen_jax.evaluators import variety


def batches(count=200, size=50):
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.5, 0.5, (count, 4, 4, 3)).astype(np.float32)
    mask = np.arange(count) % 5 != 0
    images[~mask] = 99.0  # what a masked example holds must not count
    for start in range(0, count, size):
        rows = slice(start, start + size)
        yield {"image": images[rows], "image/mask": mask[rows], "text": np.arange(count)[rows, None]}


def test_the_spread_is_that_of_the_models_noise():
    rng, asked = np.random.default_rng(1), []

    def noisy(batch):
        asked.append(batch["text"][:, 0])
        mean = np.sin(batch["text"]).reshape(-1, 1, 1, 1)  # differs between conditions, which must not count
        return {"image": 0.3 * mean + 0.1 * rng.normal(size=(len(mean), 4, 4, 3))}

    (entry,) = variety.Evaluator("image", num_conditions=60, num_samples=8)(noisy, batches()).values()
    assert entry["value"] == pytest.approx(0.05, rel=0.05)  # of pixels in [0, 1]
    assert entry["n"] == 60 and entry["interval"][0] < entry["value"] < entry["interval"][1]
    assert entry["reference"] == pytest.approx(0.5 / np.sqrt(12), rel=0.05)  # of the uniform distribution
    asked = np.concatenate(asked).reshape(60, 8)
    assert (asked == asked[:, :1]).all()
    np.testing.assert_array_equal(asked[:, 0], [i for i in range(75) if i % 5][:60])  # those that are not masked


def test_a_model_that_ignores_its_noise_has_none():
    (entry,) = variety.Evaluator("image", num_conditions=10)(
        lambda batch: {"image": batch["image"]}, batches()
    ).values()
    assert entry["value"] == 0 and entry["reference"] > 0.1


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="num_samples from 2"):
        variety.Evaluator("image", num_samples=1)
    with pytest.raises(ValueError, match="expected at least 2 examples with image, got 1"):
        variety.Evaluator("image")(lambda batch: batch, [{"image": np.zeros((1, 4, 4, 3))}])
