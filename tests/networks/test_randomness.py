"""Draws of examples: the same whatever is drawn beside them, and for parts of examples too."""

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.networks.layers import randomness

KEY = jax.random.key(3)


def test_parts_of_examples_have_draws_of_their_own_that_depend_on_the_example_alone():
    """As gradient accumulation takes them: examples 2 and 3 of four, three frames each."""
    whole = randomness.normal(KEY, 4 * 3, (2,))
    with randomness.numbered(jnp.array([[0, 2], [0, 3]], jnp.int32)):
        half = randomness.normal(KEY, 2 * 3, (2,))
    np.testing.assert_array_equal(half, whole[6:])
    with randomness.numbered(jnp.array([[1, 0], [1, 1]], jnp.int32)):
        other = randomness.normal(KEY, 2 * 3, (2,))
    assert len(np.unique(np.concatenate([whole, other])[:, 0])) == 18
