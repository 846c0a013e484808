"""Whatever a user's own Python file does wrong is one line with its place, and the package's own errors stay theirs."""

import pytest

from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError, SweepError
from mmgen_jax.results import cells

BASE = """from mmgen_jax.config import schema
def get_config(arg=''):
    config = schema.base()
    {}
    return config
"""


def load(tmp_path, text, name="mine.py"):
    (tmp_path / name).write_text(text)
    return loading.load(str(tmp_path / name))


@pytest.mark.parametrize(
    "text, message",
    [
        ("def get_config(arg=''):\n    return {}['a']\n", r"mine\.py, line 2: KeyError: 'a'$"),
        ("import no_such_module\n", r"mine\.py, line 1: ModuleNotFoundError: No module named 'no_such_module'$"),
        ("def get_config(\n", r"mine\.py, line 1: SyntaxError: '\(' was never closed$"),
        ("raise SystemExit('no')\n", r"mine\.py, line 1: SystemExit: no$"),
        ("x = 1\n", r"mine\.py has no function get_config"),
        ("def get_config(arg=''):\n    pass\n", r"get_config\(\): expected it to return the config, got None$"),
        ("def get_config():\n    return {'seed': 0}\n", r"expected it to return the config, got \{'seed': 0\}$"),
        ("def get_config(a, b):\n    pass\n", r"mine\.py: TypeError: get_config\(\) missing 2 required"),
        ("get_config = 3\n", r"mine\.py: TypeError: 'int' object is not callable$"),
        (BASE.format("config.train = 5"), r"mine\.py, line 4: TypeError: Could not override field 'train'"),
        (BASE.format("config.encoders = None"), r"config\.encoders: expected a group of fields, got None$"),
        (
            BASE.format("config.encoders.text = 'text.lstm'"),
            r"config\.encoders\.text: expected a group",
        ),
        (BASE.format("config.generator = 5"), r"config\.generator: expected a group of fields, got 5$"),
        (BASE.format("raise __import__('mmgen_jax.errors').errors.ConfigError('own words')"), r"^own words$"),
    ],
)
def test_one_line_with_its_place(text, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as error:
        load(tmp_path, text)
    assert "\n" not in str(error.value)


def test_only_a_python_file_is_run(tmp_path):
    with pytest.raises(ConfigError, match=r"--config: .*config\.json: expected a Python file, `X\.py`, got \.json"):
        load(tmp_path, "raise SystemExit", "config.json")
    with pytest.raises(ConfigError, match=r"--config: no file"):
        loading.load(str(tmp_path))


def test_a_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "ARGUMENTS = ()\n" + BASE.format("config.data.directory = arg").replace("''", "'none'")
    (tmp_path / "mine.py").write_text(text)
    assert loading.load("~/mine.py:~/pets").data.directory == f"{tmp_path}/pets"


@pytest.mark.parametrize(
    "text, message",
    [
        ("def cells():\n    yield 1 / 0\n", r"--sweep: .*mine\.py, line 2: ZeroDivisionError: division by zero$"),
        ("def cells():\n    pass\n", r"mine\.py: TypeError: 'NoneType' object is not iterable$"),
        (
            "def cells():\n    return ['configs/vae.py']\n",
            r"mine\.py, entry 0: expected a dict, got",
        ),
    ],
)
def test_a_sweep_too(text, message, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises((ConfigError, SweepError), match=message):
        cells.load(tmp_path / "mine.py")
