"""The argument of `configs/any_to_any.py`: cells that do not exist are refused by name, before anything is built."""

import pytest
import tiny

from mmgen_jax.errors import ConfigError

CONFIG = tiny.config_module(tiny.ROOT / "configs" / "any_to_any.py")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("target=text,family=variational", "variational models continuous values, and a text is a sequence of ids"),
        ("target=text,family=diffusion", "diffusion models continuous values.*use family=autoregressive"),
        ("target=text,family=reconstruction", "reconstruction models continuous values"),
        (
            "target=image,family=reconstruction,conditions=text",
            "reconstruction encodes its target and has",
        ),
        ("target=text,family=adversarial,conditions=", "the adversarial captioner needs conditions"),
        ("scenes,digits", "got scenes and digits; name one"),
        ("target=image,conditions=image", "'image'"),
        ("kind=image", "'kind'"),
        ("size=huge", "expected one of default, large, got 'huge'"),
    ],
)
def test_what_no_family_models_is_refused(argument, message):
    with pytest.raises(ConfigError, match=message):
        CONFIG.get_config(argument)


@pytest.mark.parametrize("cell", ["scenes,target=text,family=adversarial", "digits,target=video,family=diffusion"])
def test_the_large_size_has_three_times_the_widths_and_ten_times_the_steps(cell):
    small, large = CONFIG.get_config(cell), CONFIG.get_config(f"{cell},size=large")
    for name, encoder in small.encoders.items():
        assert large.encoders[name].features == 3 * encoder.features
    assert large.generator.features == 3 * small.generator.features
    assert large.train.steps == 10 * small.train.steps and large.evaluators.to_dict() == small.evaluators.to_dict()
    for name, optimizer in small.optimizers.items():
        for field in ("start_step", "stop_step"):
            assert large.optimizers[name].get(field, 0) == 10 * optimizer.get(field, 0)
    if "representation" in small:
        encoder, wide = (config.representation["of"].encoder for config in (small, large))
        assert wide.channels == tuple(3 * channels for channels in encoder.channels)
        assert (large.data.video_size, large.data.get("image_size")) == (64, None)
    else:
        assert large.data.image_size == 64
        assert large.objective.anneal_steps == tuple(10 * step for step in small.objective.anneal_steps)


def test_every_other_cell_has_a_config():
    assert len(CONFIG.CELLS) == 2 * (3 * 5 + 2)
    for argument in CONFIG.CELLS:
        assert CONFIG.get_config(argument).objective.target == CONFIG.read(argument)[1]


def test_conditions_may_be_given_together():
    config = CONFIG.get_config("scenes,target=audio,family=diffusion,conditions=text+image")
    assert set(config.encoders) == {"text", "image"} and config.objective.target == "audio"
    assert config.objective.name == "diffusion" and set(config.data.names) == {"text", "image", "audio"}
