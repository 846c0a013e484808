"""What no data would make right is refused before the data is opened."""

import pytest
import tiny

from mmgen_jax import check_data, train
from mmgen_jax.config import loading, system, without_data
from mmgen_jax.errors import MmgenError

MISTAKES = {
    "optimizers.generator.lr": (-1.0, "config.optimizers.generator.lr: expected a number, at least 0, got -1.0"),
    "optimizers.generator.b3": (0.9, "config.optimizers.generator has no field 'b3'"),
    "data.fraction": (2.0, "config.data.fraction: expected a number, above 0 and at most 1, got 2.0"),
    "data.num_train": (0, "config.data.num_train: expected a whole number, at least 1"),
    "fusion.modality_dropout": (1.5, "config.fusion.modality_dropout: expected a number, at least 0"),
    "encoders.text.features": (0, "config.encoders.text.features: expected a whole number, at least 1"),
    "encoders.text.name": ("text.embeding", "did you mean 'text.embedding'?"),
    "objective.beta": (-1.0, "config.objective.beta: expected a number, at least 0, got -1.0"),
    "target_encoder.channels": ((), "config.target_encoder.channels: expected at least one number"),
    "evaluators.variety": ({"name": "variety", "num_samples": 0}, "config.evaluators.variety.num_samples: expected"),
    "derived.soft": ({"name": "blur", "of": "image", "sigma": -1.0}, "config.derived.soft.sigma: expected a number"),
    "representation": (
        {"name": "vq_vae", "encoder": {"name": "trunk"}, "decoder": {"name": "grid", "width": 0}},
        "config.representation.decoder.width: expected a whole number, at least 1",
    ),
}


def with_value(place, value):
    config = tiny.config("vae").copy_and_resolve_references().unlock()
    *path, last = place.split(".")
    node = config
    for part in path:
        if part not in node:
            node[part] = {}
        node = node[part]
    node[last] = value
    return config.lock()


@pytest.mark.parametrize("place", MISTAKES)
def test_a_mistake_is_found_before_the_data_is_opened(place, monkeypatch, capsys):
    value, expected = MISTAKES[place]
    config = with_value(place, value)
    for module in (train, system):
        monkeypatch.setattr(module, "open_source", lambda *_: pytest.fail("the data was opened"))
    with pytest.raises(MmgenError) as refused:
        train.prepare(config)
    assert expected in str(refused.value)
    assert check_data.check(config) == 1
    assert expected in capsys.readouterr().out


def test_every_config_passes():
    for reference in tiny.references():
        without_data.check(loading.load(f"{tiny.ROOT}/{reference}"))


def test_all_representations_are_looked_at():
    of = {"name": "kl_autoencoder", "encoder": {"name": "trunk"}, "decoder": {"name": "grid"}}
    config = with_value("representation", {"name": "per_frame", "of": of})
    paths = [path for path, _ in without_data.components(config) if path[0] == "representation"]
    assert paths == [
        ("representation",),
        ("representation", "of"),
        ("representation", "of", "encoder"),
        ("representation", "of", "decoder"),
    ]
    config = with_value("representation", {"a": {"name": "identity"}, "b": {"name": "log_mel"}})
    assert [path[1] for path, _ in without_data.components(config) if path[0] == "representation"] == ["a", "b"]
