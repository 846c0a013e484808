"""What a person gets wrong ends in one line that says what to do, exit code 1, nothing compiled and nothing written."""

import contextlib
import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny
from tiny import ROOT, mmgen

from mmgen_jax import train
from mmgen_jax.config import loading
from mmgen_jax.data import scenes

CONFIG = """
from tiny import config

def get_config(arg=""):
    return config("vae")
"""
COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration, **_: COMPILED.append(event) if "backend_compile" in event else None
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`(config file, workdir)` of a small text-to-image run."""
    folder = tmp_path_factory.mktemp("errors")
    (folder / "vae.py").write_text(CONFIG)
    train.train(loading.load(str(folder / "vae.py")), folder / "run")
    return folder / "vae.py", folder / "run"


@contextlib.contextmanager
def nothing_changes(folder):
    """Nothing below `folder` is written."""

    def stamp():
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    before = stamp()
    yield
    assert stamp() == before


def error_of(command: str) -> str:
    """The one line that `mmgen <command>` prints on stderr before it exits with 1."""
    compiled = len(COMPILED)
    code, _, errors = mmgen(*command.split(" "))
    assert code == 1
    assert COMPILED[compiled:] == []
    lines = errors.splitlines()
    assert len(lines) == 1 and lines[0].startswith("mmgen: "), lines
    return lines[0].removeprefix("mmgen: ")


def test_the_counter_counts():
    before = len(COMPILED)
    jax.jit(lambda x: x + 123.0)(1.0)
    assert len(COMPILED) > before


COMMANDS = {
    # no such command, flag, config
    "generate": "expected one command of train, evaluate, sample",
    "sampel": "did you mean 'sample'?",
    "train evaluate": "expected one command of",
    "train --confg=CONFIG --workdir=NEW": "Unknown command line flag 'confg'. Did you mean: config",
    "train --workdir=NEW": "this command needs --config",
    "train --config=CONFIG": "this command needs --workdir",
    "evaluate": "this command needs --workdir",
    "sample --workdir=RUN": "this command needs --out",
    "sample --workdir=RUN --out=NEW --num=many": "flag --num=many",
    "sample --workdir=RUN --out=NEW --num=0": "flag --num=0",
    "train --config=configs/quikstart.py --workdir=NEW": "no file configs/quikstart.py; there are: configs/any",
    "train --config=configs/dcgan.py:cifar --workdir=NEW": "digits, clothing, digits64, got 'cifar'",
    "train --config=configs/quickstart.py:digits --workdir=NEW": "takes no argument, got 'digits'",
    # the workdir
    "evaluate --workdir=NEW": "no such folder; expected one that mmgen train made",
    "sample --workdir=NEW --out=NEW": "no such folder; expected one that mmgen train made",
    "evaluate --workdir=EMPTY": "no config.json in it; expected a folder that mmgen train made",
    "sample --workdir=EMPTY --out=NEW": "no config.json in it; expected a folder that mmgen train made",
    "train --config=CONFIG --workdir=FILES": "holds files but no run (no config.json); use an empty folder",
    "train --config=CONFIG --workdir=RUN --config.optimizers.generator.lr=1": "holds a run of another config: "
    "optimizers.generator.lr was 0.001, now 1.0; use another --workdir",
    "train --config=configs/quickstart.py --workdir=RUN": "holds a run of another config",
    "evaluate --workdir=RUN": "its config has no evaluators",
    "train --config=CONFIG --workdir=CONFIG": "vae.py is a file; expected a folder, or a name that is free",
    "train --config=CONFIG --workdir=CONFIG/run": "vae.py is a file; expected a folder",
    "sample --workdir=RUN --out=CONFIG --text=star": "vae.py is a file; expected a folder",
    "retrieve --workdir=RUN --out=CONFIG --text=star": "vae.py is a file; expected a folder",
    "check-data --config=CONFIG --out=CONFIG": "vae.py is a file; expected a folder",
    "sweep --sweep=CONFIG --workdir=CONFIG": "vae.py is a file; expected a folder",
    # a folder to write to that has files
    "sample --workdir=RUN --out=FILES --text=star": "expected a new or empty folder, it holds notes.txt; give another "
    "one, or --overwrite",
    "retrieve --workdir=RUN --out=FILES --text=star": "expected a new or empty folder, it holds notes.txt",
    "check-data --config=CONFIG --out=FILES": "expected a new or empty folder, it holds notes.txt",
    "evaluate --workdir=RUN --overwrite": "--overwrite: is for sample, retrieve, check-data, not for evaluate",
    # a config that is none
    "train --config=README.md --workdir=NEW": "--config: README.md: expected a Python file, `X.py`, got .md",
    "check-data --config=configs/folder.py:pets": "configs/folder.py:FOLDER: expected a folder of files, got 'pets'",
    "sweep --sweep=README.md --workdir=NEW": "--sweep: README.md: expected a Python file",
    # what to sample
    "sample --workdir=RUN --out=NEW --text=crocodile": "word 'crocodile' is not in the vocabulary; it has: ",
    "sample --workdir=RUN --out=NEW --text=star --seed=4294967296": "seed: expected a whole number, at least 0 and at",
    "sample --workdir=RUN --out=NEW --text=star --first=-1": "first: expected a whole number, at least 0 and at most",
    "sample --workdir=RUN --out=NEW --image=star.png": "the model has 0 conditions of that kind; it has: text (text)",
}
CHANGES = {  # of the config, as `--config.<change>`
    # a typo in a key, a wrong type
    "optimizers.generater.lr=1": "did you mean 'generator'?",
    "train.stepz=1": "config.train has no field 'stepz'; did you mean 'steps'?",
    "seed.value=1": "seed is a value, it has no fields",
    "train=1": "it is a group of fields, set one of",
    "train.steps": "expected --config.train.steps=VALUE",
    "train.steps=ten": "config.train.steps: expected a value of type int, got 'ten'",
    "train.steps=1.5": "config.train.steps: expected a value of type int, got 1.5",
    "train.steps=True": "expected a value of type int, got True",
    "optimizers.generator.lr=fast": "expected a value of type float, got 'fast'",
    "data.names=image": "expected a value of type tuple, got 'image'",
    # a value that does not exist
    "fusion.name=concatenate": (
        "did you mean 'concat'? a module of your own is named by its dotted path, my_package.my_name for "
        "my_package/my_name.py, and has to be importable from where the command runs; there are: bilinear,"
    ),
    "data.name=scene": "data: 'scene' does not exist",
    "objective.name=vae": "there are: adversarial,",
    "objective.target=picture": "'picture' is not in the data; its modalities are: text, image",
    "objective.name=adversarial": "adversarial",
    "dtype=float8": "expected one of float32, bfloat16",
    "generator.norm=batchnorm": "norm kind 'batchnorm' does not exist",
    "parallel.mode=pjit": "expected 'jit' or 'pmap', got 'pjit'",
    "train.batch_size=12": "expected a multiple of the 8 devices, got 12",
    "train.batch_size=0": "batch_size: expected ",
    "train.batch_size=128": "lower batch_size",
    "train.steps=0": "config.train.steps: expected",
    "data.image_size=8": "expected at least 16, got 8",
    # a number out of its range
    "seed=-1": "config.seed: expected a whole number, at least 0 and at most 4,294,967,295, got -1",
    "seed=4294967296": "config.seed: expected a whole number, at least 0 and at most 4,294,967,295, got 4294967296",
    "seed=18446744073709551615": "config.seed: expected a whole number, at least 0 and at most 4,294,967,295",
    "train.batch_size=100000": "lower batch_size",
    "train.log_steps=0": "config.train.log_steps: expected a whole number, at least 1",
    "optimizers.generator.lr=-0.001": "config.optimizers.generator.lr: expected a number, at least 0, got -0.001",
    "optimizers.generator.b1=1.0": "optimizers.generator.b1: expected a number, at least 0 and below 1, got 1.0",
    "optimizers.generator.ema_decay=2": "optimizers.generator.ema_decay: expected",
    "optimizers.generator.clip_norm=-1": "optimizers.generator.clip_norm: expected a number, at least 0, got -1.0",
    "optimizers.generator.warmup_steps=7": "optimizers.generator.warmup_steps: with hold_steps, expected at most the 1",
    "fusion.modality_dropout=1.5": "at least 0 and at most 1 or a group of fields, got 1.5",
    "objective.beta=-1": "config.objective.beta: expected a number, at least 0, got -1.0",
    "objective.latent_dim=0": "config.objective.latent_dim: expected a whole number, at least 1",
    "generator.width=0": "config.generator.width: expected a whole number, at least 1",
    "encoders.text.features=0": "config.encoders.text.features: expected a whole number, at least 1",
    "target_encoder.channels=()": "config.target_encoder.channels: expected at least one number, got ()",
    "target_encoder.channels=(8,0)": "target_encoder.channels: expected of each value a whole number, at least 1",
    "target_encoder.channels=(1000000,1000000)": "GiB, a device has ",
}
COMMANDS |= {f"train --config=CONFIG --workdir=NEW --config.{change}": line for change, line in CHANGES.items()}


def test_a_flag_that_is_given_twice_is_refused(tmp_path):
    for flag, advice in (
        ("--text", "--text=@FILE"),
        ("--given.text", "--given.text=@FILE"),
        ("--num", "--num: is given"),
    ):
        value = "3" if flag == "--num" else "a cat"
        line = ["sample", f"--workdir={tmp_path}", f"--out={tmp_path / 'out'}", f"{flag}={value}", f"{flag}={value}"]
        code, _, error = tiny.mmgen(*line)
        assert code == 1 and "is given twice" in error and advice in error
    twice = ["--config.train.steps=0", "--config.train.steps=-1"]
    code, out, error = tiny.mmgen("train", "--config=quickstart", f"--workdir={tmp_path / 'run'}", *twice)
    assert "--config.train.steps: is given twice, the last counts: -1" in out and "got -1" in error


@pytest.mark.parametrize("command, expected", COMMANDS.items())
def test_one_line_that_says_what_to_do(command, expected, trained, tmp_path, monkeypatch):
    file, run = trained
    monkeypatch.chdir(ROOT)
    (tmp_path / "empty").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "notes.txt").write_text("mine")
    made = {"CONFIG": file, "RUN": run} | {name: tmp_path / name.lower() for name in ("NEW", "EMPTY", "FILES")}
    for name, path in made.items():
        command = re.sub(rf"\b{name}\b", str(path), command)
    with nothing_changes(run), nothing_changes(tmp_path):
        assert expected in error_of(command)


def test_the_vocabulary_is_listed(trained, tmp_path, monkeypatch):
    error = error_of(f"sample --workdir={trained[1]} --out={tmp_path / 'new'} --text=crocodile")
    assert {"red", "star", "large"} <= set(error.split())


@pytest.mark.parametrize(
    "spoil, expected",
    [
        (lambda image: {"image": image[:, :-1]}, "['image'].shape: expected [B, 16, 16, 3], got [8, 15, 16, 3]"),
        (lambda image: {"image": image * 255}, "['image'].range (image): expected values in [-1, 1], got"),
        (lambda image: {"image": image * np.nan}, "['image'].range (image): expected values in [-1, 1], got"),
        (lambda image: {"image": image.astype(np.float64)}, "['image'].dtype: expected float32, got float64"),
        (lambda image: {"text": np.full((8, 16), 1000, np.int32)}, "['text'].range (text): expected ids in [0, "),
        (lambda image: {"imgae": image}, "['imgae']: no such modality; the modalities are text, image"),
        (
            lambda image: {"image": image[:4]},
            "batch: expected one batch size for every entry, got {'text': 8, 'image': 4}",
        ),
    ],
)
def test_a_batch_that_breaks_its_contract(spoil, expected, trained, tmp_path, monkeypatch):
    read = scenes.Source.read
    monkeypatch.setattr(scenes.Source, "read", lambda self, *args: (batch := read(self, *args)) | spoil(batch["image"]))
    assert expected in error_of(f"train --config={trained[0]} --workdir={tmp_path / 'new'}")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "part, fields, expected",
    [
        ("generator", {"widht": 8}, "generators/conv: has no field 'widht'; did you mean 'width'?"),
        ("optimiser", {}, "config.optimiser: no such part; did you mean 'optimizers'?"),
        (
            "optimizers",
            {"generator": {"learning_rate": 1.0}},
            "config.optimizers.generator has no field 'learning_rate'",
        ),
        ("optimizers", {"generater": {}}, "config.optimizers: expected one for each player (generator)"),
        ("objective", {"likelihood": "poisson"}, "objective.likelihood: expected one of bernoulli, gaussian, laplace"),
        (
            "encoders",
            {"txt": {"name": "text.lstm"}},
            "config.encoders: 'txt' is not in the data; its modalities are: text,",
        ),
    ],
)
def test_a_config_file_with_a_mistake(part, fields, expected, tmp_path, monkeypatch):
    file = tmp_path / "config.py"
    file.write_text(
        "from tiny import config\n"
        "def get_config(arg=''):\n"
        "    changed = config('vae').unlock()\n"
        f"    changed.{part} = {{**changed.get({part!r}, {{}}), **{fields!r}}}\n"
        "    return changed\n"
    )
    assert expected in error_of(f"train --config={file} --workdir={tmp_path / 'new'}")
    assert not (tmp_path / "new").exists()


def test_data_that_is_not_prepared(cache, tmp_path, monkeypatch):
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    monkeypatch.chdir(ROOT)
    error = error_of(f"train --config=configs/dcgan.py:digits --workdir={tmp_path / 'new'}")
    assert "mmgen prepare-data --dataset=digits" in error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command, expected", [("train --config=x.py --workdir=x", "no file x.py"), ("tarin", "train")])
def test_as_a_command(command, expected, tmp_path):
    """One line on stderr in the shell, too, without a traceback and without the libraries' own messages."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "mmgen_jax", *command.split()]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"mmgen: [^\n]*" + re.escape(expected) + r"[^\n]*\n", done.stderr)
    assert list(tmp_path.iterdir()) == []
