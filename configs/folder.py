"""The quickstart's model on a folder of your own files: images from their texts, sounds and classes.

    mmgen check-data --config=configs/folder.py:pets
    mmgen train --config=configs/folder.py:pets --workdir=runs/pets
    mmgen sample --workdir=runs/pets --text="a black cat" --out=out

Argument: the folder; docs/data.md describes the layouts. Texts, sounds and classes are conditions where the folder has
any; a modality that an example lacks is masked. Without any of them the model is unconditional. The folder needs at
least 8 training examples (10 in all). The batch size is 32 with at least 32 training examples, else 8. A class is given
to `mmgen sample` as `--given.label=cat`. `--config.data.layout=captions.csv` names the layout where several fit.
"""

import pathlib

from mmgen_jax.config import loading, own_data
from mmgen_jax.data.files import folder_formats, folder_listing
from mmgen_jax.errors import ConfigError

ARGUMENTS = ()  # any folder
OWN_DATA = ("folder",)  # `folder:folder=pets` is `folder:pets`

LABEL_DROPOUT = 0.05  # as the quickstart's of texts

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


def get_config(arg="", folder="", layout=""):
    arg = folder or arg
    if not arg or not pathlib.Path(arg).is_dir():
        got = repr(arg) if arg else "nothing"
        raise ConfigError(f"configs/folder.py:FOLDER: expected a folder of files, got {got}")
    listing = folder_listing.read(arg, layout)
    examples = listing.examples
    if examples and not _has("image", examples):
        raise ConfigError(_without_images(arg, examples))
    config = loading.load("quickstart").unlock()
    conditions = tuple(name for name in ("text", "audio", "label") if _has(name, examples))
    if "label" in conditions:
        config.encoders.label = {"name": "label", "features": config.fusion.features}
    absent = set(config.encoders) - set(conditions)
    for name in absent:
        del config.encoders[name]
    rates = config.fusion.modality_dropout  # one rate for all encoders, or a group with a rate for each
    if not isinstance(rates, float):
        config.fusion.modality_dropout = {name: rate for name, rate in rates.items() if name not in absent}
        if "label" in conditions:
            config.fusion.modality_dropout.label = LABEL_DROPOUT
    config.data = {"name": "folder", "directory": arg, "names": (*conditions, "image"), **DATA}
    if layout:
        config.data.layout = layout

    splits = listing.splits(config.seed, DATA["validation_fraction"], DATA["test_fraction"])
    num_train = splits.count("train")
    config.train.batch_size = 32 if num_train >= 32 else 8
    config.evaluators = {}
    if any(split == "test" and "image" in example.items for split, example in zip(splits, examples)):
        config.evaluators = {"reconstruction": {"name": "reconstruction", "from_target": True}}
    captioned = [split for split, example in zip(splits, examples) if {"text", "image"} <= set(example.items)]
    config.evaluators.update(own_data.adherence(captioned))
    return config


def _without_images(arg, examples):
    """The message for a folder without pictures: the configs that draw what the folder has."""
    has = [name for name in ("text", "audio", "video", "label") if _has(name, examples)]
    given = "" if "text" in has else "conditions=,"
    forms = [f"--config=any_to_any:target={name},{given}folder={arg}" for name in ("audio", "video") if name in has]
    advice = f"use {' or '.join(forms)}" if forms else "add images, or see `mmgen configs` for other configs"
    return f"configs/folder.py:{arg}: expected images, which this config draws, got {', '.join(has)}; {advice}"


def _has(name, examples):
    found = (example.items[name] for example in examples if name in example.items)
    return any(map(folder_formats.holds, found))  # the audio of a clip counts only where the clip has a sound track
