"""Captioned shapes: what a level varies and names, judges that read it back; sets with missing modalities."""

import numpy as np
import pytest

from mmgen_jax.data import captioned_shapes as world
from mmgen_jax.data.incomplete import Source as Incomplete
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import captioned_shapes_coherence
from mmgen_jax.modalities.modality import check_batch

SMALL = {"name": "captioned_shapes", "num_train": 400, "num_test": 60}


def read(source, num):
    return source.read(np.arange(num), np.zeros(num, int))


@pytest.mark.parametrize("level, captions", [(1, 6), (2, 12), (3, 72), (4, 288), (5, 576)])
def test_a_level_varies_and_names_its_factors_alone(level, captions):
    source = world.Source(level=level, num_train=300)
    batch = read(source, 300)
    check_batch(batch, source.modalities)
    for name in world.FACTORS:
        assert (len(np.unique(batch[name])) > 1) == (name in world.named(level)), name
    told, shown = world.judge_texts(batch["text"], level), world.judge_images(batch["image"], level)
    for name in world.named(level):
        np.testing.assert_array_equal(told[name], batch[name])
        assert np.mean(shown[name] == batch[name]) > 0.97, name
    assert np.prod([len(world.FACTORS[name]) for name in world.named(level)]) == captions
    longer = world.judge_texts(read(world.Source(level=5), 4)["text"], min(level, 4))
    assert all(np.all(values == -1) for values in longer.values())  # a caption of another level is none of this level
    again = world.Source(level=level, num_train=300).read(np.array([7, 250]), np.array([3, 3]))
    np.testing.assert_array_equal(again["image"], batch["image"][[7, 250]])


class Copies:
    """Draws the example itself, or always the first."""

    def __init__(self, first=False):
        self.first = first

    def __call__(self, batch):
        return {
            name: np.repeat(batch[name][:1], len(batch[name]), axis=0) if self.first else batch[name] for name in batch
        }


@pytest.mark.parametrize("target", ["image", "text"])
def test_strict_coherence_of_copies_and_of_a_constant(target):
    source = world.Source(split="test", num_test=200)
    evaluator = captioned_shapes_coherence.Evaluator(data={"name": "captioned_shapes"}, target=target, joint=True)
    entries = evaluator(Copies(), [read(source, 200)])
    assert entries["cross"]["value"] == entries["cross"]["judge_accuracy"] > 0.95
    assert entries["joint"]["value"] > 0.95 and entries["joint"]["captions"] == 1
    alike = evaluator(Copies(first=True), [read(source, 200)])
    constant = alike["cross"]
    assert constant["value"] < 0.05 and constant["chance"] == 1 / 576
    assert alike["joint"]["value"] == alike["joint"]["chance"] == 1  # one caption and its picture, always


@pytest.mark.parametrize("rate", [0.2, 0.5])
@pytest.mark.parametrize("mechanism", ["random", "label"])
def test_modalities_are_missing_at_the_rate_and_one_is_kept(rate, mechanism):
    fields = {"of": SMALL, "targets": ("text", "image"), "rate": rate, "mechanism": mechanism, "label": "shape"}
    source = Incomplete(**fields)
    batch = read(source, 400)
    present = np.stack([batch["text/mask"], batch["image/mask"]], axis=1)
    assert present.any(axis=1).all()
    if mechanism == "random":
        # Each is missing with the rate, but of two missing ones a half is kept.
        assert abs(1 - present.mean() - (rate - rate**2 / 2)) < 0.05
    else:
        assert present[batch["shape"] == 0].all()
        assert present[batch["shape"] == 5].mean() < present[batch["shape"] == 1].mean()
    np.testing.assert_array_equal(source.read(np.array([5, 9]), np.array([1, 1]))["text/mask"], present[[5, 9], 0])
    few = Incomplete(**fields, keep=False)
    assert len(few) == present.all(axis=1).sum()
    assert read(few, len(few))["text/mask"].all()
    assert "text/mask" not in read(Incomplete(**fields, split="test"), 10)
    assert np.any(read(Incomplete(**fields, seed=1), 400)["text/mask"] != present[:, 0])
    assert sum(int(line.split()[1].replace(",", "")) for line in source.layout_found()) == 400


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"mechanism": "never"}, "mechanism: expected one of random, label, got 'never'"),
        ({"targets": ("text", "sound")}, "targets: expected two or more of text, image, "),
        ({"mechanism": "label", "label": "text"}, "label: expected a label .shape, "),
    ],
)
def test_fields_of_an_incomplete_set_that_do_not_fit(fields, message):
    with pytest.raises(ConfigError, match=message):
        Incomplete(**{"of": SMALL, "targets": ("text", "image")} | fields)
