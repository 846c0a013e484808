"""Sheets of several models' samples from the same prompts."""

import json
import shutil

import numpy as np
import PIL.Image
import pytest
import tiny

from mmgen_jax import train
from mmgen_jax.config import loading, schema
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError, TextError
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities import fonts
from mmgen_jax.modalities.grid import to_uint8
from mmgen_jax.results import sheets
from mmgen_jax.results.cells import load
from mmgen_jax.runs import data
from mmgen_jax.runs.workdir import restore

PROMPTS = ("a large red star", "a small blue circle")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "vae"
    train.train(tiny.config("vae", steps=1), workdir)
    return workdir


@pytest.mark.slow
def test_a_sheet_shows_what_each_model_draws(run):
    sheet = np.asarray(sheets.prompt_sheet({"a": run, "b": run}, PROMPTS, num=3, seed=5))
    _, system, sampler, _ = restore(run)
    sampler.seed = 5
    tokenizer, length = system.modalities["text"].tokenizer, system.modalities["text"].shape[0]
    ids = np.stack([tokenizer.encode(prompt, length) for prompt in PROMPTS])
    drawn = sampler({"text": np.repeat(ids, 3, axis=0)})["image"].reshape(2, 3, 16, 16, 3)
    for row, pictures in enumerate(drawn):
        expected = to_uint8(np.concatenate(list(pictures), axis=1)).repeat(3, axis=0).repeat(3, axis=1)
        height, width, _ = expected.shape  # 16 px thrice
        top, right = sheets.LINE + row * (height + sheets.GAP), sheet.shape[1] - sheets.GAP
        for left in (right - width, right - width - sheets.GAP - width):
            np.testing.assert_array_equal(sheet[top : top + height, left : left + width], expected)


@pytest.mark.slow
@pytest.mark.parametrize("target,columns", [("audio", 1), ("video", sheets.MAX_FRAMES)])
def test_a_sound_is_shown_as_its_spectrogram_and_a_clip_as_a_contact_sheet(tmp_path, target, columns):
    config = tiny.shrink(loading.load(f"configs/any_to_any.py:scenes,target={target},family=variational"))
    train.train(config, tmp_path / "run")
    _, system, sampler, _ = restore(tmp_path / "run")
    modality, text = system.modalities[target], system.modalities["text"]
    ids = text.tokenizer.encode(PROMPTS[0], text.shape[0])[None]
    frames = modality.traits.frames(target, sampler({"text": ids})[target])[0]
    assert len(frames) == (1 if target == "audio" else 4) and frames.dtype == np.uint8
    shown = np.concatenate(list(frames[:columns]), axis=1)
    factor = -(-sheets.SMALLEST // len(shown))
    expected = np.broadcast_to(shown, (*shown.shape[:2], 3)).repeat(factor, axis=0).repeat(factor, axis=1)
    sheet = np.asarray(sheets.prompt_sheet({"a": tmp_path / "run"}, PROMPTS[:1], num=1))
    top, right = sheets.LINE, sheet.shape[1] - sheets.GAP
    np.testing.assert_array_equal(sheet[top : top + len(expected), right - expected.shape[1] : right], expected)


@pytest.fixture(scope="module")
def restored(tmp_path_factory):
    """A model that draws scenes from themselves at half the size, after a step."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image",)}
    config.derived = {"photo": {"name": "downsample", "of": "image", "factor": 2}}
    config.aligned = ("photo",)
    config.objective = {"name": "regression", "target": "image"}
    config.generator = {"name": "subpixel", "width": 8, "num_blocks": 1}
    config.optimizers = {"generator": {"lr": 1e-3}}
    workdir = tmp_path_factory.mktemp("restored") / "run"
    train.train(tiny.shrink(config.lock(), steps=1), workdir)
    return workdir


def test_a_sheet_of_examples_has_the_worst_last(restored):
    sheet = np.asarray(sheets.example_sheet({"model": (restored, {})}, ("photo",), "image", num=2, worst=1))
    config, _, sampler, _ = restore(restored)
    source = open_source(config, "test")
    rows = examples.order(len(source))[: sheets.CANDIDATES]
    batch = source.read(rows, np.zeros(len(rows), int))
    drawn = sampler(batch)["image"]
    errors = np.square(drawn - batch["image"]).reshape(len(rows), -1).mean(1)
    worst = 2 + int(np.argmax(errors[2:]))
    assert sheet.shape[0] == sheets.LINE + 3 * (48 + sheets.GAP) + sheets.LINE  # 16 px thrice
    for row, number in enumerate((0, 1, worst)):
        top = sheets.LINE + row * (48 + sheets.GAP) + (sheets.LINE if row == 2 else 0)
        left = sheets.GAP
        for array, factor in ((batch["photo"], 6), (drawn, 3), (batch["image"], 3)):
            expected = to_uint8(array[number]).repeat(factor, axis=0).repeat(factor, axis=1)
            np.testing.assert_array_equal(sheet[top : top + 48, left : left + 48], expected)
            left += max(48, round(fonts.length({6: "photo"}.get(factor, "model"), sheets.FONT_SIZE))) + sheets.GAP
    with pytest.raises(ConfigError, match="expected at least one run, got none"):
        sheets.example_sheet({}, ("photo",), "image")


def test_a_sheet_of_examples_refuses_other_data_than_the_runs(restored, tmp_path):
    workdir = shutil.copytree(restored, tmp_path / "run")
    record = json.loads((workdir / data.FILE).read_text())
    (workdir / data.FILE).write_text(json.dumps(record | {"fingerprint": "0123456789ab"}))
    for runs in ({"other": (workdir, {})}, {"same": (restored, {}), "other": (workdir, {})}):
        with pytest.raises(ConfigError, match="the data is no longer what this run began with"):
            sheets.example_sheet(runs, ("photo",), "image", num=2, worst=1)


def test_sheets_are_stacked_under_their_headings():
    parts = {name: PIL.Image.new("RGB", size, name) for name, size in (("red", (30, 8)), ("blue", (50, 9)))}
    whole, line = np.asarray(sheets.stack(parts)), sheets.LINE + sheets.GAP
    assert whole.shape == (2 * line + 17, 50, 3)
    assert (whole[line : line + 8, :30] == (255, 0, 0)).all() and (whole[-9:] == (0, 0, 255)).all()
    assert (whole[line : line + 8, 30:] == 255).all() and (whole[:line] != 255).any()
    beside = np.asarray(sheets.stack(parts, beside=True))
    first = max(30, sheets.GAP + round(fonts.length("red", sheets.FONT_SIZE)))
    assert beside.shape == (line + 9, first + 50, 3)
    assert (beside[line : line + 8, :30] == (255, 0, 0)).all() and (beside[line:, first:] == (0, 0, 255)).all()
    with pytest.raises(ConfigError, match="at least one sheet"):
        sheets.stack({})


def test_a_word_that_the_model_does_not_know_is_refused(run):
    with pytest.raises(TextError, match="purple"):
        sheets.prompt_sheet({"a": run}, ["a purple star"])


@pytest.mark.slow
def test_a_model_without_a_text_is_refused(tmp_path):
    train.train(tiny.config("autoencoder", steps=1), tmp_path / "run")
    with pytest.raises(ConfigError, match="draws from one text"):
        sheets.prompt_sheet({"a": tmp_path / "run"}, PROMPTS)


def test_without_runs_there_is_no_sheet():
    with pytest.raises(ConfigError, match="at least one run"):
        sheets.prompt_sheet({}, PROMPTS)


def test_the_first_finished_run_of_each_row(tmp_path):
    (tmp_path / "sweep.py").write_text(
        "def cells():\n"
        "    return [\n"
        "        {'label': 'real', 'config': 'configs/vae.py:scenes', 'baseline': 'mean_example', 'seeds': (0,)},\n"
        "        {'label': 'VAE', 'config': 'configs/vae.py:scenes', 'seeds': (0, 1, 2)},\n"
        "        {'label': 'GAN', 'config': 'configs/dcgan.py:scenes', 'seeds': (0,)},\n"
        "    ]\n"
    )
    cells = load(tmp_path / "sweep.py")
    for cell in cells[2:4]:  # seeds 1 and 2 of the VAE
        (tmp_path / "runs" / cell.name).mkdir(parents=True)
    with pytest.raises(ConfigError, match="no finished run"):
        sheets.first_runs(tmp_path / "sweep.py", tmp_path / "runs")
    for cell in cells[2:4]:
        (tmp_path / "runs" / cell.name / "evaluation.json").write_text("{}")
    assert sheets.first_runs(tmp_path / "sweep.py", tmp_path / "runs") == {"VAE": tmp_path / "runs" / cells[2].name}


@pytest.mark.slow
def test_samples_are_written_beside_the_script(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "first_runs", lambda *_: {"a": run, "b": run, "c": run})
    whole = np.asarray(PIL.Image.open(sheets.write(tmp_path / "sheet.py", "runs", PROMPTS, num=1)).convert("RGB"))
    one = PIL.Image.open(sheets.write(tmp_path / "sheet.py", "runs", PROMPTS, num=1, labels=("b",))).convert("RGB")
    assert (tmp_path / "samples.png").is_file()
    exact = np.asarray(sheets.prompt_sheet({"a": run, "b": run, "c": run}, PROMPTS, num=1), float)
    assert whole.shape == exact.shape and np.abs(whole - exact).mean() < 3  # 256 colours
    assert one.width < whole.shape[1]
    with pytest.raises(ConfigError, match="no finished run of d; there is one of a, b, c"):
        sheets.write(tmp_path / "sheet.py", "runs", PROMPTS, labels=("a", "d"))
