import numpy as np
import pytest
from local_sets import assert_disjoint, read
from sklearn.datasets import load_digits

from mmgen_jax.data import small_digits
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import modality


def test_no_held_out_digit_has_a_twin_in_training():
    sizes = assert_disjoint(
        small_digits.Source, lambda source, row: read(source, [row])["image"].tobytes(), names=("image",), image_size=8
    )
    assert sizes == {"train": 1197, "validation": 200, "test": 400}


def test_digits_are_those_of_scikit_learn():
    every = load_digits()
    known = {image.astype(np.float32).tobytes(): label for image, label in zip(every.images, every.target)}
    for split in small_digits.Source.splits:
        source = small_digits.Source(split=split, image_size=8)
        batch = read(source, range(len(source)))
        modality.check_batch(batch, source.modalities)
        ink = np.round((batch["image"][..., 0] + 1) * 8).astype(np.float32)
        assert [known[image.tobytes()] for image in ink] == batch["digit"].tolist()
        assert np.bincount(batch["digit"], minlength=10).min() > len(source) / 20


def test_enlarged_digits_keep_their_place():
    small, large = (read(small_digits.Source(split="test", image_size=size), range(50)) for size in (8, 32))
    np.testing.assert_array_equal(small["digit"], large["digit"])
    areas = large["image"].reshape(50, 8, 4, 8, 4, 1).mean((2, 4))
    assert np.corrcoef(areas.ravel(), small["image"].ravel())[0, 1] > 0.97
    bordered = read(small_digits.Source(split="test", image_size=40, border=4), range(50))["image"]
    np.testing.assert_array_equal(bordered[:, 4:-4, 4:-4], large["image"])
    assert np.all(bordered[:, :4] == -1) and np.all(bordered[:, :, -4:] == -1)
    assert large["image"].min() == -1 and large["image"].max() <= 1


@pytest.mark.parametrize("fields", [{"split": "dev"}, {"names": ("text",)}, {"image_size": 28, "border": 11}])
def test_what_the_set_lacks_is_refused(fields):
    with pytest.raises(ConfigError, match="small_digits"):
        small_digits.Source(**fields)
