"""The rule of halvings, and that encoder, decoder and representations agree on it."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.encoders import trunk
from mmgen_jax.networks.generators import grid
from mmgen_jax.networks.layers import strides
from mmgen_jax.representations import kl_autoencoder, vq_vae
from mmgen_jax.representations.grid import grid_shape

# Shape, stages, and what they leave.
SHAPES = [
    ((64, 80), 2, (16,)),
    ((64, 80), 4, (4,)),
    ((28, 28, 1), 2, (7, 7)),
    ((32, 16, 3), 1, (16, 8)),
    ((8, 16, 16, 1), 2, (4, 4, 4)),
    ((10, 28, 28, 1), 2, (5, 7, 7)),
    ((4, 8, 8, 3), 3, (4, 1, 1)),
]


def test_halvings_go_on_to_four_cells():
    for size, expected in (((28, 28), 2), ((32, 28), 2), ((64, 64), 4), ((7, 64), 0), ((94,), 1), ((16, 32, 64), 3)):
        assert strides.num_halvings(size) == expected


@pytest.mark.parametrize("shape, num_stages, coarse", SHAPES)
def test_a_clip_keeps_four_frames_and_its_sides_are_halved_at_every_stage(shape, num_stages, coarse):
    stages = strides.stage_strides(shape[:-1], num_stages)
    assert len(stages) == num_stages and strides.coarse_grid(shape[:-1], stages) == coarse
    assert all(stage[-2:] == (2, 2)[-len(stage) :] for stage in stages)
    assert strides.kernel_sizes((1, 2, 2)) == (3, 4, 4)


def representations(shape, num_stages):
    """`(representation, its code's shape)` of arrays of such a shape."""
    fields = {
        "encoder": trunk.Encoder(features=8, channels=(4,) * num_stages),
        "decoder": grid.Generator(shape, width=4, max_width=4),
        "of": types.SimpleNamespace(
            space=Continuous(shape),
            players=(),
            init=lambda rng, target: {},
            encode=lambda params, collections, target: target,
            decode=lambda params, collections, code: code,
        ),
    }
    coarse = grid_shape(fields["encoder"], shape)
    yield vq_vae.Representation(**fields, codebook_size=8, code_dim=4), (int(np.prod(coarse)),)
    yield kl_autoencoder.Representation(**fields, latent_dim=3), (*coarse, 3)


@pytest.mark.parametrize("shape, num_stages, coarse", SHAPES)
def test_representations_lead_to_the_grid_and_back(shape, num_stages, coarse):
    assert grid_shape(trunk.Encoder(features=8, channels=(4,) * num_stages), shape) == coarse
    for representation, code_shape in representations(shape, num_stages):
        assert representation.space.shape == code_shape

        def there_and_back(target, representation=representation):
            player = representation.own_player
            variables = representation.init(jax.random.key(0), target)[player]
            params, collections = {player: variables.pop("params")}, {player: variables}
            code = representation.encode(params, collections, target)
            loss, _ = representation.loss(player, params, collections, target, jnp.ones(2), jax.random.key(1))
            return code, representation.decode(params, collections, code), loss

        code, output, loss = jax.eval_shape(there_and_back, jnp.zeros((2, *shape)))
        assert code.shape == (2, *code_shape) and output.shape == (2, *shape) and loss.shape == ()


@pytest.mark.parametrize("shape, num_stages, coarse", [((64, 3), 3, (8,)), ((8, 16, 16, 1), 2, (4, 4, 4))])
def test_a_token_and_its_cells_stand_at_the_same_place(shape, num_stages, coarse):
    """Row-major: the last cell of the grid is the last token, and the last token draws the last cells."""
    encoder = trunk.Encoder(features=4, channels=(4,) * num_stages, norm="none")
    decoder = grid.Generator(shape, width=4, max_width=4, num_blocks=0)
    x, tokens = np.zeros((1, *shape), np.float32), np.zeros((1, np.prod(coarse), 4), np.float32)
    far, last = np.array(x), np.array(tokens)
    far[(0, *[-1] * len(coarse))], last[0, -1] = 1, 1
    ones = jnp.ones(1, bool)
    variables = jax.jit(encoder.init)(jax.random.key(0), x, ones)
    apply = jax.jit(lambda x: encoder.apply(variables, x, ones).values)
    change = np.abs(apply(far) - apply(x)).max(-1).reshape(coarse)
    assert change[(-1,) * len(coarse)] > 0 and change[(0,) * len(coarse)] == 0
    assert change[(0, *[-1] * (len(coarse) - 1))] == 0 and change[(*[-1] * (len(coarse) - 1), 0)] == 0
    variables = jax.jit(decoder.init)(jax.random.key(0), tokens)
    apply = jax.jit(lambda tokens: decoder.apply(variables, tokens))
    change = np.abs(apply(last) - apply(tokens)).max(-1)[0]
    assert change[(-1,) * len(coarse)] > 0 and change[(0,) * len(coarse)] == 0
    assert change[(*[-1] * (len(coarse) - 1), 0)] == 0


@pytest.mark.parametrize(
    "num, sizes, message", [(64, (28, 28), "784, 196, 49"), (32, (8, 16, 16), "2048, 256, 64, 16")]
)
def test_tokens_of_no_such_grid_are_refused(num, sizes, message):
    with pytest.raises(ValueError, match=f"expected one of {message}.* got {num}"):
        grid.doublings(num, *sizes)


def test_other_ranks_are_refused():
    for make in (
        lambda: grid.Generator((8,)),
        lambda: trunk.Encoder().init(jax.random.key(0), jnp.zeros((1, 8)), jnp.ones(1, bool)),
    ):
        with pytest.raises(ValueError, match=r"works on \[T, C\], \[H, W, C\] or \[T, H, W, C\]"):
            make()
