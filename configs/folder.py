"""The quickstart's model on a folder of your own files: pictures from their texts and sounds.

    mmgen check-data --config=configs/folder.py:pets
    mmgen train --config=configs/folder.py:pets --workdir=runs/pets
    mmgen sample --workdir=runs/pets --text="a black cat" --out=out

Argument: the folder; `mmgen_jax/data/folder.py` says how it is laid out. Texts and sounds are each a condition if the
folder has any, what an example lacks is masked, and without both the model is unconditional. At least 8 training
examples (10 in all); with 32 or more, batches are the quickstart's.
"""

import pathlib

from mmgen_jax.config import loading
from mmgen_jax.data.files import folder_formats, folder_listing
from mmgen_jax.errors import ConfigError

ARGUMENTS = ()  # any folder

DATA = {
    "image_size": 32,
    "channels": 3,
    "audio_seconds": 1.0,
    "sample_rate": 16_000,
    "text_length": 32,
    "text_unit": "word",
    "min_count": 1,
    "validation_fraction": 0.1,
    "test_fraction": 0.1,
}


def get_config(arg=""):
    if not arg or not pathlib.Path(arg).is_dir():
        got = repr(arg) if arg else "nothing"
        raise ConfigError(f"configs/folder.py:FOLDER: expected a folder of files, got {got}")
    examples = folder_listing.read(arg).examples
    config = loading.load(str(pathlib.Path(__file__).with_name("quickstart.py"))).unlock()
    conditions = tuple(name for name in ("text", "audio") if _has(name, examples))
    absent = set(config.encoders) - set(conditions)
    for name in absent:
        del config.encoders[name]
    rates = config.fusion.modality_dropout  # one for all, or a group with one for each encoder
    if not isinstance(rates, float):
        config.fusion.modality_dropout = {name: rate for name, rate in rates.items() if name not in absent}
    config.data = {"name": "folder", "directory": arg, "names": (*conditions, "image"), **DATA}

    splits = folder_listing.split_of(
        [group for group, _ in examples], config.seed, DATA["validation_fraction"], DATA["test_fraction"]
    )
    num_train = sum(splits[group] == "train" for group, _ in examples)
    config.train.batch_size = 32 if num_train >= 32 else 8
    config.evaluators = {}
    if any(splits[group] == "test" and "image" in items for group, items in examples):
        config.evaluators = {"reconstruction": {"name": "reconstruction", "from_target": True}}
    return config


def _has(name, examples):
    found = (items[name] for _, items in examples if name in items)
    return any(map(folder_formats.holds, found))  # a clip need not have sound
