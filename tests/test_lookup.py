"""Components by name: what exists is found, what does not is refused with what does."""

import dataclasses
import importlib
import sys

import pytest
import tiny

from mmgen_jax import lookup, train
from mmgen_jax.config import override
from mmgen_jax.errors import ConfigError, LookupFailed
from mmgen_jax.runs import workdir

PACKAGES = sorted(lookup.PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_component_is_found_and_can_be_configured(package):
    names = lookup.available(package)
    assert names == sorted(set(names)) and names
    for name in names:
        cls = lookup.find(package, name)
        assert (cls.__module__.removesuffix(f".{name}"), cls.__name__) == lookup.PACKAGES[package]
        assert dataclasses.is_dataclass(cls) or package == "baselines"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_component_says_what_it_is(package):
    for name in lookup.available(package):
        assert importlib.import_module(lookup.find(package, name).__module__).__doc__, name


def test_a_name_in_a_folder_is_dotted():
    assert "text.lstm" in lookup.available("encoders")
    assert lookup.find("encoders", "text.lstm").__module__ == "mmgen_jax.networks.encoders.text.lstm"


@pytest.mark.parametrize(
    "name", ["concatenate", "", None, "tokens", "__init__", "../objectives/variational", "Concat", "a" * 300]
)
def test_a_name_that_is_no_component_is_refused(name):
    with pytest.raises(LookupFailed) as error:
        lookup.find("fusion", name)
    assert str(error.value).startswith(f"fusion: {name!r} does not exist")
    assert str(error.value).endswith("there are: " + ", ".join(lookup.available("fusion")))


def test_the_config_goes_before_the_surroundings():
    context = {"vocab_size": 10, "features": 64, "sample_rate": 8000}  # a text encoder has no sample rate
    encoder = lookup.build("encoders", {"name": "text.embedding", "features": 32}, **context)
    assert (encoder.vocab_size, encoder.features) == (10, 32)
    assert lookup.build("encoders", {"name": "text.embedding"}, **context).features == 64


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"features": 8}, "fusion: expected a field `name`, got {'features': 8}; there are: "),
        (
            {"name": "concat", "feature": 8},
            "fusion/concat: has no field 'feature'; did you mean 'features'? its fields",
        ),
        ("concat", "fusion: expected a field `name`, got 'concat', no group of fields; there are: "),
        ({"name": "concat", "parent": None}, "fusion/concat: has no field 'parent'"),
    ],
)
def test_fields_that_do_not_exist_are_refused(config, expected):
    with pytest.raises(LookupFailed) as error:
        lookup.build("fusion", config)
    assert str(error.value).startswith(expected)


def test_a_required_field_that_nothing_sets():
    with pytest.raises(LookupFailed, match=r"encoders/text\.embedding: field 'vocab_size' has no default"):
        lookup.build("encoders", {"name": "text.embedding"})


@pytest.mark.parametrize("name, found", [("fusion", False), ("their_package.fusion", True), ("fusion.mean", False)])
def test_how_a_module_of_ones_own_is_named(elsewhere, monkeypatch, tmp_path, name, found):
    """Also where the module stands in the working directory, or its package cannot be imported from there."""
    monkeypatch.chdir(tmp_path / "their_package")
    if found:
        assert lookup.find("fusion", name).__module__ == name
        sys.modules.pop(name), sys.modules.pop("their_package")
        sys.path.remove(str(tmp_path))
        importlib.invalidate_caches()
    hint = (
        r"a module of your own is named by its dotted path, my_package\.my_name for my_package/my_name\.py, and has to "
    )
    with pytest.raises(LookupFailed, match=hint + "be importable from where the command runs") as error:
        lookup.find("fusion", name)
    lacking = f", and no package {name.split('.')[0]!r} can be imported from here)"
    assert (lacking in str(error.value)) == ("." in name)


def test_nearest():
    assert lookup.nearest("widht", ("width", "norm")) == "did you mean 'width'? "
    assert lookup.nearest("xyz", ("width", "norm")) == ""


FUSION = """
import flax.linen as nn
import jax.numpy as jnp
from typing import Any

from mmgen_jax.config.ranges import Rate
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.fusion.concat import Fusion as Concat


class Fusion(nn.Module):
    scale: Rate
    features: int = 8
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train=False):
        condition = Concat(self.features, dtype=self.dtype)(tokens, train)
        return condition.replace(pooled=self.scale * condition.pooled)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A package `their_package` on the path, with a fusion, a broken module and an empty one."""
    folder = tmp_path / "their_package"
    folder.mkdir()
    for name, text in {"__init__": "", "fusion": FUSION, "broken": "import no_such_library", "empty": ""}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("their_package")]:
        del sys.modules[name]


@pytest.mark.slow
def test_a_component_from_another_package_is_trained_and_restored(elsewhere, tmp_path):
    changes = {"fusion.name": "their_package.fusion", "fusion.scale": "0.25"}
    config = override.override(tiny.config("vae"), changes)
    train.train(config, tmp_path / "run")
    saved, system, _, _ = workdir.restore(tmp_path / "run")
    assert saved.fusion.name == "their_package.fusion" and system.objective.conditioner.fusion.scale == 0.25
    with pytest.raises(ConfigError, match=r"config\.fusion has no field 'size'"):
        override.override(config, {"fusion.size": 1})
    with pytest.raises(ConfigError, match=r"config\.fusion\.scale: expected a number, at least 0 and below 1"):
        train.train(override.override(config, {"fusion.scale": "1.5"}), tmp_path / "other")


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "their_package.broken",
            r"cannot import 'their_package.broken' \(ModuleNotFoundError: No module",
        ),
        ("their_package.missing", r"cannot import 'their_package.missing' \(ModuleNotFoundError"),
        ("their_package.empty", r"expected a dataclass Fusion in the module, got no such class"),
        ("no_such_package.fusion", r"'no_such_package.fusion' does not exist .*there are: bilinear"),
    ],
)
def test_a_module_from_elsewhere_that_is_no_component(elsewhere, name, message):
    with pytest.raises(LookupFailed, match=message):
        lookup.find("fusion", name)
