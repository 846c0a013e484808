"""The convolutional LSTM: its cell, the motions, and a future that is a function of the past alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.conv_lstm import Cell, Generator, moves

RNG = np.random.default_rng(0)
PAST = RNG.uniform(-1, 1, (2, 3, 8, 8, 1)).astype(np.float32)
SEEN = Condition(None, None, None, {"past": PAST})
FIELDS = {"features": 4, "num_layers": 1, "num_motions": 2, "reach": 2}


@functools.cache
def generator(num=3, **fields):
    return Generator((num, 8, 8, 1), **{**FIELDS, **fields})


@functools.cache
def variables():
    return jax.jit(generator().init)(jax.random.key(0), None, SEEN)


def drawn(past, num=3, own=None):
    apply = jax.jit(lambda own, past: generator(num).apply(own, None, SEEN.replace(aligned={"past": past})))
    return np.asarray(apply(own or variables(), past))


def test_a_cell_on_one_place_is_an_lstm():
    cell, x = Cell(3, 1), RNG.normal(size=(2, 1, 1, 5)).astype(np.float32)
    state = tuple(RNG.normal(size=(2, 1, 1, 3)).astype(np.float32) for _ in range(2))
    own = cell.init(jax.random.key(0), state, x)
    memory, output = cell.apply(own, state, x)
    kernel = np.asarray(own["params"]["gates"]["kernel"])[0, 0]
    keep, write, show, new = np.split(np.concatenate([x, state[1]], -1) @ kernel, 4, axis=-1)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    expected = sigmoid(keep + 1) * state[0] + sigmoid(write) * np.tanh(new)
    np.testing.assert_allclose(memory, expected, rtol=1e-5)
    np.testing.assert_allclose(output, sigmoid(show) * np.tanh(expected), rtol=1e-5)


def test_moves_are_shifts_that_repeat_the_border():
    x = np.arange(5.0)
    for shift, matrix in zip((-2, -1, 0, 1, 2), moves(5, 2)):
        np.testing.assert_array_equal(matrix @ x, x[np.clip(np.arange(5) + shift, 0, 4)])


def test_a_network_that_only_moves_moves_the_last_frame_on_and_on():
    """With one sharp kernel and a mask of it alone, frame t is the last frame, moved t times."""
    own = jax.tree.map(jnp.zeros_like, variables())
    step = own["params"]["step"]
    sharp = np.zeros((2, 2, 5), np.float32)  # [axis, motion, tap]: down and up by 1, right and left by 2
    sharp[0, 0, 3] = sharp[1, 0, 4] = sharp[:, 1, 2] = 50.0
    step["motions"]["bias"] = jnp.asarray(sharp.ravel())
    step["masks"]["bias"] = jnp.tile(jnp.array([50.0, 0, 0, 0]), 16)  # 4 candidates at each of 4 x 4 pixels
    future = drawn(PAST, own=own)
    for t, frame in enumerate(np.moveaxis(future, 1, 0), 1):
        rows, columns = (np.clip(np.arange(8) + t * shift, 0, 7) for shift in (1, 2))
        np.testing.assert_allclose(frame, PAST[:, -1][:, rows][:, :, columns], atol=1e-5)


def test_more_frames_continue_fewer_and_examples_do_not_see_each_other():
    three, changed = drawn(PAST), PAST.copy()
    assert three.shape == (2, 3, 8, 8, 1) and np.abs(three).max() <= 1
    np.testing.assert_allclose(drawn(PAST, num=2), three[:, :2], atol=1e-6)
    changed[1, 0] *= -1
    after = drawn(changed)
    np.testing.assert_array_equal(after[0], three[0])
    assert (np.abs(after[1] - three[1]).max((1, 2, 3)) > 1e-6).all()  # the first frame has not been forgotten


def moving_boxes(rng, num, frames=6, side=12, box=4):
    """Clips `[num, frames, side, side, 1]` of a white box that moves 1.5 px a frame and is reflected at the border."""
    start, angle, width = rng.uniform(0, side - box, (num, 2)), rng.uniform(0, 2 * np.pi, num), side - box
    clips = np.full((num, frames, side, side, 1), -1, np.float32)
    for t in range(frames):
        path = start + 1.5 * t * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        corners = np.rint(width - np.abs(np.mod(path, 2 * width) - width)).astype(int)
        for clip, (top, left) in zip(clips, corners):
            clip[t, top : top + box, left : left + box] = 1
    return clips


@pytest.mark.slow
def test_a_hundred_steps_are_better_than_the_last_frame_and_black_at_every_horizon():
    rng = np.random.default_rng(0)
    module = Generator((3, 12, 12, 1), features=16, num_motions=4, reach=3)

    def predicted(own, past):
        return module.apply(own, None, Condition(None, None, None, {"past": past}))

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))
    own = jax.jit(module.init)(
        jax.random.key(0), None, Condition(None, None, None, {"past": moving_boxes(rng, 16)[:, :3]})
    )

    @jax.jit
    def step(own, state, clips):
        slopes = jax.grad(lambda own: jnp.mean((predicted(own, clips[:, :3]) - clips[:, 3:]) ** 2))(own)
        updates, state = optimizer.update(slopes, state)
        return optax.apply_updates(own, updates), state

    state = optimizer.init(own)
    for _ in range(100):
        own, state = step(own, state, moving_boxes(rng, 16))
    clips = moving_boxes(rng, 100)
    error, last, black = (
        np.square(x - clips[:, 3:]).mean((0, 2, 3, 4)) for x in (predicted(own, clips[:, :3]), clips[:, 2:3], -1)
    )
    assert (error < 0.9 * np.minimum(last, black)).all()


@pytest.mark.parametrize("num_motions", [0, 2])
def test_gradient_reaches_every_parameter_and_a_vector_counts(num_motions):
    module = generator(2, num_motions=num_motions, num_layers=2)
    latent = RNG.normal(size=(2, 3)).astype(np.float32)
    own = jax.jit(module.init)(jax.random.key(0), latent, SEEN)["params"]
    slopes = jax.jit(jax.grad(lambda own: jnp.sum(module.apply({"params": own}, latent, SEEN) ** 2)))(own)
    assert "vector" in slopes and ("motions" in slopes["step"]) == bool(num_motions)
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0, jax.tree_util.keystr(path)


@pytest.mark.parametrize(
    ("shape", "aligned", "expected"),
    [
        ((8, 8, 1), {"past": PAST}, r"draws clips \[T, H, W, C\], got shape \(8, 8, 1\)"),
        ((2, 8, 8, 1), {"grey": PAST}, "'past' is no aligned source; config.aligned has: grey"),
        ((2, 8, 8, 3), {"past": PAST}, r"expected a clip with frames \[8, 8, 3\].*got 'past' with \[3, 8, 8, 1\]"),
        ((2, 6, 6, 1), {"past": PAST[:, :, :6, :6]}, "multiples of 4"),
        ((2, 8, 8, 1), {"past": PAST, "grey": PAST}, "reads the aligned source 'past' alone, got grey, past"),
    ],
)
def test_what_does_not_fit_is_refused(shape, aligned, expected):
    module = Generator(shape, **FIELDS)
    with pytest.raises(ConfigError, match=expected):
        jax.eval_shape(module.init, jax.random.key(0), None, Condition(None, None, None, aligned))
