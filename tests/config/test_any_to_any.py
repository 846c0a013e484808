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
    ],
)
def test_what_no_family_models_is_refused(argument, message):
    with pytest.raises(ConfigError, match=message):
        CONFIG.get_config(argument)


def test_every_other_cell_has_a_config():
    assert len(CONFIG.CELLS) == 2 * (3 * 5 + 2)
    for argument in CONFIG.CELLS:
        assert CONFIG.get_config(argument).objective.target == CONFIG.read(argument)[1]
