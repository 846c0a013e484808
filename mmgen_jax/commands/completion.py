"""The `mmgen completion` command: a script by which a shell completes commands, flags and configs.

mmgen completion bash >> ~/.bashrc
mmgen completion zsh >> ~/.zshrc
mmgen completion fish > ~/.config/fish/completions/mmgen.fish
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmgen_jax.config import shipped
from mmgen_jax.errors import InputError

SHELLS = ("bash", "zsh", "fish")
BASH = """\
_mmgen() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words="" flag=""
  [ "$current" = "=" ] && flag="$before" && current=""
  [ "$before" = "=" ] && flag="${{COMP_WORDS[COMP_CWORD-2]}}"
  if [ "$flag" = "--config" ]; then
    words="{configs}"
  elif [ -n "$flag" ]; then
    words=""
  elif [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ -n "$flag" ] && [ ${{#COMPREPLY[@]}} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
  [[ "${{COMPREPLY[0]}}" == *= ]] && compopt -o nospace 2> /dev/null
  return 0
}}
complete -o filenames -F _mmgen mmgen
"""
ZSH = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"


def script(shell: str, commands: Mapping[str, Iterable[str]]) -> str:
    """The script of a shell.

    Args:
      commands: the flags of each command, those that take a value with a `=` behind them.

    Raises:
      InputError: a shell that there is no script for.
    """
    if shell not in SHELLS:
        raise InputError(f"completion: expected one of {', '.join(SHELLS)}, got {shell!r}")
    operands = {"configs": shipped.names(), "completion": list(SHELLS)}
    if shell == "fish":
        lines = ["complete -c mmgen -f"]
        lines += [f"complete -c mmgen -n __fish_use_subcommand -a {name}" for name in commands]
        for name, flags in commands.items():
            used = f"'__fish_seen_subcommand_from {name}'"
            if name in operands:
                lines.append(f"complete -c mmgen -n {used} -a '{' '.join(operands[name])}'")
            for flag in flags:
                value = " -r" if flag.endswith("=") else ""
                value += f" -a '{' '.join(shipped.names())}'" if flag == "--config=" else ""
                lines.append(f"complete -c mmgen -n {used} -l {flag.strip('-=')}{value}")
        return "\n".join(lines) + "\n"
    words = {name: " ".join([*operands.get(name, ()), *flags]) for name, flags in commands.items()}
    cases = "\n".join(f'      {name}) words="{known}" ;;' for name, known in words.items())
    text = BASH.format(configs=" ".join(shipped.names()), commands=" ".join(commands), cases=cases)
    return (ZSH if shell == "zsh" else "") + text
