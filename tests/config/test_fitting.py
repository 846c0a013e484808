"""Encoders read their own kind, and generators have the form that the objective calls; else one line says so."""

import functools

import pytest
import tiny

from mmgen_jax import lookup, train
from mmgen_jax.config import fitting, loading
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError, MmgenError
from mmgen_jax.modalities import kinds

KINDS = ("text", "image", "audio", "video")
GENERATORS = {
    "latent": ("configs/text_to_image_vae.py:scenes", "conv"),
    "noisy": ("configs/text_to_image_diffusion.py:scenes", "unet"),
    "ids": ("configs/image_captioning.py:scenes", "recurrent"),
}


@functools.cache
def modalities():
    return open_source(with_encoder("text.embedding", "text"), names=KINDS).modalities


def with_encoder(name, modality):
    config = tiny.config("vae").copy_and_resolve_references().unlock()
    config.data.names = (*KINDS, "shape")
    config.encoders = {"it": {"name": name, "modality": modality}}
    return config.lock()


@pytest.mark.parametrize("name", lookup.available("encoders"))
def test_an_encoder_of_another_kind_is_refused(name):
    folder = name.partition(".")[0]
    for kind in set(KINDS) - {folder, "image"}:
        if folder not in kinds.names():
            continue
        with pytest.raises(ConfigError) as refused:
            build_system(with_encoder(name, kind), modalities())
        assert f"config.encoders.it: '{name}' reads {folder}, and '{kind}' is of kind '{kind}'" in str(refused.value)
        assert f"choose one of {kind}." in str(refused.value)


def test_a_mask_is_read_by_encoders_of_images():
    assert fitting._reads("image", "mask") and not fitting._reads("image", "video")
    assert not fitting._reads("mask", "image") and not fitting._reads("trunk", "image")


@pytest.mark.parametrize("form", GENERATORS)
@pytest.mark.parametrize("name", lookup.available("generators"))
def test_a_generator_of_another_form_is_refused(name, form):
    reference, own = GENERATORS[form]
    config = tiny.shrink(loading.load(f"{tiny.ROOT}/{reference}")).copy_and_resolve_references().unlock()
    assert fitting.form(lookup.find("generators", own)) == form
    config.generator = {"name": name}
    if fitting.form(lookup.find("generators", name)) == form:
        return fitting.check_generator(config)
    with pytest.raises(ConfigError, match=f"config.generator: objective '{config.objective.name}' calls a generator"):
        train.prepare(config.lock())


def test_every_family_with_a_generator_says_its_form():
    for reference in tiny.references():
        config = loading.load(f"{tiny.ROOT}/{reference}")
        fitting.check_generator(config)
        if config.get("generator"):
            assert lookup.find("objectives", config.objective.name).generator_form in fitting.FORMS


@pytest.mark.parametrize("name", ["text.lstm", "audio.mfcc", "image.vit", "video.conv3d"])
def test_the_choice_that_is_advised_fits(name):
    folder = name.partition(".")[0]
    try:
        build_system(with_encoder(name, folder), modalities())
    except MmgenError as error:
        assert "reads" not in str(error)
