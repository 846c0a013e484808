"""A clip by the representation of its frames: the order of frames, the loss, the refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from grid_parts import IMAGE, codes, initial, latents
from tiny import mapped_by

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.representations import identity, per_frame

CLIP = Modality("video", (3, 4, 4, 1))
CLIPS = np.random.default_rng(0).uniform(-1, 1, (8, 3, 4, 4, 1)).astype(np.float32)
ONES = np.ones(8, np.float32)
KEY = jax.random.key(0)


def of(inner, **fields):
    return per_frame.Representation(modality=CLIP, of=inner, **fields)


def test_frames_follow_each_other_in_time_and_come_back():
    frames = of(identity.Representation(IMAGE))
    code = frames.encode({}, {}, CLIPS)
    assert frames.space == Continuous((3, 16)) and frames.players == ()
    for time in range(3):
        np.testing.assert_array_equal(code[:, time], CLIPS[:, time].reshape(8, 16))
    np.testing.assert_array_equal(frames.decode({}, {}, code), CLIPS)


def test_latents_of_a_clip_are_those_of_its_frames():
    representation = of(latents())
    params, collections = initial(representation, CLIPS)
    code = representation.encode(params, collections, CLIPS)
    assert representation.space == Continuous((3, 12), bounded=False) and code.shape == (8, 3, 12)
    decoded = representation.decode(params, collections, code)
    for time in range(3):
        alone = latents().encode(params, collections, CLIPS[:, time])
        np.testing.assert_allclose(code[:, time], alone.reshape(8, 12), atol=1e-6)
        np.testing.assert_allclose(decoded[:, time], latents().decode(params, collections, alone), atol=1e-6)


def test_codes_of_the_frames_follow_each_other():
    representation = of(codes())
    params, collections = initial(representation, CLIPS)
    code = representation.encode(params, collections, CLIPS)
    assert representation.space == Discrete(12, 24) and code.shape == (8, 12) and code.dtype == jnp.int32
    for time in range(3):
        alone = codes().encode(params, collections, CLIPS[:, time])
        np.testing.assert_array_equal(code[:, 4 * time : 4 * time + 4], alone)
    assert representation.decode(params, collections, code).shape == CLIPS.shape


@pytest.mark.slow
def test_the_loss_is_the_mean_over_frames_whatever_the_number_of_devices():
    representation = of(latents(kl_weight=0.0))
    state = initial(representation, CLIPS)
    weights = np.array([0, 2, 1, 1, 0.5, 1.5, 0, 2], np.float32)

    def loss(clips, weights):
        return representation.loss("autoencoder", *state, clips, weights, KEY)

    spoiled = np.where(weights[:, None, None, None, None] > 0, CLIPS, 0.5).astype(np.float32)
    expected, (collections, _) = loss(CLIPS, weights)
    assert float(loss(spoiled, weights)[0]) == float(expected) != float(loss(CLIPS, ONES)[0])
    halves = CLIPS.reshape(2, 4, *CLIPS.shape[1:]), weights.reshape(2, 4)
    losses, (spread, _) = mapped_by(jax.vmap, loss)(*halves)
    np.testing.assert_allclose(losses.mean(), expected, rtol=1e-5)
    for one, both in zip(jax.tree.leaves(collections), jax.tree.leaves(spread), strict=True):
        np.testing.assert_allclose(both[0], one, rtol=1e-5, atol=1e-7)


def test_a_step_may_train_on_some_frames_which_change_from_step_to_step():
    still = np.repeat(CLIPS[:, :1], 3, axis=1) * np.array([0, 0, 1], np.float32)[:, None, None, None]
    representation = of(latents(), frames_per_step=1)
    state = initial(representation, still)

    def error(key):
        return float(representation.loss("autoencoder", *state, still, ONES, key)[1][1]["error_per_element"])

    errors = [error(jax.random.key(seed)) for seed in range(12)]
    last = [value > 2 * min(errors) for value in errors]  # the last frame is the one that differs
    assert any(last) and not all(last)


@pytest.mark.parametrize(
    "build, expected",
    [
        (lambda: per_frame.Representation.part_of(IMAGE), r"needs a clip \[T, H, W, C\], got shape \(4, 4, 1\)"),
        (lambda: of(latents(), frames_per_step=4), "frames_per_step: expected 0 to 3, the number of frames, got 4"),
        (lambda: of(latents(), frames_per_step=-1), "frames_per_step: expected 0 to 3"),
    ],
)
def test_what_has_no_such_frames_is_refused(build, expected):
    with pytest.raises(ValueError, match=f"^representation 'per_frame': {expected}"):
        build()
