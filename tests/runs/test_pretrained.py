"""Encoders and text decoders that start from another run's, and frozen encoders."""

import shutil

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax import train
from mmgen_jax.config import override, schema
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs import init_from
from mmgen_jax.runs.workdir import restore

FIELDS = {"name": "image.cnn", "modality": "image", "channels": (16, 16), "norm": "none", "features": 16}


def recognition(workdir, *, frozen=True, module="", **fields):
    """The colour of a picture from a CNN that starts from the autoencoder's, beside its edges."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image", "color"), "image_size": 16, "num_train": 64}
    start = {"init_from": f"{workdir}:{module}" if module else str(workdir), "frozen": frozen}
    edge = {"name": "image.edge", "modality": "image", "features": 16}
    config.encoders = {"pretrained": FIELDS | start | fields, "edge": edge}
    config.fusion = {"name": "concat", "features": 16}
    config.objective = {"name": "recognition", "target": "color"}
    config.optimizers = {"classifier": {"lr": 1e-2, "weight_decay": 0.1, "ema_decay": 0.9}}
    config.train.update({"steps": 3, "batch_size": 8, "sample_steps": 0, "checkpoint_steps": 10})
    config.parallel.num_devices = 1
    return config.lock()


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    """A trained autoencoder: its workdir, and the averaged parameters of its encoder."""
    workdir = tmp_path_factory.mktemp("runs") / "autoencoder"
    config = tiny.config("autoencoder", steps=2, checkpoint_steps=2)
    changes = {"target_encoder.norm": "none", "target_encoder.features": 16, "parallel.num_devices": 1}
    state = train.train(override.override(config, changes), workdir)
    return workdir, jax.device_get(state.ema["generator"]["params"]["target_encoder"])


def loaded(config):
    training = tiny.Training(config)
    return init_from.load(training.run(0)[0], training.system)


def encoder(params, name="pretrained"):
    return params["conditioner"][f"encoders_{name}"]


def equal(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b))
    )


def test_the_encoder_starts_as_the_other_runs_average_and_nothing_else_changes(autoencoder):
    workdir, expected = autoencoder
    config = recognition(workdir)
    state, (fresh, _) = loaded(config), tiny.Training(config).run(0)
    assert equal(encoder(state.params["classifier"]), expected)
    assert equal(encoder(state.ema["classifier"]["params"]), expected)
    assert not equal(encoder(fresh.params["classifier"]), expected)
    assert equal(encoder(state.params["classifier"], "edge"), encoder(fresh.params["classifier"], "edge"))
    assert equal(state.params["classifier"]["head"], fresh.params["classifier"]["head"])


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_stays_through_training_and_another_does_not(autoencoder, tmp_path, frozen):
    workdir, expected = autoencoder
    config = recognition(workdir, frozen=frozen)
    before, after = loaded(config), train.train(config, tmp_path / "run")
    for tree in (after.params["classifier"], after.ema["classifier"]["params"]):
        if frozen:  # the average of equal values is equal up to rounding
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), encoder(tree), expected)
        else:
            assert not equal(encoder(tree), expected)
    assert equal(encoder(after.params["classifier"]), expected) == frozen
    for name in ("edge",):
        assert not equal(encoder(after.params["classifier"], name), encoder(before.params["classifier"], name))


@pytest.mark.slow
def test_a_readout_over_a_frozen_encoder_is_trained_and_keeps_the_layout(autoencoder, tmp_path):
    """Without it, the mean over the cells of a grid is the same whatever the order of the cells."""
    config = recognition(autoencoder[0], readout=16)
    before, after = loaded(config), train.train(config, tmp_path / "run")
    names = [state.params["classifier"]["conditioner"]["readouts_pretrained"] for state in (before, after)]
    assert not equal(*names)
    assert equal(encoder(after.params["classifier"]), autoencoder[1])

    system = tiny.Training(config).system
    conditioner = system.objective.conditioner
    params = jax.device_get(after.params["classifier"])["conditioner"]
    tokens = np.random.default_rng(0).normal(size=(2, 16, 16)).astype(np.float32)
    present = np.ones(2, bool)

    def mean(values):
        readout = conditioner.readouts["pretrained"]
        return readout.apply({"params": params["readouts_pretrained"]}, values, present).values.mean(1)

    assert np.abs(mean(tokens) - mean(tokens[:, ::-1])).max() > 1e-2


@pytest.mark.slow
def test_a_run_goes_on_and_is_sampled_without_the_run_it_started_from(autoencoder, tmp_path):
    workdir = shutil.copytree(autoencoder[0], tmp_path / "autoencoder")
    config = recognition(workdir)
    train.train(config, tmp_path / "run")
    shutil.rmtree(workdir)
    assert train.train(config, tmp_path / "run").step == 3
    *_, sampler, step = restore(tmp_path / "run", batch_size=8)
    batch = tiny.Training(config).source.read(np.arange(8), np.zeros(8, int))
    assert step == 3 and sampler(batch)["color"].shape == (8,)


@pytest.mark.slow
def test_an_encoder_may_start_from_one_of_its_name_or_from_a_module_that_is_named(autoencoder, tmp_path):
    first = recognition(autoencoder[0])
    state = train.train(first, tmp_path / "first")
    average = encoder(state.ema["classifier"]["params"])
    assert equal(encoder(loaded(recognition(tmp_path / "first")).params["classifier"]), average)
    edge = state.ema["classifier"]["params"]["conditioner"]["encoders_edge"]
    named = recognition(tmp_path / "first", module="encoders_edge")
    with named.unlocked():
        named.encoders.pretrained = {k: named.encoders.pretrained[k] for k in ("modality", "init_from", "frozen")}
        named.encoders.pretrained.update({"name": "image.edge", "features": 16})
    assert equal(encoder(loaded(named).params["classifier"]), edge)


def test_the_module_of_the_name_comes_before_a_target_encoder_and_the_generators_before_others():
    conditioned = {"target_encoder": "of the target", "conditioner": {"encoders_text": "of the text"}}
    assert init_from.find({"generator": conditioned}, ("encoders_text", "target_encoder")) == "of the text"
    assert init_from.find({"generator": conditioned}, ("encoders_audio", "target_encoder")) == "of the target"
    players = {"discriminator": {"encoders_text": "its own"}, "generator": {"network": conditioned}}
    assert init_from.find(players, ("encoders_text",)) == "of the text"
    assert init_from.find(players, ("encoders_video",)) is None


def test_what_cannot_be_loaded_is_told(autoencoder, tmp_path):
    workdir, _ = autoencoder
    for fields, message in (
        ({"module": "encoders_photo"}, r"encoders.pretrained.init_from: .* has no module called encoders_photo"),
        ({"features": 8}, r"pretrained.init_from=.*\['bias'\] expected \(8,\), got \(16,\); give the encoder the"),
        ({"norm": "group"}, r"expected \(16,\), got nothing; give the encoder the fields it was trained with"),
    ):
        with pytest.raises(ConfigError, match=message):
            loaded(recognition(workdir, **fields))
    with pytest.raises(ConfigError, match="no such folder"):
        loaded(recognition(tmp_path / "nowhere"))


def decoder(data, *encoders, **fields):
    """A transformer of the texts of `data`, alone or given a picture."""
    config = schema.base()
    config.data = data
    config.encoders = {name: {"name": "image.mlp", "features": 8} for name in encoders}
    if encoders:
        config.fusion = {"name": "concat", "features": 8}
    config.generator = {
        "name": "transformer",
        "features": 8,
        "num_layers": 1,
        "num_heads": 2,
        "attend": "cross",
    } | fields
    config.objective = {"name": "autoregressive", "target": "text"}
    config.optimizers = {"generator": {"lr": 1e-2, "ema_decay": 0.9}}
    config.train.update({"steps": 1, "batch_size": 8, "sample_steps": 0, "eval_steps": 0, "checkpoint_steps": 1})
    config.parallel.num_devices = 1
    return config.lock()


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A trained decoder of other texts: its workdir, its averaged parameters, its vocabulary."""
    folder = tmp_path_factory.mktemp("texts")
    np.savez(folder / "texts.npz", text=np.array(["the green star", "a moon above the star", "so red a star"] * 8))
    config = decoder({"name": "npz", "file": str(folder / "texts.npz"), "text_length": 12})
    state = train.train(config, folder / "run")
    vocabulary = restore(folder / "run")[1].modalities["text"].tokenizer.vocabulary
    return folder / "run", jax.device_get(state.ema["generator"]["params"]["generator"]), vocabulary


@pytest.mark.slow
def test_a_decoder_starts_from_another_of_another_vocabulary_and_without_conditions(words):
    workdir, other, theirs = words
    data = {"name": "scenes", "names": ("image", "text"), "image_size": 16, "num_train": 16, "text_length": 12}
    config = decoder(data, "image", init_from=str(workdir))
    state, (fresh, _) = loaded(config), tiny.Training(config).run(0)
    mine = tiny.Training(config).system.modalities["text"].tokenizer.vocabulary
    for params in (state.params["generator"], state.ema["generator"]["params"]):
        own, new = params["generator"], fresh.params["generator"]["generator"]
        assert equal(own["positions"], other["positions"]) and equal(own["norm"], other["norm"])
        assert equal(own["blocks_0"]["self_attention"], other["blocks_0"]["self_attention"])
        assert equal(own["blocks_0"]["cross_attention"], new["blocks_0"]["cross_attention"])
        assert equal(params["conditioner"], fresh.params["generator"]["conditioner"])
        known = [word for word in mine if word in theirs]
        assert "star" in known and len(known) < len(mine)
        for word in mine:
            here, there = 3 + mine.index(word), 3 + theirs.index(word) if word in theirs else None
            source, row = (new, here) if there is None else (other, there)
            assert equal(own["embed"]["embedding"][here], source["embed"]["embedding"][row])
            assert equal(own["head"]["kernel"][:, here], source["head"]["kernel"][:, row])
            assert equal(own["head"]["bias"][here], source["head"]["bias"][row])
    with pytest.raises(ConfigError, match=r"generator.init_from=.*expected .*, got .*; give the generator the fields"):
        loaded(decoder(data, "image", init_from=str(workdir), features=16))
    two = decoder(data, "image", init_from=str(workdir), attend="prefix")
    assert equal(loaded(two).params["generator"]["generator"]["norm"], other["norm"])
