"""Coverage and diagonality of attention whose values are known."""

import numpy as np
import pytest

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import alignment

STEPS, TOKENS = 12, 5


def diagonal(tokens: int = TOKENS) -> np.ndarray:
    return np.eye(tokens)[np.arange(STEPS) * tokens // STEPS]


class Aligned:
    """A sampler whose attention is given."""

    def __init__(self, weights, steps=STEPS):
        self.weights, self.steps = weights, steps

    def align(self, batch):
        num = len(batch["audio"])
        weights = np.zeros((num, STEPS + 4, TOKENS + 2))
        weights[:, :STEPS, :TOKENS] = self.weights
        mask = np.arange(TOKENS + 2) < TOKENS
        return {"weights": weights, "steps": np.full(num, self.steps), "mask": np.tile(mask, (num, 1))}


def measured(weights, steps=STEPS):
    batches = [{"audio": np.zeros((3, 8))}, {"audio": np.zeros((2, 8))}]
    return alignment.Evaluator(target="audio")(Aligned(weights, steps), iter(batches))


def test_a_straight_line_covers_every_token():
    entries = measured(diagonal())
    assert {name: entry["n"] for name, entry in entries.items()} == dict.fromkeys(entries, 5)
    assert entries["coverage"]["value"] == 1 and entries["covered"]["value"] == 1
    assert entries["diagonality"]["value"] > 0.97 and entries["stopped"]["value"] == 1


def test_a_token_that_is_left_out_is_found():
    weights = diagonal()
    weights[weights[:, 2] > 0] = np.eye(TOKENS)[3]
    entries = measured(weights)
    assert entries["coverage"]["value"] == 0 and entries["covered"]["value"] == 0
    assert entries["diagonality"]["value"] > 0.9
    weights[:, -1], weights[:, 0] = 0, weights[:, 0] + weights[:, -1]  # the end of the text may be left out
    weights[4, 2] = 0.4
    assert measured(weights)["coverage"]["value"] == pytest.approx(0.4)


def test_an_example_without_a_text_is_left_out():
    model = Aligned(diagonal(), STEPS)
    align = model.align

    def masked(batch):
        found = align(batch)
        return found | {"mask": found["mask"] & (np.arange(len(found["mask"]))[:, None] > 0)}

    model.align = masked
    entries = alignment.Evaluator(target="audio")(model, iter([{"audio": np.zeros((3, 8))}]))
    assert entries["coverage"]["n"] == 2 and entries["coverage"]["value"] == measured(diagonal())["coverage"]["value"]
    with pytest.raises(InputError, match="expected examples with a text, got none"):
        alignment.Evaluator(target="audio")(model, iter([{"audio": np.zeros((1, 8))}]))


def test_uniform_backward_and_endless_attention():
    uniform = measured(np.full((STEPS, TOKENS), 1 / TOKENS))
    assert uniform["diagonality"]["value"] == 0
    assert uniform["coverage"]["value"] == uniform["coverage"]["baseline"] == 1  # 12 steps, 5 tokens
    assert measured(diagonal()[::-1])["diagonality"]["value"] < -0.97
    assert measured(diagonal(), steps=STEPS + 4)["stopped"]["value"] == 0
