"""What a run refuses before it compiles or writes: config files, components and workdirs that do not fit together."""

import pytest
import tiny

from mmgen_jax import sample, train
from mmgen_jax.config import loading, override, schema
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import modalities_to_json
from mmgen_jax.runs import workdir


def test_a_field_that_only_the_component_has_can_be_set():
    config = override.override(tiny.config("vae"), {"optimizers.generator.clip_norm": "1", "objective.free_bits": 0.5})
    assert config.optimizers.generator.clip_norm == 1.0 and config.objective.free_bits == 0.5
    with pytest.raises(ConfigError, match="expected a value of type float"):
        override.override(tiny.config("vae"), {"objective.free_bits": "much"})
    with pytest.raises(ConfigError, match="has no field 'bta'"):
        override.override(tiny.config("vae"), {"objective.bta": 0.5})


@pytest.mark.parametrize("part, field", [("train", "bach_size"), ("parallel", "fdsp")])
def test_a_misspelt_field_in_a_config_file(part, field):
    config = schema.base()
    config[part][field] = 2
    with pytest.raises(ConfigError, match=f"has no field '{field}'; did you mean"):
        loading.checked(config)


def changed(family, **parts):
    config = tiny.config(family).copy_and_resolve_references()
    with config.unlocked():
        config.update(parts)
    return config.lock()


def test_a_network_that_the_objective_has_no_use_for():
    config = changed("autoencoder", discriminator={"name": "conv"})
    with pytest.raises(ConfigError, match="discriminator: objective 'reconstruction' has no use for it"):
        build_system(config, open_source(config).modalities)


def test_a_target_that_is_its_own_condition():
    config = changed("vae", encoders={"image": {"name": "image.cnn"}})
    with pytest.raises(ConfigError, match="cannot be a condition of itself"):
        build_system(config, open_source(config).modalities)


def test_what_cannot_be_measured_is_refused_at_the_start(tmp_path):
    config = changed("vae", evaluators={"coherence": {"name": "scenes_coherense"}})
    with pytest.raises(ValueError, match="did you mean 'scenes_coherence'"):
        train.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_whose_data_has_changed(tmp_path):
    config = tiny.config("autoencoder")
    train.train(config, tmp_path)
    _, before = workdir.read_workdir(tmp_path)
    other = {name: modality for name, modality in before.items() if name != "text"}
    (tmp_path / "modalities.json").write_text(modalities_to_json(other))
    with pytest.raises(ConfigError, match="the data is no longer what this run began with"):
        train.train(config, tmp_path)


def test_a_schedule_ends_where_it_was_to_end():
    config = changed("vae", optimizers={"generator": {"schedule": "cosine"}})
    longer = override.override(config, {"train.steps": 7})
    with pytest.raises(ConfigError, match=r"schedule ends at step 1, now train\.steps is 7"):
        loading.check_same(longer, config, "runs/x")
    later = changed("vae", optimizers={"generator": {"schedule": "cosine", "stop_step": 3}})
    with pytest.raises(ConfigError, match="schedule ends at step 1"):
        loading.check_same(override.override(later, {"train.steps": 7}), later, "runs/x")
    for fields in ({}, {"schedule": "step"}, {"schedule": "cosine", "stop_step": 1}):
        free = changed("vae", optimizers={"generator": fields})
        loading.check_same(override.override(free, {"train.steps": 7}), free, "runs/x")


def test_a_conditional_model_is_not_sampled_from_nothing(tmp_path):
    train.train(tiny.config("vae"), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"give at least one of --given\.text"):
        sample.sample(tmp_path / "run", tmp_path / "out", {}, num=2)


def test_a_representation_that_the_family_would_ignore_is_refused():
    config = tiny.config("gan").copy_and_resolve_references().unlock()
    config.objective = {"name": "contrastive", "target": "image"}
    config.target_encoder = {"name": "image.cnn"}
    config.optimizers = {"encoder": {"lr": 1e-3}}
    del config.generator, config.discriminator
    networks = {"encoder": {"name": "image.cnn", "channels": (8, 8)}, "decoder": {"name": "grid"}}
    config.representation = {"name": "kl_autoencoder", **networks}
    with pytest.raises(ConfigError, match="has no use for it"):
        build_system(config, open_source(config).modalities)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"name": "likelihood"}, r"likelihood needs a model that can 'elbo', and objective 'adversarial' can: "),
        ({"name": "reconstruction", "from_target": True}, r"needs a model that can 'reconstruct'.*evaluators.own=none"),
        ({"name": "class_retrieval", "label": "shape"}, r"needs a model that can 'embed'"),
    ],
)
def test_an_evaluator_that_the_family_cannot_serve(fields, message, tmp_path):
    config = changed("gan", evaluators={"own": fields})
    with pytest.raises(ConfigError, match=message):
        train.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
