"""The user's own folders under configs of two data sets side by side: style transfer, and translation without pairs."""

import re
import shutil

import numpy as np
import pytest
import tiny
from media_files import picture

from mmgen_jax import api, check_data, evaluate, train
from mmgen_jax.config import loading, own_data
from mmgen_jax.config.override import override
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
OWN = {  # {config: its arguments for the user's data, and the sets that these replace}
    "style_transfer": ({"photos": "image", "styles": "style"}, ("photo", "style")),
    "image_translation_unpaired": ({"first": "first", "second": "second"}, ("first", "second")),
}


def pictures(folder, num=12, size=24):
    folder.mkdir(parents=True)
    for i in range(num):
        picture(folder / f"{i}.png", RNG.integers(0, 256, (size, size, 3), np.uint8))
    return folder


@pytest.fixture
def folders(tmp_path, cache):
    return pictures(tmp_path / "pets, at home"), pictures(tmp_path / "paintings", num=14)


def small(config, **train_fields):
    """With small networks and pictures of 16 px."""
    config = tiny.shrink(config, **train_fields).copy_and_resolve_references().unlock()
    for name in config.data.sets:
        config.data.sets[name].image_size = 16
    config.parallel.num_devices = 1
    return config.lock()


def one_step(config):
    """Trains a step, and gives the model's modalities."""
    training = tiny.Training(small(config))
    _, metrics = training.run(1)
    assert all(np.isfinite(values).all() for values in metrics.values())
    return training.system


@pytest.mark.parametrize("name", ["style_transfer", pytest.param("image_translation_unpaired", marks=pytest.mark.slow)])
def test_two_folders_are_given_as_the_message_says(name, folders, monkeypatch):
    with pytest.raises(ConfigError, match="expected") as error:
        loading.load(f"{name}:folder={folders[0]}")
    [advice] = re.findall(r"expected --config=(\S+)$", str(error.value))
    assert advice == f"{name}:" + ",".join(f"{argument}=PATH" for argument in OWN[name][0])
    for folder in folders:
        advice = advice.replace("PATH", str(folder), 1)
    config = loading.load(advice)
    assert [config.data.sets[of].directory for of in OWN[name][0].values()] == [str(folder) for folder in folders]
    system = one_step(config)
    assert set(OWN[name][1]) <= set(system.conditions)
    assert not evaluate.build(config, system)
    assert check_data.check(override(config, {"parallel.num_devices": 1})) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_sets_are_replaced_one_by_one_as_the_message_says(name, folders, tmp_path, capsys):
    """From Python, and under a config of the user's own, which need not know the sets of the user's data."""
    with pytest.raises(ConfigError, match="data sets side by side") as error:
        api.train(name, tmp_path / "run", source=str(folders[0]))
    [(source, place)] = re.findall(r"set (\S+)=folder (\S+)=PATH, and likewise the others", str(error.value))
    config = loading.load(name)
    first, second = config.data.sets
    changes = {source: "folder", place: str(folders[0])}
    changes |= {key.replace(first, second): value for key, value in changes.items()}
    changed = override(config, {key: str(value) for key, value in changes.items()}, say=print)
    assert "config.evaluators." in capsys.readouterr().out and not changed.evaluators
    assert [fields["name"] for fields in changed.data.sets.values()] == ["folder", "folder"]
    one_step(changed)
    with pytest.raises(ConfigError, match=rf"config\.data\.sets\.{first} has no field 'directry'; did you mean"):
        override(changed, {f"data.sets.{first}.directry": "x"})


def test_a_set_that_stays_keeps_its_labels_and_evaluators():
    config = loading.load("style_transfer:styles=~/paintings")
    assert config.objective.label == "image_clothing" and list(config.evaluators) == ["style"]
    config = override(loading.load("image_translation_unpaired"), {"data.sets.mnist.name": "small_digits"})
    assert len(config.evaluators) == 2 and "image_fit" not in config.data.sets.mnist


def test_arguments_of_the_users_data(tmp_path):
    assert own_data.arguments("large,photos=a,b=c,styles=~", ("photos", "styles"))[0] == "large"
    config = loading.load("image_translation_unpaired:large,first=x.npz,second=y, z")
    assert config.dtype == "bfloat16" and config.data.sets.first.file == "x.npz"
    assert config.data.sets.second.directory == "y, z"
    for wrong in ("first=x", "colour,first=x,second=y", "digits_labelled,first=x,second=y"):
        with pytest.raises(ConfigError, match="expected first=PATH,second=PATH, got"):
            loading.load(f"image_translation_unpaired:{wrong}")
    for wrong in ("photos=", "photos=a,photos=b"):
        with pytest.raises(ConfigError, match=r"photos=b?: expected one folder"):
            loading.load(f"style_transfer:{wrong}")
    with pytest.raises(DataError, match=r"nowhere: data\.directory: expected a folder, got nothing"):
        open_source(loading.load(f"style_transfer:photos={tmp_path / 'nowhere'},styles={tmp_path}"))


def test_the_folder_config_takes_a_folder_in_both_ways(folders):
    one, other = (loading.load(f"folder:{argument}{folders[0]}") for argument in ("", "folder="))
    assert {**one.to_dict(), "reference": ""} == {**other.to_dict(), "reference": ""}
    with pytest.raises(ConfigError, match="expected --config=folder:folder=PATH"):
        loading.load("folder:npz=x.npz")


@pytest.fixture
def trained(folders, tmp_path):
    """`(config, workdir)` of a translation between the folders, after a step."""
    config = loading.load(f"image_translation_unpaired:first={folders[0]},second={folders[1]}")
    config = small(config).copy_and_resolve_references().unlock()
    config.evaluators = {"error": {"name": "reconstruction", "target": "second"}}
    train.train(config.lock(), tmp_path / "run")
    return config, tmp_path / "run"


@pytest.mark.slow
def test_sets_that_have_moved_are_given_again(trained, folders, tmp_path):
    config, workdir = trained
    before = evaluate.read(workdir)
    moved = shutil.move(folders[0], tmp_path / "elsewhere")
    code, _, errors = tiny.mmgen("evaluate", f"--workdir={workdir}")
    assert code == 1 and "data.directory: expected a folder, got nothing; where the data has moved, give " in errors
    assert errors.rstrip().endswith(" give --config.data.sets.first.directory=PATH")
    change = {"data.sets.first.directory": str(moved)}
    code, _, errors = tiny.mmgen("evaluate", f"--workdir={workdir}", f"--config.data.sets.first.directory={moved}")
    assert code == 0, errors
    after = evaluate.read(workdir)
    assert {name: entry["value"] for name, entry in after.items()} == pytest.approx(
        {name: entry["value"] for name, entry in before.items()}, rel=1e-4
    )
    assert train.train(override(config, change), workdir).step == 1  # and from here on, the run names the new place
    assert evaluate.evaluate(workdir).keys() == before.keys()
    (moved / "0.png").unlink()
    with pytest.raises(
        ConfigError, match=r"has moved: --config\.data\.sets\.first\.directory=PATH --config\.data\.sets"
    ):
        api.evaluate(workdir)
    with pytest.raises(ConfigError, match=r"data\.sets\.first\.image_size: is fixed by the training"):
        api.evaluate(workdir, changes={"data.sets.first.image_size": 8})
