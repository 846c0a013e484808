"""Data that changed behind a trained run is refused, wherever the run reads data; data that has only moved is read."""

import contextlib
import json
import pathlib
import shutil
import types

import media_files as media
import numpy as np
import pytest
import tiny

from mmgen_jax import api, evaluate, retrieve, sweep, train
from mmgen_jax.config import loading
from mmgen_jax.config.override import override
from mmgen_jax.config.system import open_source
from mmgen_jax.data import fingerprint, scenes
from mmgen_jax.errors import ConfigError, SweepError
from mmgen_jax.results import lines
from mmgen_jax.runs import data

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
CHANGED = r"the data is no longer what this run began with \(.*\); restore the data"


def pets(folder: pathlib.Path, num: int = 12) -> pathlib.Path:
    folder.mkdir(parents=True)
    for i in range(num):
        colour = list(COLOURS)[i % 3]
        media.picture(folder / f"pet{i}.png", np.full((16, 16, 3), COLOURS[colour], np.uint8))
        (folder / f"pet{i}.txt").write_text(f"a {colour} pet")
    return folder


def add_one(folder: pathlib.Path) -> None:
    media.picture(folder / "new.png", np.zeros((16, 16, 3), np.uint8))
    (folder / "new.txt").write_text("an aardvark")


def paint_one(folder: pathlib.Path) -> None:
    """A picture of the same size in bytes."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    before = (folder / "pet1.png").read_bytes()
    media.picture(folder / "pet1.png", pixels)
    after = (folder / "pet1.png").read_bytes()
    size = max(len(before), len(after))
    (folder / "pet1.png").write_bytes(after.ljust(size, b"\0"))


def double(folder: pathlib.Path) -> None:
    for file in list(folder.iterdir()):
        shutil.copy(file, folder / f"again_{file.name}")


CHANGES = {
    "an example more": add_one,
    "an example fewer": lambda folder: [file.unlink() for file in folder.glob("pet1.*")],
    "every example twice": double,
    "another caption": lambda folder: (folder / "pet1.txt").write_text("a blue pet"),
    "another picture": paint_one,
    "another name": lambda folder: [file.rename(folder / f"z{file.name}") for file in folder.glob("pet1.*")],
}


def config_of(folder, **train_fields):
    config = tiny.config("vae", **train_fields).copy_and_resolve_references()
    with config.unlocked():
        config.data = {"name": "folder", "directory": str(folder), "names": ("text", "image"), "image_size": 16}
        config.data.update({"test_fraction": 0.2, "validation_fraction": 0.0, "text_length": 16})
        config.evaluators = {"pixels": {"name": "reconstruction", "from_target": True}}
        config.parallel.num_devices = 1
    return config.lock()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`(folder, workdir)` of a text-to-image run."""
    place = tmp_path_factory.mktemp("changed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGEN_CACHE", str(place / "cache"))
        folder = pets(place / "pets")
        train.train(config_of(folder), place / "run")
    return folder, place / "run"


@pytest.fixture
def copied(trained, tmp_path, cache):
    """As `trained`, to be spoilt: the run's config names the folder's copy."""
    folder, workdir = (shutil.copytree(path, tmp_path / path.name) for path in trained)
    file = workdir / "config.json"
    file.write_text(file.read_text().replace(str(trained[0]), str(folder)))
    return folder, workdir


@pytest.mark.parametrize("change", CHANGES)
def test_a_fingerprint_tells_every_change(change, tmp_path, cache):
    folder = pets(tmp_path / "pets")
    before = fingerprint.of(open_source(config_of(folder)))
    assert fingerprint.of(open_source(config_of(shutil.copytree(folder, tmp_path / "moved")))) == before
    CHANGES[change](folder)
    assert fingerprint.of(open_source(config_of(folder))) != before


@pytest.mark.parametrize("suffix", [".wav", ".bmp", ".npy"])
def test_one_byte_of_an_uncompressed_file_is_told(suffix, tmp_path):
    """Also far from the blocks that are read of other files; their sizes and ends stay."""
    file = tmp_path / f"x{suffix}"
    content = bytearray(np.random.default_rng(0).bytes(20 * fingerprint.BLOCK))
    file.write_bytes(content)
    before = fingerprint.of_file(file)
    content[5 * fingerprint.BLOCK] ^= 1
    file.write_bytes(content)
    assert fingerprint.of_file(file) != before and fingerprint.of_file(file)[0] == before[0]


@pytest.mark.parametrize("field, value", [("test_fraction", 0.3), ("image_size", 8), ("text_unit", "byte")])
def test_a_fingerprint_tells_split_and_fields(field, value, tmp_path, cache):
    config = config_of(pets(tmp_path / "pets"))
    changed = override(config, {f"data.{field}": value})
    assert fingerprint.of(open_source(changed)) != fingerprint.of(open_source(config))


def test_a_built_in_set_is_told_by_its_fields():
    config = tiny.config("vae")
    before = fingerprint.of(open_source(config))
    assert before == fingerprint.of(open_source(config)) and len(before) == fingerprint.DIGITS
    other = [override(config, change) for change in ({"data.num_train": 48}, {"data.image_size": 24}, {"seed": 1})]
    assert len({before, *(fingerprint.of(open_source(config)) for config in other)}) == 4
    part = config.copy_and_resolve_references().unlock()
    part.data.fraction = 0.5
    assert fingerprint.of(open_source(part)) == before  # the part is the config's, the data is the same


def test_evaluation_names_the_data_and_refuses_other(copied):
    folder, workdir = copied
    before = json.loads((workdir / evaluate.FILE).read_text())
    assert before["data"] == json.loads((workdir / data.FILE).read_text())["fingerprint"]
    again = evaluate.evaluate(workdir)
    assert again.keys() == before["metrics"].keys()
    measured = (workdir / evaluate.FILE).read_bytes()
    add_one(folder)
    code, _, errors = tiny.mmgen("evaluate", f"--workdir={workdir}")
    assert "(where it has moved: --config.data.directory=PATH)" in errors
    assert code == 1 and "10 training examples with fingerprint" in errors and ", now 10 with " in errors
    assert "vocabulary differ" in errors
    with pytest.raises(ConfigError, match=CHANGED):
        api.evaluate(workdir)
    assert (workdir / evaluate.FILE).read_bytes() == measured


@pytest.mark.slow
def test_sampling_reads_no_data(copied):
    folder, workdir = copied
    before = api.sample(workdir, {"text": "a red pet"}, num=2)["image"]
    add_one(folder)
    np.testing.assert_array_equal(api.sample(workdir, {"text": "a red pet"}, num=2)["image"], before)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(api.sample(workdir, {"text": "a red pet"}, num=2)["image"], before)


def test_training_does_not_go_on_with_other_data(copied):
    folder, workdir = copied
    double(folder)
    follows = config_of(folder, batch_size=4)  # as a batch size may follow from the number of examples
    for config in (config_of(folder), config_of(folder, steps=2), follows):  # a finished run is measured again
        with pytest.raises(ConfigError, match=CHANGED):
            train.train(config, workdir)


@pytest.mark.slow
def test_data_that_has_moved_is_given_again(copied, tmp_path):
    folder, workdir = copied
    before = evaluate.read(workdir)
    moved = folder.rename(tmp_path / "elsewhere")
    code, _, errors = tiny.mmgen("evaluate", f"--workdir={workdir}")
    assert code == 1 and "data.directory: expected a folder, got nothing" in errors
    code, _, errors = tiny.mmgen("evaluate", f"--workdir={workdir}", f"--config.data.directory={moved}")
    assert code == 0, errors
    after = evaluate.read(workdir)
    assert {name: entry["value"] for name, entry in after.items()} == pytest.approx(
        {name: entry["value"] for name, entry in before.items()}, rel=1e-4
    )
    assert train.train(config_of(moved, steps=2), workdir).step == 2  # and from here on, the run names the new place
    assert evaluate.evaluate(workdir).keys() == before.keys()
    add_one(moved)
    with pytest.raises(ConfigError, match=CHANGED):
        evaluate.evaluate(workdir, changes={"data.directory": str(moved)})


def test_a_run_without_a_fingerprint_goes_on_and_says_so(copied, monkeypatch):
    folder, workdir = copied
    (workdir / data.FILE).unlink()
    said = []
    monkeypatch.setattr(data.logging, "warning", lambda message, *values: said.append(message % values))
    assert evaluate.evaluate(workdir)
    assert len(said) == 1 and "no fingerprint of its data" in said[0] and "\n" not in said[0]
    with pytest.raises(ConfigError, match=r"data\.directory was"):  # what could not be compared may not move
        train.train(config_of(shutil.copytree(folder, folder.parent / "copy")), workdir)
    (folder / "pet2.txt").write_text("an aardvark")
    with pytest.raises(ConfigError, match=r"vocabulary differ from modalities\.json"):
        evaluate.evaluate(workdir)


def test_what_changes_while_a_run_trains_changes_none_of_its_numbers(trained, copied, monkeypatch, tmp_path):
    folder, _ = copied
    whole = evaluate.read(trained[1])
    prepared = train.prepared

    @contextlib.contextmanager
    def changed_after_the_start(workdir, config, source):
        with prepared(workdir, config, source):
            add_one(folder)
            yield

    monkeypatch.setattr(train, "prepared", changed_after_the_start)
    train.train(config_of(folder), tmp_path / "other")
    found = evaluate.read(tmp_path / "other")
    assert {k: v["value"] for k, v in found.items()} == pytest.approx(
        {k: v["value"] for k, v in whole.items()}, rel=1e-4
    )


@pytest.mark.slow
def test_retrieval_refuses_other_data(tmp_path, cache):
    folder = pets(tmp_path / "pets")
    config = config_of(folder).copy_and_resolve_references().unlock()
    config.objective = {"name": "contrastive", "target": "image"}
    config.target_encoder = {"name": "image.cnn", "features": 8, "channels": (8,)}
    config.optimizers, config.evaluators = {"encoder": {"lr": 1e-3}}, {}
    del config.generator
    train.train(config.lock(), tmp_path / "run")
    given = {"image": str(folder / "pet0.png")}
    paths = retrieve.retrieve(tmp_path / "run", tmp_path / "out", given, num=2)
    captions = next(path for path in paths if path.suffix == ".txt").read_text().splitlines()
    held = {(folder / file.name).read_text() for file in folder.glob("*.txt")}
    assert captions and all(any(caption.endswith(text) for text in held) for caption in captions)
    moved = shutil.copytree(folder, tmp_path / "moved")
    add_one(folder)
    with pytest.raises(ConfigError, match=CHANGED):
        retrieve.retrieve(tmp_path / "run", tmp_path / "no", given, num=2)
    assert not (tmp_path / "no").exists()
    arguments = ["retrieve", f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'yes'}", f"--image={given['image']}"]
    code, _, errors = tiny.mmgen(*arguments, f"--config.data.directory={moved}")
    assert code == 0, errors


@pytest.mark.parametrize("version, refused", [(1, False), (2, True)])
def test_a_line_without_a_fingerprint_is_of_version_1_of_its_source(version, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(scenes.Source, "version", version, raising=False)
    cell = types.SimpleNamespace(config=tiny.config("vae"), config_hash="ab12", name="cell")
    lines.append(tmp_path / lines.FILE, {"config_hash": "ab12", "metrics": {}})
    with pytest.raises(SweepError, match="of version 1 of scenes") if refused else contextlib.nullcontext():
        sweep.check_data([cell], tmp_path / lines.FILE)


def test_a_sweep_names_the_data_of_a_line_and_refuses_to_mix(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = pets(tmp_path / "pets")
    (tmp_path / "config.py").write_text(
        "from runs.test_changed_data import config_of\n\n\n"
        f"def get_config(arg=''):\n    return config_of({str(folder)!r}).copy_and_resolve_references().unlock()\n"
    )
    file = tmp_path / "made" / "sweep.py"
    file.parent.mkdir()
    file.write_text("def cells():\n    return [{'config': 'config.py', 'seeds': (0, 1)}]\n")
    monkeypatch.syspath_prepend(str(tiny.ROOT / "tests"))
    of_seeds = [fingerprint.of(open_source(override(loading.load("config.py"), {"seed": seed}))) for seed in (0, 1)]

    def trained(cell, *_):
        if cell.seed == 1:
            add_one(folder)  # after the run has read its data
        return {"seconds": 1.0, "steps": 1, "metrics": {}}

    monkeypatch.setattr(sweep, "_train", trained)
    sweep.run(file, tmp_path / "runs")
    written = lines.read(file.parent / lines.FILE)
    assert [line["data"] for line in written] == of_seeds
    with pytest.raises(SweepError, match=r"results\.jsonl: the line of config_seed=0_\w+ is of data with fingerprint"):
        sweep.run(file, tmp_path / "runs")
    assert lines.read(file.parent / lines.FILE) == written
