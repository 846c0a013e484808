"""Configs of version 0.1 are read as today's, and their hashes stay what they were."""

import json
import pathlib

import pytest
from tiny import ROOT, references

from mmgen_jax.config import loading, migration
from mmgen_jax.config.override import flatten
from mmgen_jax.results import cells

IMAGE_CNN = {"name": "image.cnn", "features": 64, "channels": [32, 64]}
GRID = {"name": "grid", "width": 32}
# By name: a config of version 0.1 and the same one of today; what the two share is in neither.
OLD = {
    "autoregressive": {
        "target_encoder": IMAGE_CNN,
        "target_decoder": GRID,
        "generator": {"name": "transformer", "features": 96},
        "objective": {
            "name": "autoregressive",
            "target": "image",
            "codebook_size": 256,
            "code_dim": 8,
            "codebook_decay": 0.95,
            "commitment": 0.5,
            "guidance": 2.0,
        },
        "optimizers": {"tokenizer": {"lr": 0.001}, "generator": {"lr": 0.003}},
    },
    "latent diffusion": {
        "target_encoder": IMAGE_CNN,
        "target_decoder": GRID,
        "objective": {"name": "diffusion", "target": "image", "latent_dim": 3, "kl_weight": 0.01, "guidance": 2.0},
    },
    "several labels": {
        "encoders": {"image": {"name": "image.cnn"}},
        "objective": {"name": "recognition", "target": "color", "also": {"shape": 0.5, "size": 0.25}},
    },
    "adversarial text": {
        "objective": {"name": "adversarial_text", "target": "text", "relaxation": [1.0, 0.5], "anneal_steps": [0, 9]},
    },
    "folder": {"data": {"name": "folder", "path": "pictures", "invariant_to": ["flip"]}, "encoders": {}},
}
NEW = {
    "autoregressive": {
        "representation": {
            "name": "vq_vae",
            "encoder": IMAGE_CNN,
            "decoder": GRID,
            "codebook_size": 256,
            "code_dim": 8,
            "codebook_decay": 0.95,
            "commitment": 0.5,
        },
        "generator": {"name": "transformer", "features": 96},
        "objective": {"name": "autoregressive", "target": "image", "guidance": 2.0},
        "optimizers": {"tokenizer": {"lr": 0.001}, "generator": {"lr": 0.003}},
    },
    "latent diffusion": {
        "representation": {
            "name": "kl_autoencoder",
            "encoder": IMAGE_CNN,
            "decoder": GRID,
            "latent_dim": 3,
            "kl_weight": 0.01,
        },
        "objective": {"name": "diffusion", "target": "image", "guidance": 2.0},
    },
    "several labels": {
        "encoders": {"image": {"name": "image.cnn"}},
        "objective": {"name": "recognition", "target": "color", "auxiliary_labels": {"shape": 0.5, "size": 0.25}},
    },
    "adversarial text": {
        "objective": {
            "name": "adversarial_text",
            "target": "text",
            "gumbel_temperature": [1.0, 0.5],
            "anneal_steps": [0, 9],
        },
    },
    "folder": {
        "data": {"name": "folder", "path": "pictures", "label_preserving": ["flip"], "sample_rate": 8000},
        "encoders": {},
    },
}
HASHES = pathlib.Path(__file__).parent.parent / "results" / "config_hashes.json"


@pytest.mark.parametrize("name", OLD)
def test_a_config_of_version_0_1_is_read_as_todays(name):
    assert migration.upgraded(migration.with_defaults(OLD[name])) == NEW[name]
    assert migration.upgraded(NEW[name]) == NEW[name]
    read = loading.from_json(json.dumps(OLD[name]))
    assert json.loads(loading.to_json(read)) == NEW[name] | {"format": loading.FORMAT}


@pytest.mark.parametrize("name", OLD)
def test_hashed_fields_are_those_of_version_0_1(name):
    assert migration.hashed(flatten(NEW[name])) == flatten(OLD[name])
    # A sound's rate that today's config does not name is another one.
    rate = {"data.sample_rate": 16_000} if name == "folder" else {}
    assert migration.hashed(flatten(OLD[name])) == flatten(OLD[name]) | rate


def test_a_representation_of_a_family_that_had_none_keeps_its_names():
    """Only where version 0.1 had it: a GAN of latents, codes of a log-mel and diffusion of pixels are of today."""
    encoder = {"encoder": IMAGE_CNN, "decoder": GRID}
    for config in (
        {"objective": {"name": "adversarial"}, "representation": {"name": "kl_autoencoder", **encoder}},
        {
            "objective": {"name": "autoregressive"},
            "representation": {"name": "vq_vae", **encoder, "of": {"name": "log_mel"}},
        },
        {"objective": {"name": "diffusion"}, "generator": {"name": "unet"}},
        {"objective": {"name": "variational"}, "target_encoder": IMAGE_CNN},
    ):
        assert migration.hashed(flatten(config)) == flatten(config)
        assert migration.upgraded(config) == config


@pytest.mark.parametrize("reference", references())
def test_todays_configs_come_back_unchanged(reference, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = json.loads(loading.to_json(loading.load(reference)))
    assert migration.upgraded(config) == config
    # Every field counts, but for the format, the name of a representation that had none, and a rate that is the one of
    # then; a rate of now that the config does not name counts too.
    fields, hashed = flatten(config), migration.hashed(flatten(config))
    rate = "data.sample_rate"
    assert len(hashed) == len(fields) - 1 - ("target_decoder.name" in hashed) + (rate in hashed) - (rate in fields)


def test_the_hashes_of_measured_configs_stay_what_they_were(monkeypatch):
    """Else no line of `results.jsonl` belongs to its experiment any more; experiments may be added, cells too."""
    monkeypatch.chdir(ROOT)
    for experiment, expected in json.loads(HASHES.read_text()).items():
        got = {cell.config_hash for cell in cells.load(f"experiments/{experiment}/sweep.py")}
        assert set(expected) <= got, experiment
