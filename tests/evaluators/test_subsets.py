"""An evaluator for each subset of the conditions: the model sees this subset, and no more."""

import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import subsets

CAPTIONS = {"name": "label_accuracy", "num_examples": 60}
DATA = {"name": "digits"}


def evaluator(**fields):
    return subsets.Evaluator(
        **{"conditions": ("image", "text"), "evaluator": CAPTIONS, "target": "digit", "data": DATA} | fields
    )


def test_each_subset_draws_from_its_conditions_alone_for_the_same_examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, (4, 20)).astype(np.int32)
    batches = [{"digit": x, "image": x, "image/mask": x >= 0, "text": x, "video": x} for x in labels]
    seen = []

    def draw(batch):
        seen.append(tuple(batch))
        assert "video" in batch  # no part of the subsets: always given
        return {"digit": batch["image"] if "image" in batch else np.zeros_like(batch["digit"])}

    entries = evaluator()(draw, iter(batches))
    values = {name: entry["value"] for name, entry in entries.items() if name.endswith("accuracy")}
    assert {name.split("/")[0] for name in entries} == {"image", "text", "image+text"}
    assert values["image/accuracy"] == values["image+text/accuracy"] == 1.0
    assert values["text/accuracy"] == (labels[:3] == 0).mean()
    assert len(seen) == 9 and all("image/mask" not in keys for keys in seen if "image" not in keys)


def test_a_hidden_condition_is_all_that_a_sampler_loses():
    class Sampler:
        system = "the model"

        def __call__(self, batch, given=()):
            return {"keys": sorted(batch), "given": given}

        def supports(self, ability):
            return ability == "reconstruct"

    hiding = subsets._Hiding(Sampler(), {"text"})
    drawn = hiding({"image": 1, "text": 2, "text/mask": 3}, given=("image",))
    assert drawn == {"keys": ["image"], "given": ("image",)}
    assert hiding.system == "the model" and hiding.supports("reconstruct") and not hiding.supports("elbo")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conditions": ()}, r"conditions: expected different conditions, got \(\)"),
        ({"conditions": ("text", "text")}, "conditions: expected different conditions"),
        ({"evaluator": {"name": "alignment"}}, "evaluator: expected an evaluator of samples, got 'alignment'"),
    ],
)
def test_what_has_no_subsets_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        evaluator(**fields)
