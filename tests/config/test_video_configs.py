"""The arguments of the configs of clips: what they name, and combinations that do not exist."""

import pytest
from tiny import ROOT

from mmgen_jax.config import loading
from mmgen_jax.errors import ConfigError


def load(reference):
    return loading.load(f"{ROOT}/configs/{reference}")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("video_to_video.py:moving_mnist,effect=colour", "moving digits are grey"),
        ("video_to_video.py:grid_s1,conv_lstm,effect=sketch", "conv_lstm continues a clip"),
        ("video_to_video.py:grid_s1,unet,diffusion", "at most one network and one effect"),
        ("video_to_video.py:grid_s1,effect=oil", "expected one of colour, sketch, got 'oil'"),
        ("video_super_resolution.py:scenes", "expected one of x2, x4, got ''"),
        ("video_super_resolution.py:scenes,x2,clip", "expected one of , frame, got 'clip'"),
        ("video_gan.py:digits,audio", "got 'audio'"),
        ("vgan.py:digits,video,image", "expected one of both, video, image, got video, image"),
        ("vgan.py:digits,image,conv3d", "`image` reads no clip; leave out conv3d"),
        ("video_recognition.py:digits,conv3d,factorised", "expected one of conv3d, factorised; name one"),
        ("video_recognition.py:scenes,color,shape", "expected one of color, shape; name one"),
        ("text_to_video.py:digits,pixels", "expected one of latents, codes, got 'pixels'"),
    ],
)
def test_a_combination_that_does_not_exist_is_refused(reference, expected):
    with pytest.raises(ConfigError, match=expected):
        load(reference)


def test_parts_of_an_argument_have_any_order():
    both = [
        load(f"video_to_video.py:grid_s1,{parts}") for parts in ("effect=colour,diffusion", "diffusion,effect=colour")
    ]
    one, other = ({**config.to_dict(), "reference": ""} for config in both)
    assert one == other and one["objective"]["name"] == "diffusion" and one["aligned"] == ("grey",)


def test_the_control_of_super_resolution_differs_in_its_window_alone():
    several, one = (load(f"video_super_resolution.py:grid_s1,x4{suffix}").to_dict() for suffix in ("", ",frame"))
    assert several["generator"] | {"own_frame": True} == one["generator"]
    del several["generator"], one["generator"], several["reference"], one["reference"]
    assert several == one


def test_recognition_of_clips_keeps_its_network_and_label_apart():
    config = load("video_recognition.py:grid_s1,digit,factorised")
    assert config.objective.target == "digit" and config.encoders.video.name == "video.factorised"
    assert set(config.data.names) == {"video", "audio", "digit"}
