"""Caption metrics against sacrebleu, hand-computed cases and the grammar of scenes."""

import json
import math

import media_files as media
import numpy as np
import pytest
import sacrebleu

from mmgen_jax import evaluate, lookup
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.captions import words_of
from mmgen_jax.evaluators.measures import examples, nearest
from mmgen_jax.evaluators.measures.captions import (
    bleu,
    bleu_statistics,
    bootstrap_bleu,
    cider_d,
    distinct,
    merge,
    self_bleu,
)
from mmgen_jax.modalities.tokenizer import END, NUM_SPECIAL, UNKNOWN, Tokenizer, build
from mmgen_jax.results import tables
from mmgen_jax.scenes import factors, text

RNG = np.random.default_rng(0)
SCENES = {"name": "scenes", "names": ("text", "image"), "image_size": 16, "num_train": 600, "num_test": 40}
LETTERS = "abc"


def sentences(num, longest=9):
    return [tuple(RNG.choice(list(LETTERS), RNG.integers(1, longest))) for _ in range(num)]


def joined(captions):
    return [" ".join(words) for words in captions]


def batches(split="test", size=15, **fields):
    names = ("text", "image", *factors.FACTORS)
    source = lookup.build("data", SCENES | fields | {"names": names}, split=split)
    for start in range(0, len(source), size):
        indices = np.arange(start, min(start + size, len(source)))
        yield source.read(indices, np.zeros_like(indices))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_corpus_bleu_is_sacrebleus(order):
    candidates, references = sentences(30), [sentences(4) for _ in range(30)]
    statistics = sum(bleu_statistics(c, merge(r)) for c, r in zip(candidates, references))
    judge = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order)
    expected = judge.corpus_score(joined(candidates), [joined(column) for column in zip(*references)]).score
    assert bleu(statistics, order) == pytest.approx(expected, rel=1e-9) and expected > 0


def test_self_bleu_is_sacrebleus_of_each_against_the_others():
    candidates = [*sentences(12), ("a", "a", "a"), ("a", "a")]
    judge = sacrebleu.BLEU(tokenize="none", smooth_method="floor", smooth_value=0.1, effective_order=True)
    texts = joined(candidates)
    expected = [judge.sentence_score(one, texts[:i] + texts[i + 1 :]).score for i, one in enumerate(texts)]
    np.testing.assert_allclose(self_bleu(candidates), expected, rtol=1e-9)
    np.testing.assert_allclose(self_bleu([tuple("abcde")] * 5), 100)


def test_cider_d_of_hand_computed_cases():
    references = [[("a", "b")], [("a", "c")]]  # idf: 0 of a, log 2 of b, c and both bigrams
    same, other = cider_d([("a", "b"), ("a", "b")], references)
    assert same == pytest.approx(10 * 2 / 4) and other == 0  # two of the four orders exist

    # "a b b": unigrams min(2, 1) · 1 / (2 · 1), bigrams 1 / (√2 · 1); one word longer than its reference.
    longer = cider_d([("a", "b", "b"), ("a", "c")], references)[0]
    assert longer == pytest.approx(10 * (0.5 + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72))

    # A mean over references. By now b is in both examples and weighs nothing: the second one shares a · a / (a · √2 a).
    two = [[("a", "b"), ("a", "c")], [("b", "d")]]
    assert cider_d([("a", "b"), ("b", "d")], two)[0] == pytest.approx(10 / 4 * (1 + 1 + 1 / math.sqrt(2)) / 2)


def test_cider_d_of_long_copies_is_10_and_reads_the_corpus():
    references = [[tuple("abcd")], [tuple("efgh")], [tuple("ijkl")]]
    np.testing.assert_allclose(cider_d([r[0] for r in references], references), 10)


def test_what_captions_do_not_have_is_refused():
    alike = [[tuple("abcd")]] * 3  # in every example: no n-gram tells anything
    with pytest.raises(InputError, match="cider_d: needs two examples with different references, got 3 alike"):
        cider_d([tuple("abcd")] * 3, alike)
    with pytest.raises(InputError, match="self_bleu: expected at least 2 candidates, got 1"):
        self_bleu([tuple("abcd")])
    short = np.array([bleu_statistics(tuple("abc"), merge([tuple("abc")])) for _ in range(2)])
    assert bleu(short.sum(0), 3) == 100
    with pytest.raises(InputError, match="bleu_4: captions of fewer than 4 words have no BLEU-4"):
        bleu(short.sum(0), 4)
    assert set(bootstrap_bleu(short, 10)) == {1, 2, 3}


def test_bleu_of_exact_captions_is_not_above_100():
    for words in (tuple("abcdefghijk"), tuple("abcdefg"), tuple("abcde")):
        assert bleu(sum(bleu_statistics(words, merge([words])) for _ in range(7))) <= 100


def test_a_metric_that_the_captions_do_not_have_is_null_and_says_why():
    evaluator = lookup.build("evaluators", {"name": "captions", "target": "text", "data": SCENES, "num_train": 200})
    one_word = lambda batch: {"text": np.concatenate([batch["text"][:, :1], 0 * batch["text"][:, 1:]], 1)}  # noqa: E731
    entries = evaluator(one_word, batches(num_test=1))
    for name, why in (("bleu_2", "fewer than 2 words"), ("self_bleu", "at least 2"), ("cider_d", "got 1 alike")):
        assert entries[name]["value"] is None and "interval" not in entries[name] and why in entries[name]["why"]
    assert entries["bleu_1"]["value"] > 0
    json.dumps(entries, allow_nan=False)
    assert "–  self_bleu: expected at least 2" in evaluate.table(entries)
    line = {"seed": 0, "metrics": entries}
    assert tables.value(line, "self_bleu") is None and tables.summarise([line], "self_bleu") is None


def test_distinct_counts_n_grams_of_all_captions():
    said = [("a", "b", "a"), ("a", "b"), ("c",)]
    assert distinct(said, 1) == 3 / 6 and distinct(said, 2) == 2 / 3
    assert distinct([("a",)], 2) == 0


def test_bootstrap_covers_the_corpus_score():
    candidates = sentences(200)
    statistics = np.array([bleu_statistics(c, merge(sentences(3))) for c in candidates])
    for order, (low, high) in bootstrap_bleu(statistics, 200).items():
        assert low < bleu(statistics.sum(0), order) < high
    assert bootstrap_bleu(statistics, 50) == bootstrap_bleu(statistics, 50)


def test_paraphrases_are_what_the_grammar_says_of_a_scene():
    labels = {"shape": 3, "color": 1, "size": 0, "motion": 2}
    every = text.paraphrases(labels)
    assert len(set(every)) == len(every) == 10 * 3 * 2 * 2 + 8 * 3 * 2 * 2 * 2 * 3
    parsed = [text.parse(caption) for caption in every]
    assert all(p in (labels, {k: v for k, v in labels.items() if k != "motion"}) for p in parsed)
    assert all(text.is_grammatical(caption) for caption in every)


@pytest.mark.parametrize(
    "caption",
    [
        "a red small circle",
        "a small red",
        "",
        "a small red circle moving still",
        "a small red circle standing left",
        "a a small red circle",
    ],
)
def test_what_the_grammar_lacks_is_not_grammatical(caption):
    assert not text.is_grammatical(caption)


def test_own_captions_of_scenes_are_grammatical_paraphrases():
    for batch in batches():
        for i, row in enumerate(batch["text"]):
            caption = text.TOKENIZER.decode(row)
            assert text.is_grammatical(caption)
            assert caption in text.paraphrases({name: int(batch[name][i]) for name in factors.FACTORS})


def paraphrased(batch):
    """Another true caption of each example, encoded."""
    rows = []
    for i in range(len(batch["text"])):
        every = text.paraphrases({name: int(batch[name][i]) for name in factors.FACTORS})
        rows.append(text.TOKENIZER.encode(every[RNG.integers(len(every))], batch["text"].shape[1]))
    return {"text": np.array(rows)}


@pytest.mark.slow
def test_any_true_caption_of_scenes_scores_100_and_another_does_not():
    evaluator = lookup.build("evaluators", {"name": "captions", "target": "text", "data": SCENES, "num_train": 200})
    entries = evaluator(paraphrased, batches())
    for order in (1, 2, 3, 4):
        assert entries[f"bleu_{order}"]["value"] == pytest.approx(100)
        assert entries[f"bleu_{order}"]["interval"] == pytest.approx([100, 100])
        assert entries[f"bleu_{order}"]["baseline"] < 100 and entries[f"bleu_{order}"]["references"] == 696
    assert entries["exact"]["value"] == 1 > entries["exact"]["baseline"]
    cider = entries["cider_d"]
    assert cider["references"] == 5 and cider["baseline"] < cider["value"] < 10
    assert cider["reference"] == pytest.approx(cider["value"], abs=1.0)  # both are further true captions
    assert entries["distinct_1"]["value"] < 1 and entries["self_bleu"]["value"] < 100
    assert all(entry["n"] == 40 for entry in entries.values())
    json.dumps(entries, allow_nan=False)

    wrong = evaluator(lambda batch: {"text": np.roll(batch["text"], 1, axis=0)}, batches())
    assert wrong["bleu_4"]["value"] < 90 and wrong["exact"]["value"] < 0.2
    one = evaluator(lambda batch: {"text": np.repeat(batch["text"][:1], len(batch["text"]), 0)}, batches(size=40))
    assert one["self_bleu"]["value"] == pytest.approx(100) and one["distinct_2"]["value"] < 0.05


def test_factors_of_captions_are_counted():
    evaluator = lookup.build(
        "evaluators", {"name": "scenes_captions", "target": "text", "data": SCENES, "num_train": 200, "motion": True}
    )
    assert evaluator.names == ("image", "shape", "color", "size", "motion")
    right = evaluator(paraphrased, batches())
    assert all(entry["value"] == entry["reference"] == 1 for entry in right.values())
    assert right["motion"]["n"] < right["all"]["n"] == 40 and right["all"]["baseline"] < 1

    def garbled(batch):
        """A wrong colour everywhere, and the motion's words gone; the patterns with a motion are broken by that."""
        ids = batch["text"].copy()
        words = [text.TOKENIZER.decode(row).split() for row in ids]
        red, blue = (NUM_SPECIAL + text.TOKENIZER.vocabulary.index(word) for word in ("red", "blue"))
        for row, caption in zip(ids, words):
            for i, word in enumerate(caption):
                factor = text.parse(word)
                if "color" in factor:
                    row[i] = blue if factor["color"] == 0 else red
                if "motion" in factor:
                    row[i] = NUM_SPECIAL + text.TOKENIZER.vocabulary.index("picture")
        return {"text": ids}

    wrong = evaluator(garbled, batches())
    assert wrong["shape"]["value"] == wrong["size"]["value"] == 1 and wrong["all"]["value"] == 0
    assert "motion" not in wrong and wrong["grammatical"]["value"] < 1
    assert wrong["color"]["value"] == 0 and wrong["color"]["chance"] == 1 / 6
    json.dumps(wrong, allow_nan=False)


def test_the_nearest_training_example_is_found():
    source = lookup.build("data", SCENES, split="train")
    batch = source.read(examples.order(len(source))[[3, 577, 120]], np.zeros(3, int))
    noisy = batch["image"] + RNG.normal(0, 0.01, batch["image"].shape).astype(np.float32)
    np.testing.assert_array_equal(nearest.captions(source, "image", "text", noisy, 600), batch["text"])
    others = nearest.captions(source, "image", "text", noisy, 100)
    np.testing.assert_array_equal(others[0], batch["text"][0])


def test_words_outside_the_vocabulary_never_match():
    tokenizer = build(["a red ?"])
    ids = tokenizer.encode("a green ?", 6)
    assert words_of(ids, tokenizer, "<unknown>") == ("a", "<unknown>", "?")
    byte = Tokenizer("byte")
    assert words_of(byte.encode("A Red.", 12), byte, "") == ("a", "red", ".")
    assert words_of(np.full(3, 3, np.int32), tokenizer, "") == ("?",) * 3  # no END


def test_every_caption_of_an_example_of_a_folder_is_a_reference(tmp_path, cache):
    files = tmp_path / "files"
    files.mkdir()
    for i in range(40):
        media.picture(files / f"{i}.png", np.full((8, 8, 3), 6 * i, np.uint8))
        (files / f"{i}.txt").write_text(f"a picture of thing {i % 7}\nhere is the number {i % 7} again\n")
    data = {
        "name": "folder",
        "directory": str(files),
        "names": ("image", "text"),
        "image_size": 8,
        "test_fraction": 0.3,
    }
    evaluator = lookup.build("evaluators", {"name": "captions", "target": "text", "data": data})
    source = lookup.build("data", data, split="test")
    batch = source.read(np.arange(len(source)), np.zeros(len(source), int))
    second = np.stack([source.references("text", ids)[1] for ids in batch["text"]])
    assert (second != batch["text"]).any(axis=1).all()
    entries = evaluator(lambda batch: {"text": second}, [batch])
    assert entries["exact"]["value"] == 1 and entries["bleu_4"]["value"] == pytest.approx(100)
    assert entries["bleu_1"]["references"] == 2
    assert evaluator(lambda batch: {"text": second[::-1]}, [batch])["exact"]["value"] < 1


def test_one_caption_is_the_reference_where_a_set_has_no_more(mmgen_data):
    data = {"name": "emoji", "names": ("image", "text")}
    evaluator = lookup.build("evaluators", {"name": "captions", "target": "text", "data": data, "num_examples": 60})
    source = lookup.build("data", data, split="test")
    batch = source.read(np.arange(60), np.zeros(60, int))
    entries = evaluator(lambda batch: batch, [batch])
    assert entries["bleu_1"]["references"] == entries["cider_d"]["references"] == 1
    unknown = np.mean([(row == UNKNOWN).sum() / (row > END).sum() for row in batch["text"]])
    assert 50 < entries["bleu_1"]["value"] < 100 and unknown > 0.1  # words that no model of this vocabulary can say
    assert entries["bleu_1"]["baseline"] < entries["bleu_1"]["value"]
    json.dumps(entries, allow_nan=False)
