"""Which held-out examples a run shows samples for: drawn by the seed, every class in turn."""

import types

import numpy as np
import pytest
import soundfile

from mmgen_jax.modalities import save
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import build
from mmgen_jax.runs import samples
from mmgen_jax.runs.samples import choose


class Sorted:
    """Ten classes, sorted, a hundred examples each, or without their label."""

    def __init__(self, labelled=True):
        self.modalities = {"image": Modality("image", (2, 2, 1))}
        if labelled:
            self.modalities["digit"] = Modality("label", classes=tuple("0123456789"))

    def __len__(self):
        return 1000

    def read(self, indices, epochs):
        return {"digit": np.asarray(indices, np.int32) // 100}


def test_every_class_in_turn():
    chosen = choose(Sorted(), 16, seed=0)
    assert (chosen // 100).tolist() == [*range(10), *range(6)]
    assert len(set(chosen.tolist())) == 16


def test_a_sorted_split_without_labels_is_drawn_from_all_over():
    chosen = choose(Sorted(labelled=False), 16, seed=0)
    assert len(set(chosen.tolist())) == 16 and len(set((chosen // 100).tolist())) >= 5


def test_the_choice_is_the_seeds():
    for labelled in (True, False):
        first, again, other = (choose(Sorted(labelled), 16, seed) for seed in (0, 0, 1))
        assert first.tolist() == again.tolist() != other.tolist()


def test_a_small_split_is_shown_whole():
    small = Sorted()
    small.__class__ = type("Small", (Sorted,), {"__len__": lambda self: 5})
    assert sorted(choose(small, 5, seed=0).tolist()) == [0, 1, 2, 3, 4]


class Speaker:
    """A sampler of sounds whose attention is on one token at each step."""

    def __init__(self):
        text = Modality("text", (4,), tokenizer=build("abc", "character"))
        modalities = {"text": text, "audio": Modality("audio", (400,), sample_rate=4000)}
        self.system = types.SimpleNamespace(modalities=modalities, conditions=("text",), targets=("audio",))

    def supports(self, method):
        return method == "align"

    def __call__(self, batch):
        return {"audio": np.zeros((len(batch["text"]), 400), np.float32)}

    def align(self, batch, numbers):
        assert numbers.tolist() == [[0, i] for i in range(len(batch["text"]))]  # of the samples that are saved
        return {"weights": np.tile(np.eye(6, 4)[None], (len(numbers), 1, 1))}


def test_the_attention_is_saved_beside_the_samples(tmp_path):
    speaker = Speaker()
    tokenizer = speaker.system.modalities["text"].tokenizer
    batch = {"text": np.stack([tokenizer.encode(text, 4) for text in ("ab", "c")])}
    paths = samples.save_all(tmp_path, 7, batch, speaker)
    names = {path.name for path in paths}
    assert names == {"0000007_audio_0.wav", "0000007_audio_1.wav", "0000007_audio.png", "0000007_alignment.png"}
    assert all(path.is_file() for path in paths)
    picture = samples._alignments(batch, 2, speaker)
    assert picture.shape == (2, 1, 4, 6, 1)
    assert picture[0, 0, -1, 0] == picture[0, 0, 0, 3] == 255 and picture.sum() == 2 * 4 * 255  # upwards


def test_a_sound_that_the_disk_has_no_room_for_is_an_error_of_the_system(tmp_path, monkeypatch):
    """libsndfile's own error would end a training, which goes on without its samples."""

    def full(*_, **__):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile, "write", full)
    sound = {"sound": np.zeros((1, 800), np.float32)}
    with pytest.raises(OSError) as error:
        save.save_samples(tmp_path, 1, sound, {"sound": Modality("audio", (800,), sample_rate=8000)}, None, {})
    assert error.value.filename == str(tmp_path / "0000001_sound_0.wav")
