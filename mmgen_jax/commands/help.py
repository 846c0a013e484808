"""Help of `mmgen`: the usage of all commands, or one command with its own flags.

The help of a flag begins with the commands that read it, `"sample, retrieve: how many"`; one that begins with none is
of every command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from absl import flags


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
    """The usage of a command, and what each of its flags is for."""
    lines = [f"mmgen {command} {commands[command]}", ""]
    for flag in flags_of(command, defined, commands):
        name = f"--{flag.name.replace('_', '-')}" + ("" if flag.boolean else "=…")
        about = flag.help.partition(": ")[2] if readers(flag, commands) != list(commands) else flag.help
        default = f" (default: {flag.default})" if flag.default not in (None, "", False) else ""
        lines += textwrap.wrap(about + default, 110, initial_indent=f"  {name:<16} ", subsequent_indent=" " * 19)
    return "\n".join(lines).rstrip()
