"""Networks are told the space that a family models, of a target with or without a representation."""

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.runs.workdir import create_state
from mmgen_jax.training.state import averaged

CONV = {"name": "conv", "width": 8, "max_width": 8}
ADVERSARIAL = {"generator": CONV, "discriminator": CONV}
VARIATIONAL = {"generator": CONV, "target_encoder": {"name": "trunk", "channels": (8, 8)}}
UNET = {"generator": {"name": "unet", "channels": (8, 8), "features": 8}}
RECURRENT = {"generator": {"name": "recurrent", "features": 8}}
TRANSFORMER = {"generator": {"name": "transformer", "features": 8, "num_layers": 1, "num_heads": 2}}


def training(family, target, networks):
    """Of a target given the text, or of a text given the class of its colour."""
    config = tiny.config("gan").unlock()
    del config["generator"], config["discriminator"]
    condition = "text" if target != "text" else "color"
    config.data.names = tuple(dict.fromkeys(("text", "color", target)))
    encoder = {"name": "text.embedding"} if condition == "text" else {"name": "label"}
    config.encoders = {}
    config.encoders[condition] = encoder | {"features": 8}
    config.update(networks)
    config.objective = {"name": family, "target": target}
    config.optimizers = {"generator": {"lr": 1e-3}}
    if family == "adversarial":
        config.optimizers.discriminator = {"lr": 1e-3}
    config.parallel.num_devices = 1
    return tiny.Training(config.lock())


@pytest.mark.parametrize(
    "family, target, networks",
    [
        ("adversarial", "audio", ADVERSARIAL),
        ("variational", "audio", VARIATIONAL),
        ("diffusion", "audio", UNET),
        ("adversarial", "video", ADVERSARIAL),
        ("autoregressive", "text", RECURRENT),
        ("autoregressive", "color", RECURRENT),
        ("autoregressive", "color", TRANSFORMER),
    ],
)
def test_a_family_draws_every_kind_that_its_space_fits(family, target, networks):
    run = training(family, target, networks)
    state = jax.eval_shape(lambda: create_state(run.config, run.system))
    modality = run.system.modalities[target]
    batch = {name: other.zeros(2) for name, other in run.system.modalities.items()}
    key = jax.random.key(0)
    for player in run.objective.players:
        loss, _ = jax.eval_shape(
            lambda *arrays, player=player: run.objective.loss(player, *arrays, key, 0),
            *(state.params, state.collections, batch),
        )
        assert loss.shape == ()
    drawn = jax.eval_shape(run.objective.sample, *averaged(state), batch, key)[target]
    assert drawn.shape == (2, *modality.shape) and drawn.dtype == modality.dtype


@pytest.mark.slow
def test_a_class_is_learnt_as_a_sequence_of_one():
    run = training("autoregressive", "color", RECURRENT)
    state, metrics = run.run(1)
    assert metrics["generator/tokens_per_example"] == [1.0]
    batch = next(run.batches())
    drawn = Sampler(run.system, run.layout, 8).load(*averaged(state))(batch)["color"]
    tiny.assert_sample(drawn, run.system.modalities["color"], 8)
    assert len(np.unique(drawn)) > 1


@pytest.mark.parametrize(
    "family, target, networks, expected",
    [
        ("diffusion", "color", UNET, r"objective 'diffusion': models values, and 'color' \(label\) gives 1 ids of \d"),
        ("adversarial", "text", ADVERSARIAL, "generators/conv: works on .*, got a grid of 0 axes"),
        (
            "autoregressive",
            "audio",
            RECURRENT,
            r"objective 'autoregressive': models ids, and 'audio' .* values \[",
        ),
    ],
)
def test_a_space_that_does_not_fit_is_refused(family, target, networks, expected):
    with pytest.raises(ConfigError, match=f"^{expected}"):
        _ = training(family, target, networks).system
