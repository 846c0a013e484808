"""Generators and discriminators on sequences, images and clips, with conditions of every kind."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditional, Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition

BATCH, LATENT = 2, 6
SHAPES = {1: (16, 5), 2: (16, 24, 3), 3: (8, 16, 16, 2)}
CELLS = {1: 4, 2: 24, 3: 64}  # after two halvings of the sides
UNET = {"channels": (8, 16), "features": 8}
FIELDS = {
    "conv": {"width": 4, "max_width": 8, "conditions_at": "both"},
    "grid": {"width": 4, "max_width": 8},
    "unet": UNET,
    "dit": {"features": 8, "num_layers": 2, "num_heads": 2, "patch_size": 4},
    "translation": {"width": 4, "max_width": 8},
    "unet_translation": UNET,
    "resnet_translation": {"width": 4, "num_stages": 1, "num_blocks": 1},
}
DISCRIMINATORS = {
    "conv": {"width": 4, "max_width": 8, "hidden": 8},
    "projection": {"width": 4, "max_width": 8},
    "word_region": {"width": 4, "max_width": 8, "features": 6},
    "patch": {"width": 4, "max_width": 8, "num_stages": 1},
}
NETWORKS = [("generators", name) for name in FIELDS] + [("discriminators", name) for name in DISCRIMINATORS]
DENOISERS = ("unet", "dit")
STARTS_FROM_SOURCES = ("translation", "unet_translation", "resnet_translation")
NEEDS_CONDITIONS = ("projection", "word_region")


def network(package, name, rank, **fields):
    """Normalised over a cell's channels, which cancels no bias before it."""
    own = (FIELDS if package == "generators" else DISCRIMINATORS)[name]
    norm = {} if name == "dit" else {"norm": "layer"}  # the norm of a DiT is none but `layer`
    return lookup.build(package, {"name": name, **norm, **own, **fields}, shape=SHAPES[rank])


def inputs(package, name, rank):
    rng = np.random.default_rng(rank)
    grid = rng.uniform(-1, 1, (BATCH, *SHAPES[rank]))
    if package == "discriminators":
        arrays = (grid,)
    elif name == "grid":
        arrays = (rng.normal(size=(BATCH, CELLS[rank], 5)),)
    else:
        arrays = (grid, rng.uniform(size=BATCH)) if name in DENOISERS else (rng.normal(size=(BATCH, LATENT)),)
    return tuple(array.astype(np.float32) for array in arrays)


def condition(rank, tokens=True, aligned=True):
    """Sources at the network's own grid and at half of it."""
    rng = np.random.default_rng(10 + rank)
    words = rng.normal(size=(BATCH, 3, 7)).astype(np.float32)
    mask = np.array([[True, True, True], [True, False, False]])
    fused = (words, mask, words.mean(axis=1)) if tokens else (None, None, None)
    *grid, _ = SHAPES[rank]
    sources = {"whole": tuple(grid), "small": tuple(size // 2 for size in grid)} if aligned else {}
    return Condition(
        *fused, {name: rng.normal(size=(BATCH, *size, 2)).astype(np.float32) for name, size in sources.items()}
    )


@functools.cache
def evaluated(package, name, rank):
    """`(evaluate, arrays, condition)`, evaluate giving output and gradients of the parameters, which are random."""
    module, arrays, given = network(package, name, rank), inputs(package, name, rank), condition(rank)
    rng = np.random.default_rng(0)
    structure = jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *arrays, given)
    assert set(structure) == {"params"}
    params = jax.tree.map(
        lambda leaf: rng.normal(scale=leaf.size**-0.25, size=leaf.shape).astype(np.float32), structure["params"]
    )

    @jax.jit
    def evaluate(arrays, given):
        def loss(params):
            y = module.apply({"params": params}, *arrays, given, train=True)
            return jnp.sum(jnp.sin(y + jnp.arange(y.size).reshape(y.shape))), y

        gradients, y = jax.grad(loss, has_aux=True)(params)
        return y, gradients

    return evaluate, arrays, given


@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("package, name", NETWORKS)
def test_shapes_with_conditions_of_every_kind(package, name, rank):
    arrays = inputs(package, name, rank)
    for tokens, aligned in ((True, True), (True, False), (False, True), (False, False)):
        given = condition(rank, tokens, aligned) if tokens or aligned else None

        def call(given=given):
            module = network(package, name, rank)
            return module.init_with_output(jax.random.key(0), *arrays, given)[0]

        if (name in STARTS_FROM_SOURCES and not aligned) or (name in NEEDS_CONDITIONS and given is None):
            with pytest.raises(
                ValueError, match="starts from aligned sources" if not aligned and tokens else "needs|got none"
            ):
                jax.eval_shape(call)
            continue
        expected = (BATCH, *SHAPES[rank]) if package == "generators" else (BATCH,)
        if name == "patch":
            expected = (BATCH, *(size // 2 for size in SHAPES[rank][:-1]))
        output = jax.eval_shape(call)
        assert output.shape == expected and output.dtype == jnp.float32, (tokens, aligned)


@pytest.mark.parametrize("rank", [2, *(pytest.param(rank, marks=pytest.mark.slow) for rank in (1, 3))])
@pytest.mark.parametrize("package, name", NETWORKS)
def test_gradient_reaches_every_parameter_and_every_condition_counts(package, name, rank):
    evaluate, arrays, given = evaluated(package, name, rank)
    output, gradients = evaluate(arrays, given)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        where = jax.tree_util.keystr(path)
        assert np.isfinite(gradient).all(), where
        assert np.abs(gradient).max() > 1e-7 or "['key']['bias']" in where, where
    sources = given.aligned
    changed = {name: given.replace(aligned=sources | {name: source + 1}) for name, source in sources.items()}
    changed["tokens"] = given.replace(tokens=given.tokens + 1, pooled=given.pooled + 1)
    for what, other in changed.items():
        assert np.abs(evaluate(arrays, other)[0] - output).max() > 1e-5, what
    changed = tuple(array + np.float32(0.5) for array in arrays)
    assert np.abs(evaluate(changed, given)[0] - output).max() > 1e-5


@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("package, name", NETWORKS)
def test_examples_do_not_see_each_other(package, name, rank):
    evaluate, arrays, given = evaluated(package, name, rank)
    first = jax.tree.map(lambda rows: rows[[0, 0]], (arrays, given))
    np.testing.assert_allclose(evaluate(*first)[0][0], evaluate(arrays, given)[0][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("package, name", [(p, n) for p, n in NETWORKS if n not in ("grid", *DENOISERS)])
def test_a_masked_source_is_an_absent_one(package, name):
    modality = Modality("image", SHAPES[2])
    conditioner = Conditioner({}, None, {}, {"edges": modality}, aligned=("edges",))
    module = Conditional(conditioner, network(package, name, 2))
    (x,) = inputs(package, name, 2)
    rng = np.random.default_rng(0)
    edges = rng.normal(size=(BATCH, *SHAPES[2])).astype(np.float32)
    apply = jax.jit(module.apply)
    batch = {"edges": edges, "edges/mask": np.array([True, False])}
    structure = jax.eval_shape(module.init, jax.random.key(0), batch, x)
    variables = jax.tree.map(lambda leaf: rng.normal(scale=0.1, size=leaf.shape).astype(np.float32), structure)
    output = apply(variables, batch, x)
    assert np.abs(output[0] - apply(variables, batch | {"edges": edges + 1}, x)[0]).max() > 1e-6
    np.testing.assert_array_equal(output[1], apply(variables, batch | {"edges": edges + 1}, x)[1])
    np.testing.assert_array_equal(output[1], apply(variables, {"anything": edges}, x)[1])


@pytest.mark.parametrize("shape", [(5, 3), (7, 7, 1), (3, 6, 7, 1)])
def test_grids_that_cannot_be_halved(shape):
    source = Condition(None, None, None, {"source": jnp.zeros((BATCH, *shape))})
    latent = jnp.zeros((BATCH, LATENT))
    for name in ("conv", "translation"):
        module = lookup.build("generators", {"name": name, "width": 4}, shape=shape)
        assert (
            jax.eval_shape(module.init_with_output, jax.random.key(0), latent, source)[0].shape
            == latent[:, :1].shape[:1] + shape
        )
    discriminator = lookup.build("discriminators", {"name": "conv", "width": 4})
    x = jnp.zeros((BATCH, *shape))
    assert jax.eval_shape(discriminator.init_with_output, jax.random.key(0), x, source)[0].shape == (BATCH,)


@pytest.mark.parametrize(
    "shape, fields, message",
    [
        ((12, 3), {}, "sides that are multiples of 8"),
        ((8, 16, 20, 1), {}, "sides that are multiples of 8"),
        ((8, 16, 16, 1), {"patch_size": (3, 2, 2)}, "a divisor of the 8 frames, got 3"),
        ((8, 16, 16, 1), {"patch_size": (2, 2)}, "a patch_size for each axis"),
        ((16, 16, 1), {"patch_size": (2, 8)}, r"sides that are multiples of \(8, 32\)"),
        ((16, 16, 1), {"skips": "multiply"}, "skips: expected add or concat"),
    ],
)
def test_the_unet_refuses_what_it_cannot_halve(shape, fields, message):
    module = lookup.build("generators", {"name": "unet", "channels": (8, 8, 8), **fields})
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *shape)), jnp.zeros(1), None)


@pytest.mark.parametrize(
    "shape, patch_size, message",
    [
        ((8, 16, 20, 1), 8, r"sides that are multiples of 8 \(from patch_size 8\)"),
        ((8, 16, 16, 1), (3, 4, 4), "a divisor of the 8 frames, got 3"),
        ((16, 16, 1), (2, 4, 4), "a patch_size for each axis"),
    ],
)
def test_the_dit_refuses_patches_that_do_not_divide(shape, patch_size, message):
    module = lookup.build("generators", {"name": "dit", "patch_size": patch_size})
    with pytest.raises(ValueError, match="generators/dit: .*" + message):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *shape)), jnp.zeros(1), None)


@pytest.mark.parametrize("patch_size", [1, 2, (2, 2, 2), (4, 1, 2)])
def test_the_unet_takes_patches_of_each_axis(patch_size):
    module = lookup.build(
        "generators", {"name": "unet", "channels": (8, 8), "patch_size": patch_size, "skips": "concat"}
    )
    x = jnp.zeros((1, 12, 16, 16, 2))
    output, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), x, jnp.zeros(1), None)
    assert output.shape == x.shape
    patch = patch_size if isinstance(patch_size, tuple) else (1, patch_size, patch_size)
    assert variables["params"]["input"]["kernel"].shape == (3, 3, 3, 2 * np.prod(patch), 8)


def test_nearest_upsampling_draws_no_checkerboard():
    tokens = np.broadcast_to(np.float32([1, -1, 0.5, 2, 0]), (1, 24 * 24, 5))  # a picture that is the same everywhere
    spread = {}
    for upsampling in ("nearest", "transposed"):
        fields = {"name": "grid", "width": 4, "norm": "layer", "upsampling": upsampling}
        generator = lookup.build("generators", fields, shape=(48, 48, 3))
        drawn = generator.apply(generator.init(jax.random.key(0), tokens), tokens)
        spread[upsampling] = np.asarray(drawn)[0, 16:-16, 16:-16].std((0, 1)).max()  # far from the border
    assert spread["nearest"] < 1e-5 < 1e-3 < spread["transposed"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", SHAPES)
def test_with_nearest_upsampling_gradient_reaches_every_parameter_and_source(rank):
    generator = network("generators", "grid", rank, upsampling="nearest")
    (tokens,), seen = inputs("generators", "grid", rank), condition(rank)
    variables = generator.init(jax.random.key(0), tokens, seen)

    @jax.jit
    def slopes(params, seen):
        loss = lambda params, seen: jnp.sum(generator.apply({"params": params}, tokens, seen) ** 2)  # noqa: E731
        return jax.grad(loss, argnums=(0, 1), allow_int=True)(params, seen)

    of_parameters, of_condition = slopes(variables["params"], seen)
    assert all(np.abs(x).max() > 0 for x in jax.tree.leaves(of_parameters))
    assert all(np.abs(x).max() > 0 for x in jax.tree.leaves(of_condition.aligned))
    with pytest.raises(ValueError, match="upsampling: expected transposed or nearest, got 'bilinear'"):
        network("generators", "grid", rank, upsampling="bilinear")
