"""Pictures in one pass and completed: what is known stays bit for bit, and the loss is that of the hole."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from mmgen_jax.config import schema
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.evaluators import completion
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators import gated, subpixel
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

RNG = np.random.default_rng(0)


def config(objective, **parts):
    made = schema.base()
    made.data = {"name": "scenes", "names": ("image",)}
    made.derived = {"mask": {"name": "mask", "of": "image"}, "photo": {"name": "hole", "of": ("image", "mask")}}
    made.objective = {"target": "image", "hole": "mask", "known": "photo", **objective}
    made.optimizers = {"generator": {"lr": 1e-3}}
    for part, value in parts.items():
        made[part] = value
    if objective["name"] == "adversarial":
        made.optimizers.discriminator = {"lr": 1e-3}
        made.discriminator = {"name": "patch", "num_stages": 1}
    made.parallel.num_devices = 1
    return tiny.shrink(made.lock())


ALIGNED = {"aligned": ("photo", "mask"), "generator": {"name": "gated", "num_halvings": 2}}
CASES = {
    "regression": ({"name": "regression", "error": "l2"}, ALIGNED),
    "adversarial": ({"name": "adversarial", "latent_dim": 0, "l1": 10.0}, ALIGNED),
    "diffusion": (
        {"name": "diffusion", "sampling_steps": 3, "resamples": 2},
        {"generator": {"name": "unet", "channels": (8, 16)}},
    ),
}


@functools.cache
def trained(name):
    objective, parts = CASES[name]
    training = tiny.Training(config(objective, **parts))
    state, _ = training.run(1)
    sampler = Sampler(training.system, parallel.create("jit", 4, num_devices=1), batch_size=4)
    return training, sampler.load(*averaged(state))


@pytest.mark.parametrize("name", ["regression", "adversarial", pytest.param("diffusion", marks=pytest.mark.slow)])
def test_what_is_known_is_kept_bit_for_bit(name):
    training, sampler = trained(name)
    assert training.system.conditions == ("photo", "mask")
    batch = training.source.read(np.arange(4), np.zeros(4, int))
    drawn = sampler({key: batch[key] for key in ("photo", "mask")})["image"]
    known = np.broadcast_to(batch["mask"] < 0, drawn.shape)
    np.testing.assert_array_equal(drawn[known], batch["image"][known])
    assert np.abs(drawn[~known] - batch["photo"][~known]).mean() > 1e-3 and np.abs(drawn).max() <= 1
    alone = sampler({"photo": batch["photo"]})["image"]  # no mask: all of the picture is drawn
    assert np.abs(alone - batch["photo"])[known].mean() > 1e-3


def test_the_loss_is_the_mean_over_the_hole():
    training, sampler = trained("regression")
    batch = training.source.read(np.arange(4), np.zeros(4, int))
    params, collections = sampler.variables
    objective = training.system.objective
    loss_of = jax.jit(functools.partial(objective.loss, "generator"))
    loss, _ = loss_of(params, collections, batch, jax.random.key(0))
    drawn = np.asarray(jax.jit(objective.sample)(params, collections, batch, jax.random.key(0))["image"])
    hole = np.broadcast_to(batch["mask"] > 0, drawn.shape)
    errors = [np.square(drawn[i] - batch["image"][i])[hole[i]].mean() for i in range(4)]
    np.testing.assert_allclose(loss, np.mean(errors), rtol=1e-4)
    spoilt = batch | {"image": np.where(hole, batch["image"], 1 - batch["image"])}
    same, _ = loss_of(params, collections, spoilt, jax.random.key(0))
    np.testing.assert_allclose(same, loss, rtol=1e-6)


@pytest.mark.slow
def test_with_psnr_the_loss_is_minus_the_psnr_of_each_hole():
    training, sampler = trained("regression")
    batch = training.source.read(np.arange(4), np.zeros(4, int))
    objective = training.system.objective
    objective = objective.__class__(**{**vars(objective), "error": "psnr"})
    loss, _ = objective.loss("generator", *sampler.variables, batch, jax.random.key(0))
    drawn = objective.sample(*sampler.variables, batch, jax.random.key(0))["image"]
    decibels = completion.measure(np.asarray(drawn), batch["image"], batch["mask"][..., 0] > 0)["psnr"]
    np.testing.assert_allclose(loss, -np.mean(decibels), rtol=1e-3)
    perfect = batch | {"image": np.asarray(drawn)}
    slope = jax.grad(lambda p: objective.loss("generator", p, sampler.variables[1], perfect, jax.random.key(0))[0])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(slope(sampler.variables[0])))
    with pytest.raises(ValueError, match="expected one of l2, l1, psnr, got 'l3'"):
        objective.__class__(**{**vars(objective), "error": "l3"})


@pytest.mark.slow
def test_the_absolute_error_is_added_to_the_adversarial_loss():
    training, sampler = trained("adversarial")
    batch = training.source.read(np.arange(4), np.zeros(4, int))
    objective = training.system.objective
    loss, (_, metrics) = objective.loss("generator", *sampler.variables, batch, jax.random.key(0))
    without = objective.__class__(**{**vars(objective), "l1": 0.0})
    alone, _ = without.loss("generator", *sampler.variables, batch, jax.random.key(0))
    np.testing.assert_allclose(loss, alone + 10.0 * metrics["l1"], rtol=1e-5)


@pytest.mark.slow
def test_the_masked_path_ends_at_the_posterior_of_a_gaussian():
    """Of a correlated pair of values, the model of whose velocity is exact: the free value follows the known one."""
    training, _ = trained("diffusion")
    covariance = jnp.array([[1.0, 0.8], [0.8, 1.0]]) * 0.09

    def velocity(z, time):
        """Exact for data of this covariance on the linear path."""
        t = time[0]
        flat = z.reshape(len(z), 2)
        total = t**2 * covariance + (1 - t) ** 2 * jnp.eye(2)
        slope = t * covariance - (1 - t) * jnp.eye(2)
        return (flat @ jnp.linalg.solve(total, slope.T)).reshape(z.shape)

    num = 4096
    objective = training.system.objective
    batch = {
        "mask": jnp.tile(jnp.array([-1.0, 1.0]).reshape(1, 1, 2, 1), (num, 1, 1, 1)),
        "photo": jnp.full((num, 1, 2, 1), 0.3),
    }
    noise = jax.random.normal(jax.random.key(0), (num, 1, 2, 1))

    def free(**fields):
        filling = objective.__class__(**{**vars(objective), "sampling_steps": 40, **fields})
        drawn = jax.jit(lambda: filling._fill(velocity, noise, batch, jax.random.key(1)))()
        return np.asarray(drawn)[:, 0, 1, 0]

    once, often = free(resamples=1), free(resamples=8)
    assert abs(often.mean() - 0.8 * 0.3) < 0.03 < abs(once.mean() - 0.8 * 0.3)
    np.testing.assert_allclose(often.std(), 0.3 * (1 - 0.8**2) ** 0.5, rtol=0.1)


def test_what_is_refused():
    for objective, message in (
        ({"hole": "mask", "known": ""}, "hole, known: expected both or neither"),
        ({"hole": "moon"}, "'moon' is not in the data"),
        ({"hole": "photo"}, r"hole: 'photo' has shape \(16, 16, 3\), expected \(16, 16, 1\)"),
        ({"output": "relu"}, "output: expected one of tanh, linear, got 'relu'"),
    ):
        made = config({"name": "regression", **objective}, **ALIGNED)
        with pytest.raises(ValueError, match=message):
            build_system(made, open_source(made).modalities)
    for objective, message in (
        ({"solver": "heun"}, "solver: with a hole, expected 'euler', got 'heun'"),
        ({"resamples": 2, "hole": "", "known": ""}, "resamples: expected 1 without a hole, got 2"),
    ):
        made = config({"name": "diffusion", **objective}, **CASES["diffusion"][1])
        with pytest.raises(ValueError, match=message):
            build_system(made, open_source(made).modalities)
    made = config({"name": "regression"}, generator=ALIGNED["generator"])
    with pytest.raises(ValueError, match="objective 'regression' reads conditions"):
        build_system(made, open_source(made).modalities)


def source_of(x):
    return Condition(None, None, None, {"photo": jnp.asarray(x, jnp.float32)})


def test_super_resolution_starts_at_the_bicubic_picture_and_an_impulse_stays_centred():
    impulse = np.zeros((1, 12, 12, 3), np.float32)
    impulse[:, 5, 6] = 1
    generator = subpixel.Generator((48, 48, 3), width=4, num_blocks=1)
    variables = generator.init(jax.random.key(0), None, source_of(impulse))
    zeroed = jax.tree_util.tree_map_with_path(lambda path, x: x * 0 if "output" in str(path) else x, variables)
    enlarged = np.asarray(generator.apply(zeroed, None, source_of(impulse)))[0, ..., 0]
    places = np.arange(48)
    centre = [(enlarged.sum(1 - axis) * places).sum() / enlarged.sum() for axis in (0, 1)]
    np.testing.assert_allclose(centre, [5 * 4 + 1.5, 6 * 4 + 1.5], atol=1e-3)
    for shape, fold, message in (((25, 24, 3), 1, "one multiple of the source"), ((12, 12, 3), 5, "a fold that")):
        with pytest.raises(ValueError, match=message):
            subpixel.Generator(shape, fold=fold).init(jax.random.key(0), None, source_of(impulse))
    with pytest.raises(ValueError, match=r"'moon' is no aligned source; config\.aligned has: photo"):
        subpixel.Generator((12, 12, 3), source="moon").init(jax.random.key(0), None, source_of(impulse))
    with pytest.raises(ValueError, match="expected 1 channel or 1, got 'photo' with 3"):
        subpixel.Generator((12, 12, 1)).init(jax.random.key(0), None, source_of(impulse))


@pytest.mark.parametrize("side", [20, 28, 33])
def test_gated_refuses_a_grid_that_it_cannot_halve(side):
    generator, source = (
        gated.Generator((side, side, 3), width=4, num_halvings=3),
        source_of(np.zeros((1, side, side, 3))),
    )
    with pytest.raises(ValueError, match="3 times; lower num_halvings or choose sides that are multiples of 8"):
        jax.eval_shape(lambda: generator.init(jax.random.key(0), None, source))


def test_a_gate_shuts_its_feature():
    layer = gated.GatedConv(2)
    x = RNG.normal(size=(1, 6, 6, 3)).astype(np.float32)
    variables = layer.init(jax.random.key(0), x)
    bias = variables["params"]["Conv_0"]["bias"]
    shut = {"params": {"Conv_0": {**variables["params"]["Conv_0"], "bias": bias.at[2].set(-1e4)}}}
    y = np.asarray(layer.apply(shut, x))
    assert (y[..., 0] == 0).all() and np.abs(y[..., 1]).min() > 0
