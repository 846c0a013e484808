"""Whatever is typed or set, the command answers by what was asked or by one line, and never by a traceback."""

import dataclasses
import functools
import time
import types

import grain  # noqa: F401  (it defines flags, which `tiny.mmgen` would take back if it were imported inside)
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmgen_jax import cli, lookup, sweep, train
from mmgen_jax.commands import help
from mmgen_jax.config import declared, loading, schema, without_data
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import MmgenError
from mmgen_jax.runs.workdir import prepared
from mmgen_jax.training.optimizers import Optimizer

CONFIG = """
from tiny import config

def get_config(arg=""):
    small = config("vae").copy_and_resolve_references().unlock()
    small.data.update({"num_train": 64, "num_test": 16, "num_compositional": 16})
    return small
"""
COMMANDS = [*(name for name in cli.COMMANDS if name != "prepare-data"), "tarin", ""]  # that one needs a network
PATHS = [
    "",
    "~",
    "~no_such_user/x",
    ".",
    "notes.txt",
    "notes.txt/run",
    "none",
    "none.py:arg",
    "bad.py",
    "run.py",
    "run",
    "one.py",
    "é\n",
]
KEYS = ["train.steps", "train", "seed", "data.names", "optimizers.generator.lr", "x.y", "", ".", "objective.name"]
WORDS = ["-1", "0", "nan", "inf", "1e400", "(", "()", "None", "{}", "'", "", "@", "@notes.txt"]
TYPED = st.sampled_from(WORDS) | st.text(max_size=8)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, 10**12, -1e-3, 1.5, (), (0,), (-1, 2), (1, 2, 3, 4, 5)]),
)
# A line of each command that goes as far as it can without a trained run, and the end of what it says.
REACHING = {
    "train": (["--config=run.py", "--workdir=new"], ""),
    "evaluate": (["--workdir=run"], "so there is nothing to measure\n"),
    "sample": (["--workdir=run", "--out=out", "--text=a red circle"], "or check --workdir\n"),
    "retrieve": (["--workdir=run", "--out=out", "--text=a red circle"], "or check --workdir\n"),
    "check-data": (["--config=run.py"], ""),
    "sweep": (["--sweep=one.py", "--workdir=sweep"], ""),
    "configs": (["quickstart"], ""),
    "compare": (["run", "run"], ""),
    "cache": ([], ""),
    "completion": (["zsh"], ""),
}


@pytest.fixture
def place(tmp_path, monkeypatch, cache):
    """A folder with files and the workdir of a run that was just begun; training ends where it would compile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes.txt").write_text("mine\n")
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "run.py").write_text(CONFIG)
    (tmp_path / "one.py").write_text("def cells():\n    return [{'config': 'run.py', 'seeds': (0,)}]\n")
    config = loading.load("run.py")
    with prepared(tmp_path / "run", config, open_source(config)):
        pass
    prepare = train.prepare
    monkeypatch.setattr(
        train, "train", lambda config, workdir, profile=0: prepare(config) and types.SimpleNamespace(step=0)
    )
    monkeypatch.setattr(sweep, "_train", lambda *_: {"seconds": 1.0, "steps": 1, "metrics": {}})
    return tmp_path


VALUES = dict.fromkeys(("config", "workdir", "out", "sweep", "image", "audio", "video"), st.sampled_from(PATHS))


@st.composite
def command_lines(draw) -> list[str]:
    """A command with most of the flags that it reads, changes, and now and then a flag or a word that it does not."""
    command = draw(st.sampled_from(COMMANDS))
    flags = [flag for flag in cli._own_flags() if not flag.boolean]
    own = help.flags_of(command, flags, cli.COMMANDS)
    chosen = [flag for flag in own if draw(st.integers(0, 4))]
    chosen += [draw(st.sampled_from(flags))] if not draw(st.integers(0, 9)) else []
    line = [f"--{flag.name}={draw(VALUES.get(flag.name, TYPED))}" for flag in chosen]
    prefixes = ["--config.", "--given."] if command in ("sample", "retrieve") else ["--config."]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        prefix, key = draw(st.sampled_from(prefixes)), draw(st.sampled_from(KEYS))
        line.append(f"{prefix}{key}{draw(st.sampled_from(['=', '=', '=', '']))}{draw(TYPED)}")
    least, most = cli.OPERANDS.get(command, (0, 0))
    words = [draw(st.sampled_from([*PATHS, "quickstart", "bash"])) for _ in range(draw(st.integers(least, most)))]
    odd = draw(st.sampled_from([[], [], [], [], ["--nmu=3"], ["word"], ["--"], ["-"], ["--config.x"], ["--check"]]))
    return [command, *words, *line, *odd]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command_lines())
def test_any_command_line(place, arguments):
    code, _, errors = tiny.mmgen(*arguments)
    assert code in (0, 1)
    refused = errors.startswith("mmgen: ") and errors.count("\n") == 1
    assert code == 0 or refused or (arguments[0] == "check-data" and not errors), errors


@pytest.mark.parametrize("command", REACHING)
def test_a_command_line_that_is_drawn_may_go_all_the_way(place, command):
    line, said = REACHING[command]
    code, out, errors = tiny.mmgen(command, *line)
    assert errors.endswith(said) if said else code == 0, (out, errors)


def settable(package, name):
    fields = dataclasses.fields(Optimizer) if package == "optimizers" else lookup.settable(lookup.find(package, name))
    return [f.name for f in fields if isinstance(f.default, (bool, int, float, tuple)) and f.name != "frozen"]


@functools.cache
def places() -> list[tuple]:
    """`(config, path of a group, field)` for the numbers of every component that a config trains on scenes."""
    small = [tiny.shrink(loading.load(f"{tiny.ROOT}/{reference}")) for reference in tiny.references()]
    # First a config without clips and sounds: the numbers of its data may be large, and its examples stay small.
    small = [tiny.config("vae"), *(config for config in small if config.data.name == "scenes")]
    for name in lookup.available("fusion"):
        config = tiny.config("vae").copy_and_resolve_references().unlock()
        config.fusion = {"name": name, "features": 16}
        small.append(config.lock())
    for name in lookup.available("transforms"):
        config = tiny.config("vae").copy_and_resolve_references().unlock()
        config.derived = {"changed": {"name": name, "of": ("image", "mask") if name == "hole" else "image"}}
        config.derived.mask = {"name": "mask", "of": "image"}
        config.evaluators = {part: {"name": part, "target": "image"} for part in ("reconstruction", "variety")}
        small.append(config.lock())
    found, seen = [], set()
    for config in small:
        groups = [(path, declared.package(path), group.name) for path, group in without_data.components(config)]
        groups += [(("optimizers", player), "optimizers", "") for player in config.optimizers]
        for path, package, name in groups:
            if (path[0], package, name) not in seen:
                seen.add((path[0], package, name))
                found += [(config, path, field) for field in settable(package, name)]
    return found + [(small[0], ("train",), field) for field in small[0].train]


@settings(max_examples=60, deadline=None)
@given(st.data(), NUMBERS)
def test_any_number_is_taken_or_refused_before_anything_compiles(data, value):
    config, path, field = data.draw(st.sampled_from(places()))
    changed = config.copy_and_resolve_references().unlock()
    node = functools.reduce(lambda node, part: node[part], path, changed)
    if field in node:
        del node[field]
    node[field] = value
    since = time.process_time()
    try:
        assert train.prepare(changed.lock()).source
    except MmgenError as error:
        assert "\n" not in str(error), error
        assert time.process_time() - since < 2, error


def test_the_numbers_of_every_package_are_tried():
    packages = {declared.package(path) for _, path, _ in places()}
    assert packages == {*schema.PACKAGES.values(), *schema.REPRESENTATION_PACKAGES.values(), None}
