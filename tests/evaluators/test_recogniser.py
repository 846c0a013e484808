"""The judge of speech: it learns a language of tones, is cached, and judges drawn sounds."""

import json

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import speech_error_rate
from mmgen_jax.evaluators.judges import recogniser

RATE, SAMPLES = 4000, 2400
TONES = {"low": 300, "middle": 700, "high": 1500}  # Hz
SHORT = recogniser.Training(steps=120, lr=1e-2, features=24, num_layers=1)


def spoken(sentence: str, level: float) -> np.ndarray:
    """0.25 s of each word's tone, one after another."""
    time = np.arange(1000) / RATE
    sound = [np.sin(2 * np.pi * TONES[word] * time) * np.hanning(1000) for word in sentence.split()]
    return np.pad(np.concatenate(sound) * level, (0, SAMPLES - 1000 * len(sound))).astype(np.float32)


class Drawn:
    """The true sounds, at a level."""

    def __init__(self, level: float):
        self.level = np.float32(level)

    def __call__(self, batch):
        return {"audio": self.level * batch["audio"]}

    def supports(self, method: str) -> bool:
        return method == "reconstruct"

    reconstruct = __call__


@pytest.fixture
def data(cache, tmp_path):
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(list(TONES), rng.integers(1, 3))) for _ in range(120)]
    sounds = np.stack([spoken(sentence, rng.uniform(0.1, 0.5)) for sentence in words])
    np.savez(tmp_path / "tones.npz", audio=sounds, text=np.array(words), **{"audio/sample_rate": RATE})
    return {"name": "npz", "file": str(tmp_path / "tones.npz")}


@pytest.mark.slow
def test_the_judge_reads_drawn_sounds_in_words_and_is_cached(data, monkeypatch):
    judge = recogniser.load(data, "audio", "text", SHORT)
    assert judge.word_error_rate < 0.2 and judge.num_test == 12 and judge.trained_on["examples"] == 96

    monkeypatch.setattr(recogniser, "train", None)  # it must not train again, whatever the model reads texts by
    fields = {"name": "speech_error_rate", "judge": "recogniser", "target": "audio", "training": SHORT}
    characters = data | {"text_unit": "character", "fraction": 0.5}
    evaluator = lookup.build("evaluators", fields, data=characters)
    source = lookup.build("data", data | {"text_unit": "character"}, split="test")
    evaluator.suits(source.modalities, ("text",))
    batch = source.read(np.arange(12), np.zeros(12, int))
    copies = evaluator(Drawn(1.0), [batch])
    entry = copies["word_error_rate"]
    assert entry["value"] == entry["reference"] == entry["copy_synthesis"] < entry["shuffled"]
    assert entry["value"] == pytest.approx(judge.word_error_rate)
    assert entry["judge"] == judge.identity["judge"] and entry["judge_trained_on"]["source"] == "npz"
    silence = evaluator(Drawn(0.0), [batch])
    assert silence["word_error_rate"]["value"] > entry["value"] + 0.3
    json.dumps(copies, allow_nan=False)
    with pytest.raises(InputError, match="expected sounds of 2400 samples at 4000 Hz, got 100 samples at 8000 Hz"):
        judge.transcribe(np.zeros((1, 100), np.float32), 8000)


def test_its_data_needs_a_test_split(monkeypatch):
    data = {"name": "scenes", "names": ("text", "audio")}
    modalities = lookup.build("data", data, split="train").modalities
    evaluator = speech_error_rate.Evaluator(data=data, target="audio", judge="recogniser")
    evaluator.suits(modalities, ("text",))
    monkeypatch.setattr(lookup.find("data", "scenes"), "splits", ("train", "compositional"))
    with pytest.raises(InputError, match="no split 'test' to measure a judge on"):
        evaluator.suits(modalities, ("text",))
