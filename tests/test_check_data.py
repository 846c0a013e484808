import media_files as media
import numpy as np
import pytest

from mmgen_jax import check_data
from mmgen_jax.config import schema
from mmgen_jax.data import scenes
from mmgen_jax.data.folder import Source

SMALL = {"image_size": 8, "num_frames": 2, "audio_seconds": 0.25}


@pytest.fixture
def directory(tmp_path, cache):
    directory = tmp_path / "files"
    directory.mkdir()
    for i in range(10):
        media.picture(directory / f"{i}.png")
        if i < 8:
            (directory / f"{i}.txt").write_text("a cat " * (i + 1))
        media.sound(directory / f"{i}.wav", np.zeros(2000) if i == 0 else None)
    return directory


def test_whole_folder_is_reported(directory, tmp_path, capsys):
    (directory / "notes.md").write_text("")
    assert check_data.check_source(Source, {"directory": str(directory), **SMALL}, out=tmp_path / "out") == 0
    out = capsys.readouterr().out
    for split in ("train: 8 examples", "validation: 1 examples", "test: 1 examples"):
        assert split in out
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    present = {"text": 0, "image": 0, "audio": 0}
    missing = dict(present)
    for line in lines[:9]:
        name, words = line.split()[0], line.replace(",", "").replace(";", "").split()
        present[name] += int(words[words.index("present") - 1])
        missing[name] += int(words[words.index("missing") - 1])
    assert present == {"text": 8, "image": 10, "audio": 10} and missing == {"text": 2, "image": 0, "audio": 0}
    assert "[8, 8, 3]" in out and "16000 Hz, 0.25 s" in out and "1 silent" in out and "vocabulary 5" in out
    assert "notes.md: unknown suffix" in out and out.endswith("nothing stops training; warnings: 1\n")
    assert "WARNING audio: 9 of 10 files are longer than 0.25 s and are cut; raise data.audio_seconds\n" in out
    fields = {"directory": str(directory), **SMALL, "audio_seconds": 0.5}
    assert check_data.check_source(Source, fields) == 0
    assert capsys.readouterr().out.endswith("no problems with the data\n")
    assert (tmp_path / "out" / "train" / "image.png").is_file() and (tmp_path / "out" / "train" / "text.txt").is_file()


def test_every_problem_is_listed_with_its_file(directory, capsys):
    media.cut(directory / "3.png")
    (directory / "4.txt").write_text("")
    assert check_data.check_source(Source, {"directory": str(directory), **SMALL}) == 1
    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]
    assert len(problems) == 2 and "3.png: image.content" in problems[0] and "4.txt: text.size" in problems[1]


def test_fields_that_do_not_fit_are_a_problem(directory, capsys):
    assert check_data.check_source(Source, {"directory": str(directory), "image_sise": 8}) == 1
    assert "image_sise" in capsys.readouterr().out
    assert check_data.check_source(Source, {"directory": str(directory), "channels": 2}) == 1
    assert "data.channels: expected 1 or 3, got 2" in capsys.readouterr().out
    assert check_data.check_source(Source, {}) == 1
    assert "directory" in capsys.readouterr().out


def test_built_in_world_has_no_problems(capsys):
    fields = {"num_train": 100, "num_test": 70, "num_compositional": 10, "split": "test"}
    assert check_data.check_source(scenes.Source, fields, max_examples=80) == 0
    out = capsys.readouterr().out
    assert "train: 100 examples, of which 80 were read" in out and "test: 70 examples\n" in out
    assert "6 classes: circle=" in out


def test_batches_that_break_the_contract_are_a_problem(capsys):
    class Loud(scenes.Source):
        def read(self, indices, epochs):
            batch = super().read(indices, epochs)
            return batch | {"audio": batch["audio"] * 9}

    assert check_data.check_source(Loud, {"num_train": 100, "num_test": 10, "num_compositional": 10}) == 1
    out = capsys.readouterr().out
    assert "PROBLEM train[64:100]: batch['audio'].range" in out and out.count("PROBLEM") == 4


@pytest.fixture
def config(directory):
    config = schema.base()
    config.data = {"name": "folder", "directory": str(directory), **SMALL}
    config.encoders = {"text": {"name": "text.embedding", "features": 8}}
    config.fusion = {"name": "concat", "features": 8}
    config.generator = {"name": "conv", "width": 8}
    config.objective = {"name": "adversarial", "target": "image"}
    config.discriminator = {"name": "conv", "width": 8}
    config.optimizers = {"generator": {"lr": 1e-3}, "discriminator": {"lr": 1e-3}}
    config.train.batch_size = 4
    return config


def test_config_that_can_be_trained_passes(config, capsys):
    assert check_data.check(config) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "change, part",
    [
        (lambda c: c.data.update(name="floder"), "floder"),
        (lambda c: c.data.update(names=("text",)), "image"),
        (lambda c: c.objective.update(target="video"), "video"),
        (lambda c: c.train.update(batch_size=9), "batch_size"),
        (lambda c: c.train.update(steps_per_call=3), "12 examples"),
        (lambda c: c.evaluators.update(accuracy={"name": "classifier_accuracy"}), "evaluators.accuracy"),
        (lambda c: c.discriminator.update(name="waveform"), "discriminators/waveform: expected a sound"),
    ],
)
def test_config_that_cannot_be_trained_is_refused(config, change, part, capsys):
    change(config)
    assert check_data.check(config) == 1
    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]
    assert len(problems) == 1 and part in problems[0]


def test_derived_modalities_are_shown(config, capsys, tmp_path):
    with config.unlocked():
        config.derived = {"mask": {"name": "mask", "of": "image"}, "photo": {"name": "hole", "of": ("image", "mask")}}
    assert check_data.check(config, out=tmp_path / "out") == 0, capsys.readouterr().out
    for name in ("image", "mask", "photo"):
        assert list((tmp_path / "out" / "train").glob(f"*{name}*.png")), name


def test_pictures_show_every_class_of_a_sorted_folder(tmp_path, cache, monkeypatch):
    directory, shown = tmp_path / "classes", {}
    for name in "abcd":
        (directory / name).mkdir(parents=True)
        for i in range(40):
            media.picture(directory / name / f"{i}.png")
    monkeypatch.setattr(check_data.save, "save_samples", lambda folder, _, few, *rest: shown.update({folder.name: few}))
    assert check_data.check_source(Source, {"directory": str(directory), **SMALL}, out=tmp_path / "out") == 0
    assert sorted(np.bincount(shown["train"]["label"]).tolist()) == [2, 2, 2, 2]
