"""configs/folder.py: the quickstart's model on files that a user has, with no code written."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from media_files import clip, picture, sine, sound
from tiny import ROOT, Training, metrics_lines

from mmgen_jax.config import loading, override
from mmgen_jax.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    """Twelve examples: pictures, of which two are missing, ten texts and five sounds, one of them a clip's."""
    folder = tmp_path / "pets"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        stem = folder / ("more" if i % 2 else ".") / f"pet{i}"
        if i not in (3, 8):
            side = 20 + 8 * i
            picture(f"{stem}.{'png' if i % 3 else 'jpg'}", rng.integers(0, 256, (side, 40, 3), np.uint8))
        if i not in (0, 5):
            stem.with_suffix(".txt").write_text(f"a {'small' if i % 2 else 'large'} pet, number {i}\n")
        if i in (1, 4, 7, 8):
            sound(f"{stem}.wav", sine(rate=16000, seconds=0.3 + 0.1 * i), rate=16000)
    clip(folder / "pet10.mp4", samples=sine(rate=16000))
    (folder / "notes.doc").write_text("not a modality")
    return folder


def remove(folder, *suffixes):
    for path in folder.rglob("*"):
        if path.suffix in suffixes:
            path.unlink()


@pytest.fixture(autouse=True)
def in_project(cache, monkeypatch):
    monkeypatch.chdir(ROOT)


def load(folder):
    config = loading.load(f"configs/folder.py:{folder}")
    return override.override(config, {"parallel.num_devices": 1})


@pytest.mark.slow
def test_a_fresh_folder_trains_the_quickstarts_model_by_one_command(folder, tmp_path):
    changes = {"train.steps": 2, "train.log_steps": 1, "train.num_samples": 2, "optimizers.generator.warmup_steps": 0}
    command = [sys.executable, "-m", "mmgen_jax", "train", f"--config=configs/folder.py:{folder}"]
    command += [f"--workdir={tmp_path / 'run'}", *(f"--config.{k}={v}" for k, v in changes.items())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = [line for line in metrics_lines(tmp_path / "run") if "generator/loss" in line]
    assert len(lines) == 2 and all(np.isfinite(line["generator/loss"]) for line in lines)
    assert "test/reconstruction/psnr" in done.stdout


def test_it_is_the_quickstarts_model_on_what_the_folder_has(folder):
    config, quickstart = load(folder), loading.load("configs/quickstart.py")
    for part in ("encoders", "fusion", "target_encoder", "generator", "objective", "optimizers"):
        assert config[part].to_dict() == quickstart[part].to_dict(), part
    batch = Training(config).source.read(np.arange(8), np.zeros(8, int))
    assert {name for name in batch if "/" not in name} == {"text", "audio", "image"}
    assert {"audio/mask", "text/mask", "image/mask"} <= set(batch)


@pytest.mark.parametrize(
    "missing, conditions", [((".wav", ".mp4"), {"text"}), ((".txt",), {"audio"}), ((".wav", ".mp4", ".txt"), set())]
)
def test_what_a_folder_has_none_of_is_no_condition(folder, missing, conditions):
    remove(folder, *missing)
    config = load(folder)
    assert set(config.encoders) == conditions
    assert set(Training(config).system.conditions) == conditions


def test_class_folders_are_a_condition(folder):
    remove(folder, ".txt", ".wav", ".mp4")
    for i, path in enumerate(sorted(folder.rglob("*.*g"))):
        (folder / f"kind{i % 2}").mkdir(exist_ok=True)
        path.rename(folder / f"kind{i % 2}" / path.name)
    config = load(folder)
    training = Training(config)
    assert set(training.system.conditions) == {"label"}
    assert training.source.modalities["label"].classes == ("kind0", "kind1")
    assert config.fusion.modality_dropout.to_dict() == {"label": 0.05}


def test_clips_without_sound_are_no_sounds(folder):
    remove(folder, ".wav", ".mp4")
    clip(folder / "pet10.mp4")
    assert set(load(folder).encoders) == {"text"}


def test_the_batch_fits_a_small_folder_and_a_smaller_one_is_refused(folder):
    assert load(folder).train.batch_size == 8
    for i in range(40):
        shutil.copy(folder / "pet2.png", folder / f"copy{i}.png")
    assert load(folder).train.batch_size == 32
    remove(folder, ".png", ".mp4", ".wav")
    for i in range(4, 12):
        for path in folder.rglob(f"pet{i}.*"):
            path.unlink()
    with pytest.raises(ValueError, match=r"expected at least batch_size = 8 examples, got \d; lower batch_size"):
        next(Training(load(folder)).batches())


@pytest.mark.parametrize("argument", ["", ":", ":no_such_folder", ":configs/folder.py"])
def test_without_a_folder_it_says_what_it_expects(argument):
    with pytest.raises(ConfigError, match=r"configs/folder.py:FOLDER: expected a folder of files, got"):
        loading.load(f"configs/folder.py{argument}")


@pytest.mark.parametrize("texts, conditions", [(True, ""), (False, "conditions=,")])
def test_a_folder_of_sounds_is_refused_with_the_config_that_draws_sounds(texts, conditions, folder):
    remove(folder, ".png", ".jpg", ".mp4", *(() if texts else (".txt",)))
    with pytest.raises(ConfigError, match="expected images, which this config draws, got ") as error:
        load(folder)
    advised = f"any_to_any:target=audio,{conditions}folder={folder}"
    assert str(error.value).endswith(f"; use --config={advised}")
    config = loading.load(advised)
    assert config.objective.target == "audio" and config.data.directory == str(folder)
    assert list(config.get("encoders", {})) == (["text"] if texts else [])


def test_parts_of_any_to_any_come_in_any_order_and_scenes_is_the_default():
    first, *others = (
        loading.load(f"any_to_any:{parts}").to_dict() | {"reference": ""}
        for parts in (
            "scenes,target=audio,family=variational",
            "family=variational,target=audio",
            "target=audio,scenes,family=variational",
        )
    )
    assert others == [first, first]
    with pytest.raises(ConfigError, match="expected one of scenes, digits, got digits and scenes; name one"):
        loading.load("any_to_any:digits,target=audio,scenes")
