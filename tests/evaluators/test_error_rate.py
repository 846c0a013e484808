"""Error rates against a reference implementation and on texts whose rates are known; the outside recogniser."""

import importlib.util

import jiwer
import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.data import grid_s1
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators import error_rate as evaluator
from mmgen_jax.evaluators import speech_error_rate
from mmgen_jax.evaluators.judges import pocketsphinx
from mmgen_jax.evaluators.measures import error_rate
from mmgen_jax.modalities.modality import Modality

DATA = {"name": "scenes", "names": ("text", "image"), "image_size": 16, "num_train": 64, "num_test": 40}
installed = pytest.mark.skipif(importlib.util.find_spec("pocketsphinx") is None, reason="pocketsphinx is not installed")


def distance(a, b) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@pytest.mark.parametrize("unit", ["word", "character"])
def test_edits_are_levenshteins_and_the_rate_is_jiwers(unit):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["ab", "b", "cab"], rng.integers(1, 7))) for _ in range(40)]
    references, hypotheses = texts[:20], texts[20:]
    wrong, total = error_rate.edits(references, hypotheses, unit)
    split = str.split if unit == "word" else list
    assert wrong.tolist() == [distance(split(a), split(b)) for a, b in zip(references, hypotheses)]
    assert total.tolist() == [len(split(a)) for a in references]
    whole = {"word": jiwer.wer, "character": jiwer.cer}[unit](references, hypotheses)
    assert error_rate.rate(wrong, total) == pytest.approx(whole)
    low, high = error_rate.bootstrap(wrong, total)
    assert low < whole < high


def test_a_rate_may_exceed_one_and_an_empty_reference_counts_insertions():
    wrong, total = error_rate.edits(["a", ""], ["a b c d", "x y"])
    assert wrong.tolist() == [3, 2] and total.tolist() == [1, 0]
    assert error_rate.rate(wrong, total) == 5
    assert error_rate.edits([""], [""])[0] == 0 and error_rate.edits(["a b"], [""])[0] == 2
    with pytest.raises(InputError, match="empty references"):
        error_rate.rate(*error_rate.edits([""], ["a"]))
    entries = evaluator.rates({"value": (["", ""], ["a", ""])})
    assert entries["word_error_rate"]["value"] is None and "empty references" in entries["word_error_rate"]["why"]
    assert entries["exact"]["value"] == 0.5


def batches(names):
    source = lookup.build("data", DATA | {"names": names}, split="test", seed=0)
    for start in range(0, len(source), 16):
        indices = np.arange(start, min(start + 16, len(source)))
        yield source.read(indices, np.zeros(len(indices), int))


def test_copies_have_no_errors_and_beat_the_controls():
    measure = evaluator.Evaluator(data=DATA, target="text")
    copies = measure(lambda batch: {"text": batch["text"]}, batches(("text", "image")))
    for name in ("word_error_rate", "character_error_rate"):
        entry = copies[name]
        assert entry["value"] == 0 and entry["n"] == 40 and entry["interval"] == [0, 0]
        assert entry["shuffled"] > 0 and entry["baseline"] > 0
    assert copies["exact"]["value"] == 1 > copies["exact"]["shuffled"]

    frequent = copies["exact"]["most_frequent"]
    tokenizer = lookup.build("data", DATA, split="test", seed=0).modalities["text"].tokenizer
    same = tokenizer.encode(frequent, 20)
    constant = measure(lambda batch: {"text": np.tile(same, (len(batch["text"]), 1))}, batches(("text", "image")))
    assert constant["word_error_rate"]["value"] == constant["word_error_rate"]["baseline"]
    assert constant["word_error_rate"]["value"] == pytest.approx(constant["word_error_rate"]["shuffled"])


def test_a_judge_that_does_not_fit_is_refused():
    sound = {"audio": Modality("audio", (100,), sample_rate=16000), "text": Modality("text", (6,))}
    with pytest.raises(ConfigError, match="judge: expected pocketsphinx or recogniser, got 'nobody'"):
        speech_error_rate.Evaluator(data=DATA, target="audio", judge="nobody").suits(sound, ("text",))
    if importlib.util.find_spec("pocketsphinx"):
        with pytest.raises(ConfigError, match="texts of a grammar, and those of 'scenes' have none"):
            speech_error_rate.Evaluator(data=DATA, target="audio").suits(sound, ("text",))


def test_the_grammar_has_the_alternatives_of_each_place():
    assert pocketsphinx.jsgf([("a", "b"), ("c",)]).splitlines()[-1] == "public <text> = ( a | b ) ( c );"


@pytest.mark.slow
@installed
def test_the_outside_recogniser_reads_true_clips_and_no_noise(mmgen_data):
    source = grid_s1.Source(split="test", names=("text", "audio"), directory=str(mmgen_data / "grid_s1"))
    batch = source.read(np.arange(12), np.zeros(12, int))
    judge = pocketsphinx.Judge(source.grammar)
    references = [source.modalities["text"].tokenizer.decode(ids) for ids in batch["text"]]
    heard = judge.transcribe(batch["audio"], 16000)
    assert error_rate.rate(*error_rate.edits(references, heard)) < 0.3  # 0.126 of all 111
    noise = np.random.default_rng(0).normal(0, 0.1, (4, 48000)).astype(np.float32)
    assert error_rate.rate(*error_rate.edits(references[:4], judge.transcribe(noise, 16000))) > 0.5
    assert "pocketsphinx" in judge.identity["judge"]
