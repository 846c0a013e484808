"""Help of `mmgen`: the usage of all commands, or one command with its own flags.

The help of a flag begins with the commands that read it, `"sample, retrieve: how many"`; a flag
without such a beginning belongs to every command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from absl import flags

COMMANDS = {
    "train": "--config=configs/X.py[:ARG] --workdir=DIR [--config.a.b=VALUE …]: a new run, or the one there goes on\n"
    "      [--coordinator=HOST:PORT --num_processes=N --process_id=I, or --coordinator=auto: several processes]",
    "evaluate": "--workdir=DIR [--split=test] [--step=N]: measures the newest checkpoint, or that of a step\n"
    "      [--config.objective.guidance=2 …: as `sample` does; printed, not written]\n"
    "      [--config.data.directory=DIR or data.sets.NAME.directory: the data has moved; other data is refused]",
    "sample": "--workdir=DIR --out=DIR [--given.NAME=VALUE … --num=16 --seed=0 --first=0 --step=N]\n"
    "      draws from conditions given by name:\n"
    "      a text or @FILE with one a line, a class or its number, else a file; or by kind where one is of that kind:\n"
    "      [--text=… --image=FILE --audio=FILE --video=FILE]\n"
    "      [--config.objective.temperature=0.8 …: what objective and representation list as `sampling`]",
    "retrieve": "--workdir=DIR --out=DIR [--given.NAME=VALUE …, --text=…, … as `sample` does, --num=16 --step=N]\n"
    "      of a model that embeds pairs: the nearest held-out examples",
    "prepare-data": "--dataset=NAME [--manual-dir=DIR]: once, for sets of tensorflow-datasets",
    "check-data": "--config=configs/X.py[:ARG] [--out=DIR]: what a config would read, and every problem in it",
    "sweep": "--sweep=experiments/T/sweep.py --workdir=DIR [--shard=i/n]: the cells of a table that are missing",
    "configs": "[NAME [--copy]]: the configs of the package, what one expects, or a copy of it in configs/ to change",
    "compare": "DIR DIR: how the configs of two runs differ, and their metrics side by side",
    "cache": "[--evict=NAME]: what is kept of decoded data and judges, and removing it",
    "completion": "bash|zsh|fish: a script by which the shell completes commands, flags and configs",
    "report": "[--check]: writes the tables of all experiments and the matrix in README.md, or checks them",
}
OPERANDS = {"configs": (0, 1), "compare": (2, 2), "completion": (1, 1)}  # fewest, most words after it; others take none


def flags_of(command: str, defined: Sequence[flags.Flag], commands: Mapping[str, str]) -> list[flags.Flag]:
    """The flags that a command reads."""
    return [flag for flag in defined if command in readers(flag, commands)]


def readers(flag: flags.Flag, commands: Mapping[str, str]) -> list[str]:
    """The commands that read a flag."""
    names = flag.help.partition(": ")[0].split(", ")
    return names if set(names) <= set(commands) else list(commands)


def overview(commands: Mapping[str, str], version: str) -> str:
    """The usage of every command."""
    lines = [f"  mmgen {name} {usage}" for name, usage in commands.items()]
    return "\n".join([f"mmgen_jax {version}", "", *lines, "", "The flags of a command: mmgen COMMAND --help"])


def of_command(command: str, defined: Sequence[flags.Flag], commands: Mapping[str, str]) -> str:
    """The usage of a command, and the purpose of each of its flags."""
    lines = [f"mmgen {command} {commands[command]}", ""]
    for flag in flags_of(command, defined, commands):
        name = f"--{flag.name.replace('_', '-')}" + ("" if flag.boolean else "=…")
        about = flag.help.partition(": ")[2] if readers(flag, commands) != list(commands) else flag.help
        default = f" (default: {flag.default})" if flag.default not in (None, "", False) else ""
        lines += textwrap.wrap(about + default, 110, initial_indent=f"  {name:<16} ", subsequent_indent=" " * 19)
    return "\n".join(lines).rstrip()
