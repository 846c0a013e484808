"""Abilities: what a family says it can do is what it does, and what the sampler says too."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import style_parts
import tiny

from mmgen_jax import contracts, lookup
from mmgen_jax.config import loading
from mmgen_jax.errors import MmgenError
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import create_state
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

IMAGE_CODE = {"encoder": {"name": "image.cnn", "channels": (8, 8)}, "decoder": {"name": "grid"}}
ROOT = tiny.ROOT / "configs"
# By name: how its config is made, and its abilities.
DRAWN, INFERRED = {"sample", "draw_latent", "from_latent"}, {"to_latent", "reconstruct"}
BOUNDED = {"elbo", "log_weights"}
CASES = {
    "adversarial": (lambda: tiny.config("gan"), DRAWN),
    "adversarial, latents": (lambda: with_latents(tiny.config("gan")), DRAWN | {"reconstruct"}),
    "variational": (lambda: tiny.config("vae"), DRAWN | INFERRED | BOUNDED),
    "variational, latents": (lambda: with_latents(tiny.config("vae")), DRAWN | INFERRED),
    "reconstruction": (lambda: tiny.config("autoencoder"), DRAWN | INFERRED),
    "regression": (lambda: reference("image_translation.py:colour,l1"), {"sample"}),
    "diffusion": (lambda: reference("text_to_image_diffusion.py:scenes"), {"sample"}),
    "diffusion, latents": (lambda: reference("text_to_image_diffusion.py:scenes_latent"), {"sample", "reconstruct"}),
    "flow": (lambda: sounds(), {"sample", "elbo"}),
    "autoregressive": (lambda: reference("image_captioning.py:scenes"), {"sample", "elbo"}),
    "autoregressive, codes": (lambda: reference("text_to_image_autoregressive.py:scenes"), {"sample", "reconstruct"}),
    "adversarial_text": (lambda: reference("image_to_text_gan.py:scenes"), {"sample"}),
    "ctc": (lambda: reference("speech_recognition.py:spoken_digits"), {"sample"}),
    "tacotron": (lambda: reference("text_to_speech.py:spoken_digits"), {"sample", "reconstruct", "align"}),
    "matcha": (lambda: reference("text_to_speech.py:spoken_digits_flow"), {"sample", "reconstruct", "align"}),
    "contrastive": (lambda: reference("image_text_retrieval.py:scenes"), {"embed", "embed_pair"}),
    "cycle_adversarial": (lambda: unpaired(), {"sample", "reconstruct"}),
    "cycle_semantic": (lambda: unpaired("digits_labelled"), {"sample", "reconstruct"}),
    "multimodal_vae": (lambda: reference("multimodal_vae.py:captioned_shapes"), DRAWN | INFERRED | BOUNDED),
    "recognition": (lambda: reference("multi_task.py:scenes"), {"sample", "embed"}),
    "style_transfer": (lambda: style_parts.config(), {"sample"}),
}


def reference(name):
    return tiny.shrink(loading.load(f"{ROOT}/{name}"))


def sounds():
    """A flow of the scenes' sounds, from their texts."""
    config = loading.load(f"{ROOT}/vocoder_flow.py:digits").copy_and_resolve_references().unlock()
    config.data = {"name": "scenes", "names": ("text", "audio")}
    config.encoders, config.fusion = {"text": {"name": "text.embedding"}}, {"name": "concat"}
    del config.derived, config.aligned
    config.objective.segment = 0
    return tiny.shrink(config.lock())


def unpaired(argument="digits"):
    """The config of unpaired translation on a set that needs no files."""
    config = loading.load(f"{ROOT}/image_translation_unpaired.py:{argument}").copy_and_resolve_references().unlock()
    config.data.sets.mnist = {"name": "small_digits", "of": "image"}
    return tiny.shrink(config.lock())


def with_latents(config):
    """The same family of latents, which a 4 x 4 grid of an image of 16 px has."""
    config = config.copy_and_resolve_references().unlock()
    config.representation = {"name": "kl_autoencoder", **IMAGE_CODE}
    config.optimizers.autoencoder = {"lr": 1e-3}
    return tiny.shrink(config.lock())


@functools.cache
def training(name):
    return tiny.Training(CASES[name][0]())


@functools.cache
def abstract(name):
    """`(params, collections, batch, key)`, of which nothing is computed."""
    system = training(name).system
    state = jax.eval_shape(lambda: create_state(training(name).config, system))
    batch = {k: m.zeros(2) for k, m in system.modalities.items()}
    return *averaged(state), batch, jax.eval_shape(lambda: jax.random.key(0))


def test_every_family_is_asked():
    families = {name.partition(",")[0] for name in CASES}
    assert families == set(lookup.available("objectives"))


@pytest.mark.parametrize("name", CASES)
def test_a_family_has_the_abilities_that_it_says(name):
    objective, expected = training(name).objective, CASES[name][1]
    assert objective.abilities == frozenset(expected) and set(contracts.ABILITIES) >= expected
    assert isinstance(objective.abilities, frozenset)
    own = {a for a in contracts.ABILITIES if getattr(type(objective), a) is not getattr(Family, a)}
    # What a family can do with some representations only is a method that its abilities leave out with others.
    assert own == {ability for other in CASES if same_family(name, other) for ability in CASES[other][1]}
    for ability in set(contracts.ABILITIES) - own:
        with pytest.raises(MmgenError, match=f"has no '{ability}'"):
            getattr(objective, ability)(*abstract(name))


def same_family(one, other):
    return one.partition(",")[0] == other.partition(",")[0]


@pytest.mark.parametrize("name", CASES)
def test_what_an_ability_gives_is_what_its_contract_says(name):
    objective, modalities = training(name).objective, training(name).system.modalities
    arrays = abstract(name)
    for ability in objective.abilities:
        given = arrays
        if ability == "from_latent":
            given = *arrays[:3], jax.eval_shape(objective.draw_latent, *arrays)
        got = jax.eval_shape(getattr(objective, ability), *given)
        if ability in ("sample", "reconstruct", "from_latent"):
            assert set(got) == set(objective.targets)
            for target, array in got.items():
                assert array.shape == (2, *modalities[target].shape)
                assert array.dtype == modalities[target].zeros(1).dtype
        elif ability == "align":
            assert got["weights"].shape == (2, *got["weights"].shape[1:2], got["mask"].shape[1])
            assert (got["steps"].shape, got["mask"].dtype) == ((2,), bool)
        elif ability == "elbo":
            assert (got.shape, got.dtype) == ((2,), jnp.float32)
        else:
            vectors = got if ability == "embed_pair" else (got,)
            assert all(vector.ndim == 2 and len(vector) == 2 for vector in vectors)
            assert len({vector.shape for vector in vectors}) == 1


@pytest.mark.parametrize("name", CASES)
def test_the_sampler_supports_the_abilities_and_refuses_the_others(name):
    system = training(name).system
    sampler = Sampler(system, parallel.create("jit", 8, num_devices=1), 8)
    assert {ability for ability in contracts.ABILITIES if sampler.supports(ability)} == CASES[name][1]
    batch = {k: m.zeros(2) for k, m in system.modalities.items()}
    for ability in set(contracts.ABILITIES) - CASES[name][1]:
        call = sampler if ability == "sample" else getattr(sampler, ability)
        with pytest.raises(ValueError, match=f"has no '{ability}'; leave out what asks for it"):
            call(batch, np.zeros((2, 4))) if ability == "from_latent" else call(batch)


@pytest.mark.parametrize("name", CASES)
def test_players_of_the_representation_come_first_and_are_stages(name):
    objective = training(name).objective
    variables = jax.eval_shape(objective.init, jax.random.key(0), abstract(name)[2])
    assert set(variables) == set(objective.players)
    learned = objective.code.players
    assert objective.players == (*learned, *objective.own_players)
    assert {(first, then) for first in learned for then in objective.own_players} <= set(objective.stages)
    assert ("latents" in name or "codes" in name) == bool(learned)
