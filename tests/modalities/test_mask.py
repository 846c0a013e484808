"""Masks from files of all sorts: the nearest pixel, cut at one half, white is the hole."""

import jax
import numpy as np
import pytest
from PIL import Image

from mmgen_jax.errors import BatchError
from mmgen_jax.modalities import mask
from mmgen_jax.modalities.modality import Modality, check_batch

MASK = Modality("mask", (8, 8, 1))
HOLE = np.zeros((16, 16), bool)
HOLE[4:12, 6:16] = True


@pytest.mark.parametrize(
    "picture, suffix",
    [
        (Image.fromarray(HOLE), ".png"),
        (Image.fromarray(np.where(HOLE, 255, 0).astype(np.uint8)), ".png"),
        (Image.fromarray(np.where(HOLE, 255, 0).astype(np.uint8)).convert("RGB"), ".jpg"),
        (Image.fromarray(np.where(HOLE, 200, 90).astype(np.uint8)).convert("RGBA"), ".webp"),
        (Image.fromarray(np.where(HOLE, 65535, 20000).astype(np.uint16)), ".png"),
    ],
)
def test_a_file_of_any_sort_is_cut_at_one_half(picture, suffix, tmp_path):
    picture.save(tmp_path / f"mask{suffix}")
    whole = mask.read(tmp_path / f"mask{suffix}")
    np.testing.assert_array_equal(whole[..., 0] > 0, HOLE)
    small = MASK.traits.read_file(tmp_path / f"mask{suffix}", "mask")
    check_batch({"mask": small[None]}, {"mask": MASK})
    np.testing.assert_array_equal(small[..., 0] > 0, HOLE[1::2, 1::2])


def test_a_mask_is_binary_and_stays_so_when_it_is_turned():
    with pytest.raises(BatchError, match="expected -1 or 1 everywhere, got 0"):
        check_batch({"mask": np.zeros((1, 8, 8, 1), np.float32)}, {"mask": MASK})
    whole = np.where(HOLE[::2, ::2], 1, -1).astype(np.float32)[..., None]
    turned = MASK.traits.augment({"rotate": 30.0}, whole, jax.random.key(0))
    assert set(np.unique(turned)) <= {-1.0, 1.0}
