"""Smooth completion of holes: known values stay, a plane is completed as the plane, nothing in the hole is read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators import gated
from mmgen_jax.networks.layers.fill import filled

RNG = np.random.default_rng(0)


def hole_of(grid):
    """`[1, *grid, 1]`, 1 in the middle half of each axis and -1 elsewhere."""
    hole = -np.ones((1, *grid, 1), np.float32)
    hole[(0, *[slice(size // 4, size - size // 4) for size in grid])] = 1
    return hole


@pytest.mark.parametrize("grid", [(32,), (24, 32), (7, 9), (4, 16, 16)])
def test_known_values_stay_and_nothing_in_the_hole_is_read(grid):
    x, hole = RNG.normal(size=(1, *grid, 3)).astype(np.float32), hole_of(grid)
    drawn = np.asarray(jax.jit(filled)(x, hole))
    other = np.asarray(jax.jit(filled)(np.where(hole > 0, np.float32(np.nan), x), hole))
    np.testing.assert_array_equal(drawn, other)
    known = np.broadcast_to(hole < 0, x.shape)
    np.testing.assert_array_equal(drawn[known], x[known])
    assert x[known].min() <= drawn.min() and drawn.max() <= x[known].max()


def test_a_plane_is_completed_as_the_plane():
    rows, columns = np.mgrid[0:32, 0:32] / 32
    plane = (rows - 0.5 * columns)[None, ..., None].astype(np.float32)
    hole = -np.ones((1, 32, 32, 1), np.float32)
    hole[0, 5:21, 8:27] = 1
    errors = [np.abs(filled(plane, hole, sweeps) - plane).max() for sweeps in (0, 8, 200)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-3


def test_a_hole_without_surroundings_is_zero_and_gradients_are_finite():
    x = RNG.normal(size=(2, 8, 8, 1)).astype(np.float32)
    hole = np.stack([np.ones((8, 8, 1), np.float32), hole_of((8, 8))[0]])
    assert (np.asarray(filled(x, hole))[0] == 0).all()
    gradient = jax.grad(lambda x: (filled(x, hole) ** 2).sum())(x)
    assert np.isfinite(gradient).all() and (np.asarray(gradient)[hole > 0] == 0).all()


def test_a_gated_generator_adds_to_the_smooth_completion():
    photo, mask = RNG.normal(size=(1, 16, 16, 3)).astype(np.float32), hole_of((16, 16))
    condition = Condition(None, None, None, {"photo": jnp.asarray(photo), "mask": jnp.asarray(mask)})
    generator = gated.Generator((16, 16, 3), width=4, num_halvings=2, known="photo", hole="mask")
    variables = generator.init(jax.random.key(0), None, condition)
    zeroed = jax.tree_util.tree_map_with_path(lambda path, x: x * 0 if "output" in str(path) else x, variables)
    np.testing.assert_allclose(generator.apply(zeroed, None, condition), filled(photo, mask), atol=1e-6)
    for fields, message in (
        ({"known": "moon"}, r"gated\.known: expected an aligned source \(photo, mask\), got 'moon'"),
        ({"hole": ""}, r"gated\.hole: expected an aligned source \(photo, mask\), got ''"),
        ({"shape": (16, 16, 1)}, r"gated\.known: expected a source like the target, \(16, 16, 1\), got 'photo'"),
    ):
        with pytest.raises(ValueError, match=message):
            generator.clone(**fields).init(jax.random.key(0), None, condition)
