"""The configs that travel with the package: found by their names, described, copied out.

They are the folder `configs/` at the top of the repository, which a wheel holds as `mmgen_jax/configs/`.
"""

from __future__ import annotations

import ast
import pathlib

from mmgen_jax.errors import ConfigError
from mmgen_jax.lookup import nearest


def folder() -> pathlib.Path:
    """The folder of the shipped configs, in an installed package or in a clone."""
    package = pathlib.Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names() -> list[str]:
    return sorted(file.stem for file in folder().glob("*.py") if file.stem != "__init__")


def is_name(text: str) -> bool:
    """Whether `--config=TEXT` names a shipped config: a name is one word, and a file has a suffix or a folder."""
    return text.isidentifier()


def find(name: str) -> pathlib.Path:
    """The file of a shipped config.

    Raises:
      ConfigError: no shipped config has this name.
    """
    if name not in names():
        raise ConfigError(f"--config: no config {name!r}; {nearest(name, names())}there are: {', '.join(names())}")
    return folder() / f"{name}.py"


def docstring(name: str) -> str:
    """The docstring of a config: its method, its command, its arguments and the numbers to expect."""
    return ast.get_docstring(ast.parse(find(name).read_text(encoding="utf-8"))) or ""


def copy(name: str, into: pathlib.Path) -> pathlib.Path:
    """Writes a shipped config to the folder `into`, and gives the path of the copy.

    Raises:
      ConfigError: the file exists already; it may hold changes by the user.
    """
    text, path = find(name).read_bytes(), into / f"{name}.py"
    if path.exists():
        raise ConfigError(f"{path}: is there already; rename it, or remove it to copy the shipped one again")
    into.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path
