"""Recall of retrieval on known vectors, and the judge that is trained for it."""

import dataclasses
import json
import types

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.config import presets
from mmgen_jax.evaluators import retrieval_recall
from mmgen_jax.evaluators.judges import retriever

RNG = np.random.default_rng(0)


def test_recall_is_the_brute_force_over_orders():
    queries, keys = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4))
    found = retrieval_recall.recalls(queries, 3 * keys, (1, 5, 10))
    for i in range(30):
        cosines = [queries[i] @ key / np.linalg.norm(key) for key in keys]
        rank = sorted(range(30), key=lambda j: -cosines[j]).index(i)
        assert [found[k][i] for k in (1, 5, 10)] == [rank < k for k in (1, 5, 10)]


def test_of_targets_that_are_alike_each_is_as_likely():
    keys = np.repeat(np.eye(4), (3, 1, 1, 1), axis=0)  # three examples say the same
    found = retrieval_recall.recalls(keys, keys, (1, 2))
    np.testing.assert_allclose(found[1], [1 / 3] * 3 + [1] * 3)
    np.testing.assert_allclose(found[2], [2 / 3] * 3 + [1] * 3)


def test_both_directions_and_chance_are_reported():
    conditions = RNG.normal(size=(60, 8)).astype(np.float32)
    targets = conditions + 0.3 * RNG.normal(size=(60, 8)).astype(np.float32)
    sampler = types.SimpleNamespace(embed_pair=lambda batch: (conditions[batch["row"]], targets[batch["row"]]))
    rows = np.arange(60)
    batches = [
        {"text": rows[i : i + 25], "row": rows[i : i + 25], "text/mask": rows[i : i + 25] < 50} for i in (0, 25, 50)
    ]
    entries = retrieval_recall.Evaluator("text")(sampler, batches)
    assert set(entries) == {f"{way}/recall@{k}" for way in ("to_target", "from_target") for k in (1, 5, 10)}
    for way, queries, keys in (("to_target", conditions, targets), ("from_target", targets, conditions)):
        expected = retrieval_recall.recalls(queries[:50], keys[:50], (1, 5, 10))
        for k in (1, 5, 10):
            entry = entries[f"{way}/recall@{k}"]
            assert entry["value"] == pytest.approx(expected[k].mean()) and entry["chance"] == k / 50
            assert entry["interval"][0] <= entry["value"] <= entry["interval"][1] and entry["n"] == 50
    json.dumps(entries, allow_nan=False)
    with pytest.raises(ValueError, match="largest rank 10, got 5"):
        retrieval_recall.recalls(conditions[:5], targets[:5], (1, 10))


SCENES = {"name": "scenes", "names": ("text", "image"), "num_train": 2000, "num_test": 60, "image_size": 16}
SHORT = retriever.Training(steps=80, batch_size=32, lr=5e-3, crop=0)


def test_the_judge_tells_own_captions_from_others_and_is_cached(cache, monkeypatch):
    judge = retriever.load(SCENES, "image", "text", SHORT)
    source = lookup.build("data", SCENES, split="test")
    batch = source.read(np.arange(60), np.zeros(60, int))
    evaluator = lookup.build(
        "evaluators", {"name": "retrieval_judge", "target": "image", "data": SCENES, "training": SHORT}
    )
    with monkeypatch.context() as patch:
        patch.setattr(retriever, "train", None)  # it must not train again
        again = retriever.load(SCENES | {"fraction": 0.5}, "image", "text", SHORT)
        assert again.hash == judge.hash and len(judge.hash) == 12
        entries = evaluator(lambda batch: {"image": batch["image"]}, [batch])
        rolled = evaluator(lambda batch: {"image": np.roll(batch["image"], 7, axis=0)}, [batch])
    assert set(entries) == {"recall@1", "recall@5", "recall@10"} and evaluator.names == ("text",)
    assert entries["recall@1"]["value"] == pytest.approx(judge.accuracy) and judge.num_test == 60
    for entry in entries.values():
        assert entry["value"] == entry["reference"] and entry["n"] == 60 and entry["judge"] == judge.hash
    assert entries["recall@10"]["value"] > 2 * entries["recall@10"]["chance"]
    assert rolled["recall@10"]["value"] < entries["recall@10"]["value"] == rolled["recall@10"]["reference"]
    json.dumps(entries, allow_nan=False)

    def train(*_):
        raise RuntimeError("trains")

    monkeypatch.setattr(retriever, "train", train)
    for data, training in ((SCENES | {"num_train": 1999}, SHORT), (SCENES, dataclasses.replace(SHORT, seed=1))):
        with pytest.raises(RuntimeError, match="trains"):
            retriever.load(data, "image", "text", training)


def test_emoji_from_texts_are_judged_by_it():
    assert presets.judges("emoji", conditional=True) == {"retrieval": {"name": "retrieval_judge"}}
    assert presets.judges("emoji", conditional=False) == {}
