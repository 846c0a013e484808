"""What importing costs, and the sizes that keep the core readable."""

import ast
import os
import pathlib
import pkgutil
import subprocess
import sys

from tiny import ROOT

import mmgen_jax
from mmgen_jax import lookup

# What only some commands use is imported by the function that uses it.
NOT_AT_IMPORT = (
    "tensorflow",
    "torch",
    "tensorflow_datasets",
    "matplotlib",
    "av",
    "soundfile",
    "librosa",
    "tensorboardX",
)

SCRIPT = f"""
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    found = [package for package in {NOT_AT_IMPORT} if package in sys.modules]
    assert not found, f"importing {{name}} imports {{found[0]}}"
"""


def modules() -> list[str]:
    walked = pkgutil.walk_packages(mmgen_jax.__path__, "mmgen_jax.")
    return ["mmgen_jax", *(module.name for module in walked if module.name != "mmgen_jax.__main__")]


def test_importing_any_module_imports_no_heavy_library():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, *modules()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_walk_finds_every_file():
    files = {path for path in (ROOT / "mmgen_jax").rglob("*.py") if path.name != "__main__.py"}
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    assert names == set(modules())  # a folder without an __init__.py would be left out of the walk and of the wheel


INSTALLED = """
import sys
standing = set(sys.modules)  # what the start of Python loads, for editable installs
import mmgen_jax.cli
files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - standing}
print(*{name.partition(".")[0] for name, file in files.items() if "site-packages" in file})
"""


def test_importing_the_command_imports_no_installed_package_but_these():
    """`mmgen --help` and a wrong command answer at once."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED], env=environment, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) - {"mmgen_jax"} == {"absl"}


def lines(path: pathlib.Path) -> int:
    return len(path.read_text().splitlines())


def test_the_loop_stays_short():
    assert lines(ROOT / "mmgen_jax" / "train.py") < 250


def test_every_file_stays_readable():
    too_long = [str(path) for path in (ROOT / "mmgen_jax").rglob("*.py") if lines(path) > 300]
    assert not too_long


def test_the_step_and_the_loop_know_no_family():
    names = {part for package in ("objectives", "generators", "discriminators") for part in lookup.available(package)}
    words = names | {"generator", "discriminator", "latent", "gan", "vae", "encoder", "decoder"} - {"conv"}
    for file in ("train_step.py", "training/state.py", "train.py"):
        text = (ROOT / "mmgen_jax" / file).read_text().lower()
        assert not [word for word in words if word in text.replace(".", " ").replace("_", " ").split()], file


def imports(path: pathlib.Path) -> set[str]:
    """The modules of the package that a file imports anywhere, those inside of functions included."""
    known, found = set(modules()), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & known


def test_no_circle_of_imports():
    graph = {name: imports(file_of(name)) - {name} for name in modules()}
    while leaves := {name for name, needs in graph.items() if not needs}:
        graph = {name: needs - leaves for name, needs in graph.items() if name not in leaves}
    assert not graph, f"these modules stand in circles of imports, or import ones that do: {sorted(graph)}"


def file_of(name: str) -> pathlib.Path:
    path = ROOT / pathlib.Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_at_most_twelve_files_on_the_top_floor():
    assert len(list((ROOT / "mmgen_jax").glob("*.py"))) <= 14  # twelve, beside __init__ and __main__
