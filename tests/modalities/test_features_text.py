"""Tokenisers: what is encoded comes back, and what cannot be encoded is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen_jax.errors import TextError
from mmgen_jax.modalities.tokenizer import END, PADDING, UNKNOWN, Tokenizer, build, from_dict, split

LINES = ["A red circle, moving left.", "don't stop", "naïve café 漢字", "well-known"]
BYTE = build([], unit="byte")
BOUNDED = settings(max_examples=60, deadline=None)


@BOUNDED
@given(st.text(max_size=40))
def test_bytes_round_trip(text):
    ids = BYTE.encode(text, 161)  # at most 4 bytes a character
    assert ids.dtype == np.int32 and ids.shape == (161,) and ids.min() >= 0 and ids.max() < BYTE.vocab_size
    assert BYTE.decode(ids) == text


@BOUNDED
@given(st.text(max_size=40))
def test_characters_round_trip(text):
    tokenizer = build([text], unit="character", open=False)
    assert tokenizer.decode(tokenizer.encode(text, 41)) == text


@BOUNDED
@given(st.text(max_size=40))
def test_words_round_trip_up_to_case_and_spacing(text):
    tokenizer = build([text], unit="word", open=False)
    ids = tokenizer.encode(text, 81)
    np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(ids), 81), ids)


def test_words_are_lower_case_with_punctuation_apart():
    assert split(LINES[0], "word") == ["a", "red", "circle", ",", "moving", "left", "."]
    assert split(LINES[1], "word") == ["don't", "stop"]
    assert split(LINES[2], "word") == ["naïve", "café", "漢", "字"]
    assert split(LINES[3], "word") == ["well-known"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("Cafe\u0301 CAFÉ", ["café", "café"]),
        ("हिन्दी में एक लाल तारा", ["हिन्दी", "में", "एक", "लाल", "तारा"]),
        ("ภาพสีแดง ดาว", ["ภาพสีแดง", "ดาว"]),  # no spaces inside a phrase: one word
        ("红色的猫 3只", ["红", "色", "的", "猫", "3", "只"]),  # a word for each character
        ("漢字かな", ["漢", "字", "かな"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("می\u200cخواهم שָׁלוֹם", ["می\u200cخواهم", "שָׁלוֹם"]),
        ("it’s l’été rock’n’roll", ["it's", "l'été", "rock'n'roll"]),
        ("‘red’ ’", ["‘", "red", "’", "’"]),  # a mark of quotation stays apart
        ("İstanbul I\u0307 istanbul", ["istanbul", "i", "istanbul"]),
        ("❤\ufe0flove 1\ufe0f\u20e3", ["❤\ufe0f", "love", "1\ufe0f\u20e3"]),
    ],
)
def test_words_are_whole_in_any_script(text, words):
    assert split(text, "word") == words
    tokenizer = build([text], unit="word", open=False)
    assert split(tokenizer.decode(tokenizer.encode(text, 20)), "word") == words


def test_layout_is_ids_end_padding():
    tokenizer = Tokenizer("word", ("blue", "red"))
    assert tokenizer.encode("red blue red", 6).tolist() == [4, 3, 4, END, PADDING, PADDING]
    assert tokenizer.vocab_size == 5


@pytest.mark.parametrize("unit", ["word", "character", "byte"])
def test_empty_text_is_end_alone(unit):
    tokenizer = build(LINES, unit=unit)
    ids = tokenizer.encode("", 4)
    assert ids.tolist() == [END, 0, 0, 0]
    assert tokenizer.decode(ids) == ""


def test_open_vocabulary_reads_unknown_and_closed_refuses():
    open_, closed = build(["red circle"]), build(["red circle"], open=False)
    ids = open_.encode("red zebra", 4)
    assert ids.tolist()[1] == UNKNOWN and open_.decode(ids) == "red ?"
    with pytest.raises(TextError, match=r"'zebra' is not in the vocabulary; it has: circle red$"):
        closed.encode("red zebra", 4)


@pytest.mark.parametrize("unit, length", [("word", 7), ("character", 26), ("byte", 26)])
def test_length_counts_the_end(unit, length):
    tokenizer = build(LINES, unit=unit)
    with pytest.raises(TextError, match=f"at most {length - 1} {unit}s, got {length}"):
        tokenizer.encode(LINES[0], length)
    assert tokenizer.encode(LINES[0], length + 1)[-1] == END


@pytest.mark.parametrize(
    "tokenizer, text",
    [
        (Tokenizer("character", ("a", "\n", "\u2028")), "b\n"),
        (Tokenizer("word", tuple(f"w{i}" for i in range(5000))), "two\nlines " * 1000),
        (BYTE, "line\n" * 1000),
        (BYTE, "\ud800"),
    ],
    ids=["line breaks in the vocabulary", "large vocabulary", "long text", "lone surrogate"],
)
def test_errors_are_one_short_line(tokenizer, text):
    with pytest.raises(TextError) as error:
        tokenizer.encode(text, 20)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1000


def test_decode_stops_at_end_or_padding_and_reads_ids_it_does_not_know():
    tokenizer = Tokenizer("word", ("blue", "red"))
    assert tokenizer.decode([3, 1, 4]) == "blue"
    assert tokenizer.decode([3, 0, 4]) == "blue"
    assert tokenizer.decode([3, 99, 4]) == "blue ? red"
    assert BYTE.decode([3 + ord("a"), 2, 999, 3 + 0xFF]) == "a??\ufffd"


def test_min_count_and_order():
    tokenizer = build(["b a a", "b a c"], min_count=2)
    assert tokenizer.vocabulary == ("a", "b") and tokenizer.open


@pytest.mark.parametrize("unit", ["word", "character", "byte"])
def test_survives_json(unit):
    tokenizer = build(LINES, unit=unit)
    again = from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again == tokenizer
    np.testing.assert_array_equal(again.encode(LINES[2], 40), tokenizer.encode(LINES[2], 40))


@pytest.mark.parametrize(
    "unit, vocabulary, part", [("syllable", (), "does not exist"), ("word", ("a", "b", "a"), "'a' twice")]
)
def test_wrong_tokenizers_are_refused(unit, vocabulary, part):
    with pytest.raises(ValueError, match=part):
        Tokenizer(unit, vocabulary)
