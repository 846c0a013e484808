"""Which held-out examples a run shows samples for: drawn by the seed, every class in turn."""

import numpy as np

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.runs.samples import choose


class Sorted:
    """Ten classes, sorted, a hundred examples each, or without their label."""

    def __init__(self, labelled=True):
        self.modalities = {"image": Modality("image", (2, 2, 1))}
        if labelled:
            self.modalities["digit"] = Modality("label", classes=tuple("0123456789"))

    def __len__(self):
        return 1000

    def read(self, indices, epochs):
        return {"digit": np.asarray(indices, np.int32) // 100}


def test_every_class_in_turn():
    chosen = choose(Sorted(), 16, seed=0)
    assert (chosen // 100).tolist() == [*range(10), *range(6)]
    assert len(set(chosen.tolist())) == 16


def test_a_sorted_split_without_labels_is_drawn_from_all_over():
    chosen = choose(Sorted(labelled=False), 16, seed=0)
    assert len(set(chosen.tolist())) == 16 and len(set((chosen // 100).tolist())) >= 5


def test_the_choice_is_the_seeds():
    for labelled in (True, False):
        first, again, other = (choose(Sorted(labelled), 16, seed) for seed in (0, 0, 1))
        assert first.tolist() == again.tolist() != other.tolist()


def test_a_small_split_is_shown_whole():
    small = Sorted()
    small.__class__ = type("Small", (Sorted,), {"__len__": lambda self: 5})
    assert sorted(choose(small, 5, seed=0).tolist()) == [0, 1, 2, 3, 4]
