import pickle

import numpy as np
import pytest

from mmgen_jax.data import spoken_digits
from mmgen_jax.data.cache import arrays
from mmgen_jax.data.digits import WORDS
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import check_batch

SPEAKERS = ("theo", "george")


@pytest.fixture
def made(cache, monkeypatch):
    """Made recordings: constant at 1000 × (class + 1) + 10 × recording + speaker."""
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    examples = [(d, s, i) for i in range(50) for s in range(2) for d in range(10)]
    folder = cache / "prepared" / "spoken_digit" / "train"
    with arrays.write(folder, {"export": 1, "splits": ["train"], "split": "train"}) as writer:
        writer.extend(
            {
                "audio": [np.full(100 + 40 * i, 1000 * (d + 1) + 10 * i + s, np.int16) for d, s, i in examples],
                "audio/filename": [f"{d}_{SPEAKERS[s]}_{i}.wav" for d, s, i in examples],
                "label": np.array([d for d, _, _ in examples], np.int32),
            }
        )


def read(**fields):
    source = spoken_digits.Source(**fields)
    return source, source.read(np.arange(len(source)), np.zeros(len(source), int))


@pytest.mark.parametrize("split, recordings", [("train", (10, 50)), ("validation", (5, 10)), ("test", (0, 5))])
def test_each_recording_of_a_split_once_with_its_word_and_speaker(made, split, recordings):
    source, batch = read(split=split)
    check_batch(batch, source.modalities)
    levels = np.rint(batch["audio"].max(1) * 32768).astype(int)
    found = set(zip((levels // 1000 - 1).tolist(), (levels % 1000 // 10).tolist(), (levels % 10).tolist()))
    assert found == {(d, i, s) for d in range(10) for i in range(*recordings) for s in range(2)}
    assert len(levels) == len(found)
    np.testing.assert_array_equal(batch["digit"], levels // 1000 - 1)
    assert [source.modalities["text"].tokenizer.decode(ids) for ids in batch["text"]] == [
        WORDS[d] for d in batch["digit"]
    ]
    speakers = [spoken_digits.SPEAKERS[s] for s in batch["speaker"]]
    assert speakers == [SPEAKERS[level % 10] for level in levels]


def test_characters_lengths_and_pickling(made):
    source, batch = read(split="test", names=("text", "audio"), text_unit="character", seconds=0.5)
    assert batch["audio"].shape == (100, 4000) and set(batch) == {"text", "audio"}
    assert {source.modalities["text"].tokenizer.decode(ids) for ids in batch["text"]} == set(WORDS)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.read(np.arange(3), np.zeros(3))["text"], batch["text"][:3])


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"split": "dev"}, "expected a split of train, validation, test, got 'dev'"),
        ({"names": ("image",)}, "expected names of text, audio, digit, speaker, got 'image'"),
        ({"text_unit": "byte"}, "text_unit: expected word or character, got 'byte'"),
        ({"text_unit": "character", "text_length": 5}, "text_length: expected 6 or more, got 5"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields, expected):
    with pytest.raises(ConfigError, match=expected):
        spoken_digits.Source(**fields)
