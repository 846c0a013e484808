"""Every shell block of README.md runs: in this process, with networks, data and steps as small as they get.

A block is a shell block where each of its lines begins with `mmgen`, `pip` or `pytest`; `&&` separates commands.
Skipped are `pip`, which installs and needs the network, and `pytest`, which is this suite. In a synopsis (a block with
`[--flag]`) words stand for what a reader puts there: its lines are compared with the commands and their flags instead.
"""

import re
import shlex

import media_files as media
import pytest
import tiny
from tiny import ROOT

from mmgen_jax import cli
from mmgen_jax.commands import help
from mmgen_jax.config import loading, override

SKIPPED = ("pip", "pytest")


def blocks() -> list[list[str]]:
    """The lines of each shell block, without comments."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    split = [[line.partition(" #")[0].strip() for line in block.splitlines() if line.strip()] for block in fenced]
    return [lines for lines in split if all(line.split()[0] in ("mmgen", *SKIPPED) for line in lines)]


def commands() -> list[list[str]]:
    """The words of each command that is run, in the order of the page."""
    lines = [line for lines in blocks() if not is_synopsis(lines) for line in lines]
    split = [shlex.split(command) for line in lines for command in line.split("&&")]
    return [words for words in split if words[0] not in SKIPPED]


def is_synopsis(lines: list[str]) -> bool:
    return any(re.search(r"\[(--|[A-Z])", line) for line in lines)


@pytest.fixture
def pets(tmp_path):
    """The folder that the page shows, with enough examples to train on."""
    folder = tmp_path / "pets"
    (folder / "dog").mkdir(parents=True)
    for i in range(14):
        media.picture(folder / f"cat{i}.png")
        media.sound(folder / f"cat{i}.wav")
        (folder / f"cat{i}.txt").write_text(f"a {'black' if i % 2 else 'white'} cat")
    media.clip(folder / "dog" / "7.mp4", samples=media.sine(16_000))
    (folder / "dog" / "7.txt").write_text("a brown dog")


def test_the_blocks_are_found():
    synopsis = [lines for lines in blocks() if is_synopsis(lines)]
    assert len(synopsis) == 1 and [words[1] for words in commands()] == ["train", "sample", "check-data", "train"]


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, pets, cache):
    load = loading.load

    def small(reference, layout=""):
        return override.override(tiny.shrink(load(reference, layout), num_samples=2), {"parallel.num_devices": 1})

    monkeypatch.setattr(loading, "load", small)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for words in commands():
        code, out, errors = tiny.mmgen(*words[1:])
        assert code == 0, f"{shlex.join(words)}: {out}{errors}"
    assert list((tmp_path / "out").glob("*.png"))
    assert all((tmp_path / "runs" / name / "checkpoints").is_dir() for name in ("quickstart", "pets"))


def test_the_synopsis_names_every_command_and_flags_that_there_are():
    lines = next(lines for lines in blocks() if is_synopsis(lines))
    assert {line.split()[1] for line in lines} == set(cli.COMMANDS) - {"completion"}  # that is in docs/running.md
    for line in lines:
        command, named = line.split()[1], set(re.findall(r"--([\w-]+)(?=[=\] ])", line))
        there = {flag.name.replace("_", "-") for flag in help.flags_of(command, cli._own_flags(), cli.COMMANDS)}
        assert named <= there, command
