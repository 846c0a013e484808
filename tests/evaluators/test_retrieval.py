"""Recall of retrieval on known vectors, and the judge that is trained for it."""

import dataclasses
import json
import types

import numpy as np
import pytest

from mmgen_jax import evaluate, lookup
from mmgen_jax.config import loading, override, own_data, presets
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.evaluators import class_retrieval, retrieval_recall
from mmgen_jax.evaluators.judges import fitted, retriever

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


def test_embeddings_that_are_not_finite_are_refused():
    good = RNG.normal(size=(20, 4))
    bad = np.where(np.arange(20)[:, None] < 3, np.nan, good)
    for queries, keys in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match="retrieval: expected finite features, got 3 of 20 examples"):
            retrieval_recall.recalls(queries, keys, (1,))
    with pytest.raises(ValueError, match="class_retrieval: expected finite features, got 3 of 20 examples"):
        class_retrieval.same_class(bad, np.zeros(20, int), 1)


def test_both_directions_and_chance_are_reported():
    conditions = RNG.normal(size=(60, 8)).astype(np.float32)
    targets = conditions + 0.3 * RNG.normal(size=(60, 8)).astype(np.float32)
    sampler = types.SimpleNamespace(embed_pair=lambda batch: (conditions[batch["row"]], targets[batch["row"]]))
    sampler.system = types.SimpleNamespace(conditions=("row",))
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
    without = [batch | {"row/mask": batch["row"] != 7} for batch in batches]  # no condition: no query, no candidate
    entry = retrieval_recall.Evaluator("text")(sampler, without)["to_target/recall@1"]
    kept = np.delete(np.arange(50), 7)
    expected = retrieval_recall.recalls(conditions[kept], targets[kept], (1, 5, 10))[1].mean()
    assert entry["n"] == 49 and entry["value"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="largest rank 10, got 5"):
        retrieval_recall.recalls(conditions[:5], targets[:5], (1, 10))


SCENES = {"name": "scenes", "names": ("text", "image"), "num_train": 2000, "num_test": 60, "image_size": 16}
SHORT = retriever.Training(steps=80, batch_size=32, lr=5e-3, crop=0)


@pytest.mark.slow
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
    judged = {"retrieval": {"name": "retrieval_judge", "splits": ("validation+test",)}}
    assert presets.judges("emoji", conditional=True) == judged
    assert presets.drawn_from_texts("emoji")["part"] == "first" and "part" not in presets.drawn_from_texts("scenes")
    assert presets.judges("emoji", conditional=False) == {}


def test_captions_with_words_that_the_judge_does_not_know_are_left_out(monkeypatch):
    """A judge that embeds pictures and texts alike, and knows the ids 0, 1 and 3 to 7."""
    known = np.isin(np.arange(20), [0, 1, 3, 4, 5, 6, 7])
    judge = retriever.Retriever(None, "image", "text", {"a": {"b": np.zeros(1)}}, known=known)
    alike = lambda self, images, texts: (np.eye(20)[images[:, 0]], np.eye(20)[texts[:, 0]])  # noqa: E731
    monkeypatch.setattr(retriever.Retriever, "embed", alike)
    monkeypatch.setattr(retriever, "load", lambda *_: judge)
    evaluator = lookup.build("evaluators", {"name": "retrieval_judge", "target": "image", "data": {}, "ranks": (1, 5)})
    texts = np.array([[3, 4, 1], [4, 1, 0], [5, 9, 1], [6, 2, 1], [7, 1, 0], [9, 1, 0]])
    entry = evaluator(lambda batch: {"image": batch["text"][:, :1]}, [{"text": texts, "image": texts[:, 1:2]}])
    assert entry["recall@1"]["value"] == 1 and (entry["recall@1"]["n"], entry["recall@1"]["unknown"]) == (3, 3)
    assert entry["recall@1"]["chance"] == 1 / 3 and entry["recall@1"]["reference"] < 1
    assert entry["recall@5"]["value"] is None and entry["recall@5"]["n"] == 3
    assert entry["recall@5"]["why"] == "recall@5: needs 5 captions whose words the judge knows, got 3 of 6"
    with pytest.raises(ValueError, match="largest rank 5, got 2"):
        evaluator(lambda batch: {"image": batch["text"][:, :1]}, [{"text": texts[:2], "image": texts[:2, 1:2]}])


def test_the_judge_of_a_part_knows_the_words_of_the_other_part(mmgen_data):
    data = presets.drawn_from_texts("emoji")
    known = retriever._known(data, "text")
    config = loading.load("text_to_image_gan:emoji")
    own, judged = (open_source(override.override(config, {"data.part": name})) for name in ("first", "second"))
    texts = [source.read(np.arange(len(source)), np.zeros(len(source), int))["text"] for source in (own, judged)]
    assert known[texts[1]].all() and not known[texts[0]].all() and not known[2]
    assert len(own) + len(judged) == len(own.whole)


@pytest.fixture
def captioned(tmp_path):
    """A file of 150 pictures in two colours, every tenth without its caption."""
    rng = np.random.default_rng(0)
    red = np.arange(150) % 2
    pictures = rng.integers(0, 60, (150, 16, 16, 3), np.uint8)
    pictures[..., 0] += (120 * red).astype(np.uint8)[:, None, None]
    texts = np.array(["a red thing" if is_red else "a dark thing" for is_red in red])
    mask = np.arange(150) % 10 != 0
    np.savez(tmp_path / "own.npz", image=pictures, text=texts, **{"text/mask": mask})
    return tmp_path / "own.npz"


def test_pairs_are_the_examples_that_have_both(captioned):
    source = lookup.build("data", {"name": "npz", "file": str(captioned)}, split="train")
    pairs = fitted.Pairs(source, ("image", "text"))
    batch = pairs.read(np.arange(len(pairs)), np.zeros(len(pairs), int))
    present = source.read(np.arange(len(source)), np.zeros(len(source), int))["text/mask"]
    assert len(pairs) == present.sum() < len(source) and (batch["text"] != 0).any(axis=1).all()
    pictures, texts = np.zeros((9, 8, 8, 3), np.uint8), np.array(["a"] * 9)
    np.savez(captioned, image=pictures, text=texts, **{"text/mask": np.zeros(9, bool)})
    with pytest.raises(ValueError, match="in the training texts, got none"):
        lookup.build("data", {"name": "npz", "file": str(captioned)}, split="train")


def test_too_few_captioned_pictures_are_said():
    said = []
    assert own_data.adherence(["train"] * 63 + ["test"] * 10, said.append) == {} == own_data.adherence([], said.append)
    assert len(said) == 1 and "expected 64 captioned pictures in the training split and 10 in the test split" in said[0]
    assert "got 63 and 10" in said[0] and own_data.adherence(["train"] * 64 + ["test"] * 10, said.append)
    assert len(said) == 1


@pytest.mark.slow
def test_a_model_of_own_captions_is_asked_whether_pictures_show_them(captioned, cache, monkeypatch):
    config = loading.load(f"quickstart:npz={captioned}")
    assert config.evaluators.to_dict() == {"adherence": {"name": "retrieval_judge", "ranks": (1, 5, 10)}}
    assert not loading.load(f"dcgan:npz={captioned}").evaluators
    of_emoji = loading.load(f"text_to_image_gan:emoji,npz={captioned}")  # without the splits and the part of emoji
    assert of_emoji.evaluators.to_dict() == {"retrieval": {"name": "retrieval_judge"}} and "part" not in of_emoji.data
    config = override.override(config, {"seed": 3, "train.batch_size": 8})
    assert evaluate.judged_data(config)["seed"] == 3  # the judge's training part is the run's
    assert "seed" not in evaluate.judged_data(loading.load("quickstart"))
    system = build_system(config, open_source(config).modalities)
    built = evaluate.build(config, system)[0]
    evaluator = dataclasses.replace(built.evaluator, training=SHORT)
    indices = np.arange(len(built.source))
    batch = built.source.read(indices, np.zeros(len(indices), int))
    entries = evaluator(lambda batch: {"image": batch["image"]}, [batch])
    wrong = evaluator(lambda batch: {"image": np.zeros_like(batch["image"])}, [batch])
    assert built.split == "test" and entries["recall@5"]["value"] == entries["recall@5"]["reference"]
    assert entries["recall@5"]["value"] > wrong["recall@5"]["value"] + 0.1
