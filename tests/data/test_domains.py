import pickle

import numpy as np
import pytest
from local_sets import digest, read

from mmgen_jax.data import domains, unpaired
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import modality

SMALL = {"name": "small_digits", "of": "image", "image_size": 16}
SETS = {"plain": SMALL, "moved": {**SMALL, "border": 2, "part": (0, 3)}}


def test_sets_come_in_turn_with_their_names():
    for split, size in (("train", 2394), ("test", 800)):
        source, both = domains.Source(SETS, split=split), unpaired.Source(SETS, split=split)
        assert len(source) == size == 2 * len(both)
        batch, parts = read(source, range(20), 3), read(both, range(10), 3)
        modality.check_batch(batch, source.modalities)
        np.testing.assert_array_equal(batch["domain"], [0, 1] * 10)
        for i, name in enumerate(SETS):
            np.testing.assert_array_equal(batch["example"][i::2], parts[name])
        assert source.modalities["domain"].classes == ("plain", "moved")
        assert digest(read(pickle.loads(pickle.dumps(source)), range(20), 3)) == digest(batch)
    few = domains.Source(SETS, names=("domain",))
    assert list(few.modalities) == list(read(few, [1])) == ["domain"]


def test_examples_of_two_shapes_are_refused():
    with pytest.raises(
        ConfigError, match=r"one kind and shape, got plain: image \[16, 16, 1\], moved: image \[8, 8, 1\]"
    ):
        domains.Source({"plain": SMALL, "moved": {**SMALL, "image_size": 8}})
    with pytest.raises(ConfigError, match="domains: no modality 'image'"):
        domains.Source(SETS, names=("image",))
