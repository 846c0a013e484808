"""Sources that networks see at their own grid: brought there, masked, and refused where they have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from fusion_inputs import assert_same

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.encoders import label
from mmgen_jax.networks.fusion import concat
from mmgen_jax.networks.layers import aligned

RNG = np.random.default_rng(0)
PICTURE = RNG.normal(size=(2, 8, 6, 3)).astype(np.float32)
CLIP = RNG.normal(size=(2, 4, 8, 6, 3)).astype(np.float32)
SOUND = RNG.normal(size=(2, 16, 1)).astype(np.float32)


@pytest.mark.parametrize("source", [SOUND, PICTURE, CLIP], ids=["sound", "picture", "clip"])
def test_what_fits_the_grid_stays_as_it_is(source):
    np.testing.assert_array_equal(aligned.to_grid(jnp.asarray(source), source.shape[1:-1]), source)


@pytest.mark.parametrize("grid", [(4, 3), (8, 12), (2, 2), (16, 1)])
def test_a_constant_stays_one_at_every_size(grid):
    constant = np.broadcast_to(np.float32([0.5, -1.0, 0.25]), PICTURE.shape)
    resized = aligned.to_grid(jnp.asarray(constant), grid)
    np.testing.assert_allclose(resized, np.broadcast_to(constant[:, :1, :1], (2, *grid, 3)), atol=1e-6)


def test_a_ramp_is_halved_to_its_means():
    """The filter of a half is a triangle of weights 1, 3, 3, 1: of a ramp it is the mean of two cells, but at edges."""
    ramp = jnp.arange(8.0)[None, :, None]
    np.testing.assert_allclose(aligned.to_grid(ramp, (4,))[0, 1:-1, 0], [2.5, 4.5], rtol=1e-6)
    edge = (3 * 0 + 3 * 1 + 2) / 7  # what would lie outside of the ramp has no weight
    np.testing.assert_allclose(aligned.to_grid(ramp, (4,))[0, [0, -1], 0], [edge, 7 - edge], rtol=1e-6)
    impulse = jnp.zeros((1, 8, 1)).at[0, 3, 0].set(1.0)
    np.testing.assert_allclose(aligned.to_grid(impulse, (4,))[0, :, 0], [0, 3 / 8, 1 / 8, 0], atol=1e-6)


def test_a_clip_on_a_grid_of_time_has_its_pictures_as_channels():
    got = aligned.to_grid(jnp.asarray(CLIP), (4,))
    np.testing.assert_array_equal(got, CLIP.reshape(2, 4, -1))
    longer = aligned.to_grid(jnp.asarray(CLIP), (8,))
    assert longer.shape == (2, 8, 8 * 6 * 3)
    np.testing.assert_allclose(longer[:, 1], 0.75 * got[:, 0] + 0.25 * got[:, 1], atol=1e-5)


def test_a_clip_on_the_grid_of_a_picture_has_its_frames_as_channels():
    got = aligned.to_grid(jnp.asarray(CLIP), (8, 6))
    np.testing.assert_array_equal(got, np.concatenate(list(CLIP.swapaxes(0, 1)), axis=-1))
    smaller = aligned.to_grid(jnp.asarray(CLIP), (4, 3))
    np.testing.assert_allclose(smaller[..., 3:6], aligned.to_grid(jnp.asarray(CLIP[:, 1]), (4, 3)), atol=1e-5)


def test_a_picture_on_the_grid_of_a_clip_stands_still():
    got = aligned.to_grid(jnp.asarray(PICTURE), (5, 8, 6))
    np.testing.assert_array_equal(got, np.broadcast_to(PICTURE[:, None], (2, 5, 8, 6, 3)))
    smaller = aligned.to_grid(jnp.asarray(PICTURE), (5, 4, 3))
    for frame in range(5):
        np.testing.assert_allclose(smaller[:, frame], aligned.to_grid(jnp.asarray(PICTURE), (4, 3)), atol=1e-5)


@pytest.mark.parametrize("source, grid", [(SOUND, (8, 6)), (SOUND, (4, 8, 6)), (PICTURE, (8,))])
def test_a_grid_of_another_rank_is_refused(source, grid):
    expected = (
        rf"config.aligned: 'edges' has a grid of {source.ndim - 2} axes, the network's has {len(grid)}; read it by"
    )
    with pytest.raises(ValueError, match=expected):
        aligned.to_grid(jnp.asarray(source), grid, "edges")


def test_sources_are_joined_in_the_order_of_their_names():
    condition = Condition(None, None, None, {"b": jnp.asarray(PICTURE), "a": jnp.asarray(PICTURE[..., :1])})
    x = jnp.zeros((2, 8, 6, 2))
    got = aligned.join(x, condition)
    np.testing.assert_array_equal(got, np.concatenate([x, PICTURE[..., :1], PICTURE], axis=-1))
    assert aligned.at_grid(condition, (4, 3), jnp.bfloat16).dtype == jnp.bfloat16
    for nothing in (None, Condition(None, None, None)):
        assert aligned.join(x, nothing) is x and aligned.at_grid(nothing, (8, 6)) is None


# The conditioner

MODALITIES = {
    "edges": Modality("image", (8, 6, 3)),
    "sound": Modality("audio", (16,), sample_rate=16),
    "digit": Modality("label", classes=("a", "b", "c")),
}


def conditioner(encoders=True):
    own = {"digit": label.Encoder(num_classes=3, features=8)} if encoders else {}
    return Conditioner(
        own,
        concat.Fusion(features=8) if encoders else None,
        {name: name for name in own},
        MODALITIES,
        aligned=("edges", "sound"),
    )


def batch():
    return {"edges": PICTURE, "sound": SOUND[..., 0], "digit": np.int32([1, 2])}


@pytest.mark.parametrize("encoders", [True, False])
@pytest.mark.parametrize("train", [False, True])
def test_masked_and_absent_give_bitwise_the_same_condition(encoders, train):
    network = conditioner(encoders)
    assert network.names == (("digit", "edges", "sound") if encoders else ("edges", "sound"))
    variables = network.init(jax.random.key(0), batch())
    apply = jax.jit(lambda batch: network.apply(variables, batch, train=train))
    whole = apply(batch())
    for name in ("edges", "sound"):
        absent = apply({k: v for k, v in batch().items() if k != name})
        garbage = np.full_like(batch()[name], np.nan)
        masked = apply(batch() | {name: garbage, f"{name}/mask": np.zeros(2, bool)})
        assert_same(masked, absent)
        assert not np.any(masked.aligned[name]) and np.any(whole.aligned[name])
        half = apply(batch() | {f"{name}/mask": np.array([True, False])})
        np.testing.assert_array_equal(half.aligned[name][0], whole.aligned[name][0])
        assert not np.any(half.aligned[name][1])


def test_aligned_sources_alone_condition_without_tokens():
    network = conditioner(encoders=False)
    variables = network.init(jax.random.key(0), batch())
    assert not variables  # nothing to learn
    condition = network.apply(variables, batch())
    assert condition.tokens is condition.mask is condition.pooled is None
    np.testing.assert_array_equal(condition.aligned["edges"], PICTURE)
    np.testing.assert_array_equal(condition.aligned["sound"], SOUND)  # with a channel axis


# The config


def config(**changes):
    base = tiny.config("gan")
    with base.unlocked():
        base.data.names = ("text", "image", "video")
        base.generator.norm = "group"
        base.update(changes)
    return base.lock()


def test_a_system_of_aligned_sources_and_no_encoders_needs_no_fusion():
    alone = config(aligned=("video",)).unlock()
    del alone["fusion"]
    alone.encoders = {}
    system = tiny.Training(alone.lock()).system
    assert system.conditions == ("video",)
    conditioner = system.objective.conditioner
    assert conditioner.fusion is None and conditioner.encoders == {} and conditioner.aligned == ("video",)
    both = tiny.Training(config(aligned=("video",))).system
    assert both.conditions == ("text", "video")
    hidden = both.without_targets({name: np.zeros((2, *m.shape), np.float32) for name, m in both.modalities.items()})
    assert set(hidden) == {"text", "video", "image", "image/mask"}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("text", r"config.aligned: 'text' is of kind 'text', which has no grid; read it by an encoder"),
        ("picture", r"config.aligned: 'picture' is not in the data; its modalities are: text, image, video"),
    ],
)
def test_what_has_no_grid_is_refused(name, expected):
    with pytest.raises(ConfigError, match=expected):
        _ = tiny.Training(config(aligned=(name,))).system
    with pytest.raises(ConfigError, match=expected):  # one name needs no tuple
        _ = tiny.Training(config(aligned=name)).system
