"""PolyMNIST of this project: what the views share and what they do not, in any order of reading."""

import pickle

import numpy as np

from mmgen_jax.data import digits, polymnist
from mmgen_jax.modalities.modality import check_batch


def test_views_share_the_class_and_each_has_its_photo(mmgen_data):
    source = polymnist.Source(split="test")
    indices = np.arange(40)
    batch = source.read(indices, np.zeros(40, int))
    check_batch(batch, source.modalities)
    mnist = digits.Source("test", ("image", "digit"))
    one = mnist.read(indices, np.zeros(40, int))
    np.testing.assert_array_equal(batch["digit"], one["digit"])
    # Beside the ink the first view is a crop of its photo, under it the same with inverted colours.
    photo = polymnist.photos()
    windows = np.lib.stride_tricks.sliding_window_view(photo[0], (28, 28), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    for i in range(3):
        plain = np.where(one["image"][i] > 0, -batch["view_0"][i], batch["view_0"][i])
        assert np.abs(windows - plain).max(axis=(2, 3, 4)).min() < 1e-6
    assert all(np.abs(photo[i] - photo[j]).mean() > 0.05 for i in range(5) for j in range(i))
    np.testing.assert_array_equal(batch["view"][7], batch["view_2"][7])
    shuffled = pickle.loads(pickle.dumps(source)).read(np.array([30, 4]), np.array([2, 9]))
    for name in polymnist.VIEWS:
        np.testing.assert_array_equal(shuffled[name], batch[name][[30, 4]])
    other = polymnist.Source(split="test", seed=1).read(indices, np.zeros(40, int))
    assert np.any(other["view_3"] != batch["view_3"])
