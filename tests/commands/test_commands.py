"""Commands that list, compare, clean up and help."""

import json
import pathlib
import shutil
import subprocess

import media_files as media
import numpy as np
import pytest
import tiny
from tiny import ROOT, mmgen

import mmgen_jax
from mmgen_jax import cli
from mmgen_jax.commands import completion, configs
from mmgen_jax.config import loading, override, shipped
from mmgen_jax.data import folder
from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import InputError
from mmgen_jax.runs import workdir

FLAGS = {"train": ["--config=", "--workdir="], "configs": ["--copy"], "report": ["--check"]}


def test_every_config_is_listed_by_task():
    listed = [name for names in configs.TASKS.values() for name in names]
    assert sorted(listed) == shipped.names() == sorted(file.stem for file in (ROOT / "configs").glob("*.py"))
    code, out, _ = mmgen("configs")
    assert code == 0
    for name in listed:
        first = shipped.docstring(name).splitlines()[0]
        assert first and any(name in line and first in line for line in out.splitlines())


def test_a_config_is_found_by_name_described_and_copied(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert loading.load("dcgan:digits").to_dict() == {
        **loading.load(f"{ROOT}/configs/dcgan.py:digits").to_dict(),
        "reference": "dcgan:digits",
    }
    assert mmgen("configs", "dcgan") == (0, shipped.docstring("dcgan") + "\n", "")
    assert mmgen("configs", "folder", "--copy") == (0, "configs/folder.py\n", "")
    copied = pathlib.Path("configs/folder.py")
    assert copied.read_bytes() == (ROOT / "configs/folder.py").read_bytes()
    code, _, errors = mmgen("configs", "folder", "--copy")
    assert code == 1 and "configs/folder.py: is there already; rename it" in errors


@pytest.mark.parametrize(
    "command, message",
    [
        (["train", "--config=quikstart", "--workdir=new"], "no config 'quikstart'; did you mean 'quickstart'?"),
        (["train", "--config=configs/vae.py", "--workdir=new"], "the package has one of that name: --config=vae"),
        (["configs", "gan"], "no config 'gan'"),
        (["configs", "--copy"], "expected the name of a config"),
        (["configs", "vae", "cae"], "mmgen configs [NAME [--copy]]: got 'configs vae cae'"),
        (["compare", "one"], "mmgen compare DIR DIR: got 'compare one'"),
        (["compare", "one", "two"], "one: expected the workdir of a run"),
        (["completion", "csh"], "expected one of bash, zsh, fish, got 'csh'"),
        (["train", "--split=test"], "--split: is for evaluate, retrieve, not for train"),
        (["sample", "--label=red"], "flag 'label'; what a model reads is given by --given.label=VALUE"),
        (["cache", "--evict=emoji"], "no such cache in"),
    ],
)
def test_what_cannot_be_done_is_a_line(command, message, tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    code, out, errors = mmgen(*command)
    assert (code, out) == (1, "") and message in errors and errors.count("\n") == 1


def test_two_runs_are_compared(tmp_path):
    one = tiny.config("vae")
    two = override.override(one, {"fusion.name": "gated", "objective.beta": 2.0, "train.steps": 5})
    entries = {"value": 0.5, "n": 100, "interval": [0.25, 0.75]}
    metrics = [{"test/a/x": entries, "test/a/y": entries}, {"test/a/x": entries | {"value": 0.75}}]
    metrics[1]["test/a/y"] = entries | {"n": 10}
    metrics[1]["test/a/z"] = entries
    metrics[0]["test/a/null"], metrics[1]["test/a/null"] = {"value": None, "why": "too few", "n": 1}, entries
    for name, config, measured in zip(("one", "two"), (one, two), metrics):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.json").write_text(json.dumps({"fingerprint": f"data of {name}", "examples": 9}))
        (tmp_path / name / "config.json").write_text(loading.to_json(config))
        content = {"checkpoint_step": 7, "config": "", "metrics": measured}
        (tmp_path / name / "evaluation.json").write_text(json.dumps(content))
    code, out, _ = mmgen("compare", str(tmp_path / "one"), str(tmp_path / "two"))
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line.strip()}
    assert code == 0
    assert rows["fusion.name"] == '"concat" "gated"' and rows["objective.beta"] == "not set 2.0"
    assert rows["data"] == "data of one data of two"
    assert rows["train.steps"] == "1 5" and "seed" not in rows and rows["checkpoint"] == "7 7"
    assert rows["test/a/x"] == "0.5 [0.25, 0.75] 0.75 [0.25, 0.75] +0.25"
    assert rows["test/a/y"].endswith("not comparable: n 100 and 10") and rows["test/a/z"].startswith("not measured 0.5")
    assert rows["test/a/null"] == "too few 0.5 [0.25, 0.75]"
    out = mmgen("compare", str(tmp_path / "one"), str(tmp_path / "one"))[1]
    assert "the same config" in out and "data of" not in out


@pytest.mark.parametrize("changed, remark", [(False, "other modalities of the same data"), (True, "other files or ")])
def test_runs_on_other_modalities_of_the_same_data_are_told(changed, remark, tmp_path, cache):
    files = tmp_path / "files"
    files.mkdir()
    for i in range(12):
        media.picture(files / f"{i}.png")
        (files / f"{i}.txt").write_text("a cat")
    for name, names in (("one", ("text", "image")), ("two", ("image",))):
        (tmp_path / name).mkdir()
        if changed and name == "two":
            media.picture(files / "0.png", np.zeros((8, 8, 3), np.uint8))
        source = folder.Source(directory=str(files), names=names, image_size=8)
        with workdir.prepared(tmp_path / name, tiny.config("vae"), source):
            pass
    out = mmgen("compare", str(tmp_path / "one"), str(tmp_path / "two"))[1]
    assert remark in next(line for line in out.splitlines() if line.startswith("data "))


def test_caches_are_listed_and_removed(cache, monkeypatch):
    assert mmgen("cache")[1].endswith(": 0 caches\n")
    build = lambda writer: writer.extend({"image": np.zeros((4, 1000), np.uint8)})  # noqa: E731
    for name in ("emoji/image", "folder/image"):
        arrays.cached(name, [], {"version": 1}, build)
    (arrays.cache_dir() / "notes").mkdir()
    (arrays.cache_dir() / "notes" / "mine.txt").write_text("no cache of this package")
    listed = mmgen("cache")[1].splitlines()
    assert [line.split()[0] for line in listed[:-1]] == ["emoji", "folder"] and "0.0 MB" in listed[0]
    code, out, _ = mmgen("cache", "--evict=emoji")
    assert code == 0 and "removed" in out and not (arrays.cache_dir() / "emoji").exists()
    assert "did you mean" not in mmgen("cache", "--evict=notes")[2] and (arrays.cache_dir() / "notes").exists()
    assert (arrays.cache_dir() / "folder").exists()


def test_help_and_version():
    assert mmgen("--version") == (0, f"mmgen_jax {mmgen_jax.__version__}\n", "")
    assert mmgen("--help") == mmgen("-h")
    assert all(f"mmgen {name} {usage}" in mmgen("-h")[1] for name, usage in cli.COMMANDS.items())
    shown = mmgen("retrieve", "--help")[1]
    assert {"--workdir=…", "--num=…", "--text=…"} <= set(shown.split()) and "--shard" not in shown
    assert "--check " in mmgen("report", "-h")[1]
    for name in cli.COMMANDS:
        assert mmgen(name, "--help")[1].startswith(f"mmgen {name} ")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    "words, expected",
    [
        (["mmgen", "comp"], {"compare", "completion"}),
        (["mmgen", "train", "--co"], {"--config=", "--coordinator="}),
        (["mmgen", "train", "--config", "=", "image_re"], {"image_recognition", "image_restoration"}),
        (["mmgen", "train", "--config", "="], set(shipped.names())),
        (["mmgen", "configs", "image_re"], {"image_recognition", "image_restoration"}),
        (["mmgen", "completion", "z"], {"zsh"}),
    ],
)
def test_bash_completes(words, expected):
    script = mmgen("completion", "bash")[1]
    line = " ".join(f"'{word}'" for word in words)
    test = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _mmgen; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", test], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


def test_other_shells_get_the_same_words():
    assert "bashcompinit" in completion.script("zsh", FLAGS) and "_mmgen" in completion.script("zsh", FLAGS)
    fish = completion.script("fish", FLAGS).splitlines()
    assert "complete -c mmgen -n __fish_use_subcommand -a train" in fish
    assert "complete -c mmgen -n '__fish_seen_subcommand_from configs' -l copy" in fish
    assert any("-l config -r -a 'any_to_any " in line for line in fish)
    assert any("__fish_seen_subcommand_from configs' -a 'any_to_any " in line for line in fish)
    with pytest.raises(InputError, match="expected one of bash, zsh, fish"):
        completion.script("tcsh", FLAGS)
