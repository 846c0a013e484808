"""What a run refuses before it compiles or writes: config files, components and workdirs that do not fit together."""

import pytest
import tiny

from mmgen_jax import config as configs
from mmgen_jax import modalities, sample, train
from mmgen_jax import system as systems


def test_a_field_that_only_the_component_has_can_be_set():
    config = configs.override(tiny.config("vae"), {"optimizers.generator.clip_norm": "1", "objective.free_bits": 0.5})
    assert config.optimizers.generator.clip_norm == 1.0 and config.objective.free_bits == 0.5
    with pytest.raises(configs.ConfigError, match="expected a value of type float"):
        configs.override(tiny.config("vae"), {"objective.free_bits": "much"})
    with pytest.raises(configs.ConfigError, match="has no field 'bta'"):
        configs.override(tiny.config("vae"), {"objective.bta": 0.5})


@pytest.mark.parametrize("part, field", [("train", "bach_size"), ("parallel", "fdsp")])
def test_a_misspelt_field_in_a_config_file(part, field):
    config = configs.base()
    config[part][field] = 2
    with pytest.raises(configs.ConfigError, match=f"has no field '{field}'; did you mean"):
        configs.checked(config)


def changed(family, **parts):
    config = tiny.config(family).copy_and_resolve_references()
    with config.unlocked():
        config.update(parts)
    return config.lock()


def test_a_network_that_the_objective_has_no_use_for():
    config = changed("autoencoder", discriminator={"name": "conv"})
    with pytest.raises(configs.ConfigError, match="discriminator: objective 'reconstruction' has no use for it"):
        systems.build(config, systems.source(config).modalities)


def test_a_target_that_is_its_own_condition():
    config = changed("vae", encoders={"image": {"name": "image.cnn"}})
    with pytest.raises(configs.ConfigError, match="cannot be a condition of itself"):
        systems.build(config, systems.source(config).modalities)


def test_what_cannot_be_measured_is_refused_at_the_start(tmp_path):
    config = changed("vae", evaluators={"coherence": {"name": "scenes_coherense"}})
    with pytest.raises(ValueError, match="did you mean 'scenes_coherence'"):
        train.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_whose_data_has_changed(tmp_path):
    config = tiny.config("autoencoder")
    train.train(config, tmp_path)
    _, before = sample.read_workdir(tmp_path)
    other = {name: modality for name, modality in before.items() if name != "text"}
    (tmp_path / "modalities.json").write_text(modalities.to_json(other))
    with pytest.raises(configs.ConfigError, match="the data is no longer what this run began with"):
        train.train(config, tmp_path)


def test_a_schedule_ends_where_it_was_to_end():
    config = changed("vae", optimizers={"generator": {"schedule": "cosine"}})
    longer = configs.override(config, {"train.steps": 7})
    with pytest.raises(configs.ConfigError, match=r"schedule ends at step 1, now train\.steps is 7"):
        configs.check_same(longer, config, "runs/x")
    constant = tiny.config("vae")
    configs.check_same(configs.override(constant, {"train.steps": 7}), constant, "runs/x")


def test_a_conditional_model_is_not_sampled_from_nothing(tmp_path):
    train.train(tiny.config("vae"), tmp_path / "run")
    with pytest.raises(configs.ConfigError, match="give at least one of --text"):
        sample.sample(tmp_path / "run", tmp_path / "out", {}, num=2)
