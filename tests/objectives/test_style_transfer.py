"""Style transfer: statistics of features, AdaIN, and what the family draws from a photo and a style."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from style_parts import config

from mmgen_jax.config.system import build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.encoders.image import pyramid
from mmgen_jax.objectives.parts import style
from mmgen_jax.training import progress
from mmgen_jax.training.state import averaged


def pictures(num=2, side=16, seed=0):
    """Random blobs of colour `[num, side, side, 3]`."""
    coarse = np.random.default_rng(seed).uniform(-1, 1, (num, side // 4, side // 4, 3))
    return np.repeat(np.repeat(coarse, 4, 1), 4, 2).astype(np.float32)


@functools.cache
def features(padding="wrap"):
    """An untrained encoder's features at three grids, as a function of pictures."""
    encoder = pyramid.Encoder(channels=(8, 12, 16), padding=padding)
    variables = encoder.init(jax.random.key(0), pictures(), method="grids")
    return jax.jit(lambda x: encoder.apply(variables, x, method="grids"))


def test_moments_and_gram_agree_with_numpy():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    flat = x.reshape(2, 15, 4)
    mean, deviation = style.moments(x)
    np.testing.assert_allclose(mean[:, 0, 0], flat.mean(1), atol=1e-6)
    np.testing.assert_allclose(deviation[:, 0, 0], np.sqrt(flat.var(1) + style.EPSILON), rtol=1e-5)
    np.testing.assert_allclose(style.gram(x), np.stack([f.T @ f / 15 for f in flat]), rtol=1e-4, atol=1e-5)


def test_adain_of_features_with_themselves_is_the_identity():
    for grid in features()(pictures()):
        np.testing.assert_allclose(style.adain(grid, grid), grid, atol=1e-4)


def test_adain_gives_the_styles_moments_from_any_grid():
    rng = np.random.default_rng(0)
    content, other = (rng.normal(size=(2, *grid, 5)).astype(np.float32) for grid in ((4, 4), (8, 6)))
    for got, wanted in zip(style.moments(style.adain(content, 2 * other + 1)), style.moments(2 * other + 1)):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", style.DISTANCES)
def test_a_picture_and_its_tiling_have_one_style(kind):
    x = pictures(side=32)
    tiled = np.tile(x, (1, 2, 2, 1))
    # With a border that repeats, the features of the tiling are the tiling of the features.
    assert float(style.style_loss(features()(tiled), features()(x), kind).max()) < 1e-6
    # With a mirrored border, the tiling is still far nearer than another picture; both have nearly one style loss.
    grids = features("reflect")
    near = style.style_loss(grids(tiled), grids(x), kind)
    far = style.style_loss(grids(pictures(side=32, seed=3)), grids(x), kind)
    assert (np.asarray(near) < 0.5 * np.asarray(far)).all()
    wanted = grids(pictures(side=32, seed=3))
    np.testing.assert_allclose(
        style.style_loss(grids(tiled), wanted, kind), style.style_loss(grids(x), wanted, kind), rtol=0.1
    )


@pytest.mark.parametrize("kind", style.DISTANCES)
def test_flat_pictures_have_finite_gradients(kind):
    flat = np.stack([np.full((16, 16, 3), value, np.float32) for value in (-1, 0, 1)])
    one = np.concatenate([flat, pictures(1), flat])
    other = np.concatenate([pictures(3), flat[:1], flat])  # flat to style, style to flat, flat to flat

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradients(x, wanted):
        own, theirs = features()(x), features()(wanted)
        mixed = style.adain(own[-1], theirs[-1])
        return jnp.sum(style.style_loss(own, theirs, kind) + style.content_loss(own[-1], mixed))

    for gradient in gradients(one, other):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_an_encoder_refuses_a_picture_that_it_cannot_halve():
    with pytest.raises(ConfigError, match="multiples of 4"):
        pyramid.Encoder(channels=(4, 4, 4)).init(jax.random.key(0), np.zeros((1, 18, 16, 3)), method="grids")


@functools.cache
def trained():
    """`(training, params, collections)` after a step of each player."""
    training = tiny.Training(config())
    state, metrics = training.run(1)
    assert all(np.isfinite(values).all() for values in metrics.values())
    return training, *averaged(state)


@functools.cache
def draw(**fields):
    training, params, collections = trained()
    objective = build_system(config(**fields), training.source.modalities).objective
    return jax.jit(lambda batch: objective.sample(params, collections, batch, jax.random.key(0))["image"])


BATCH = {"photo": pictures(2), "style": pictures(2, seed=5)}


@pytest.mark.slow
def test_a_missing_style_is_no_style():
    masked = BATCH | {"style/mask": np.array([False, True])}
    none, full, absent = draw(alpha=0.0)(BATCH), draw()(BATCH), draw()({"photo": BATCH["photo"]})
    drawn = draw()(masked)
    np.testing.assert_array_equal(drawn[0], absent[0])
    np.testing.assert_allclose(drawn[0], none[0], atol=1e-5)
    np.testing.assert_allclose(drawn[1], full[1], atol=1e-5)
    assert float(jnp.abs(full[0] - none[0]).max()) > 1e-3


@pytest.mark.slow
def test_roughness_is_of_neighbouring_pixels_and_counts_in_the_loss():
    board = np.indices((6, 8)).sum(0)[None, ..., None] % 2 * np.ones(3, np.float32)  # 0 and 1 take turns both ways
    assert float(style.roughness(board)[0]) == 2.0 and float(style.roughness(np.ones((1, 5, 5, 3)))[0]) == 0.0
    training, params, collections = trained()
    rougher = build_system(config(smoothness=3.0), training.source.modalities).objective
    for player, weight in (("encoder", 0.0), ("generator", 3.0)):
        batch = training.source.read(np.arange(2), np.zeros(2, int))
        (plain, _), (more, (_, metrics)) = (
            objective.loss(player, params, collections, batch, jax.random.key(0))
            for objective in (training.objective, rougher)
        )
        np.testing.assert_allclose(more - plain, weight * metrics.get("roughness", 0.0), rtol=1e-4)
    noisy, smooth = draw(optimisation_steps=20)(BATCH), draw(optimisation_steps=20, smoothness=30.0)(BATCH)
    assert (np.asarray(style.roughness(smooth)) < 0.9 * np.asarray(style.roughness(noisy))).all()


@pytest.mark.slow
def test_the_generator_adds_to_the_photo_in_the_styles_colours():
    training, params, collections = trained()
    nothing = {**params, "generator": jax.tree.map(jnp.zeros_like, params["generator"])}
    drawn = training.objective.sample(nothing, collections, BATCH, jax.random.key(0))["image"]
    colours = style.recoloured(BATCH["photo"], BATCH["style"])
    np.testing.assert_allclose(drawn, 0.99 * colours, atol=1e-5)
    assert np.abs(np.asarray(draw()(BATCH)) - colours).max() > 0.01
    np.testing.assert_allclose(style.recoloured(BATCH["photo"], BATCH["photo"]), BATCH["photo"], atol=1e-4)


@pytest.mark.slow
def test_a_tile_has_the_statistics_of_the_whole_photo():
    """A dark tile of a bright photo stays darker than the style; alone it gets the style's mean."""
    dark = BATCH | {"photo": 0.2 * BATCH["photo"] - 0.7}
    itself = dark | {"photo/whole": dark["photo"]}
    np.testing.assert_allclose(draw()(itself), draw()(dark), atol=1e-5)
    tile = dark | {"photo/whole": BATCH["photo"]}
    assert (np.asarray(draw()(tile)).mean((1, 2, 3)) < np.asarray(draw()(dark)).mean((1, 2, 3)) - 0.2).all()
    tiled, alone = (style.recoloured(dark["photo"], BATCH["style"], whole) for whole in (BATCH["photo"], None))
    assert (np.asarray(tiled).std((1, 2)) < 0.5 * np.asarray(alone).std((1, 2))).all()


@pytest.mark.slow
def test_a_masked_photo_or_style_has_no_part_in_the_loss():
    training, params, collections = trained()
    masks = {"photo/mask": np.array([True, True, False]), "style/mask": np.array([True, False, True])}
    x = np.concatenate([pictures(1, seed=7)] * 3)
    for player in training.objective.players:
        values = []
        for spoilt in (0.5, np.nan):
            batch = {"photo": x.copy(), "style": x[:, ::-1].copy(), **masks}
            batch["photo"][2], batch["style"][1] = spoilt, spoilt
            values.append(training.objective.loss(player, params, collections, batch, jax.random.key(0))[0])
        assert np.isfinite(values).all() and values[0] == values[1]


def test_optimisation_comes_nearer_to_the_style_and_each_picture_is_its_own():
    training, params, collections = trained()
    optimised = draw(optimisation_steps=20)(BATCH)
    grids = functools.partial(training.objective._grids, params, collections)
    before, after = (style.style_loss(grids(x), grids(BATCH["style"]), "gram") for x in (BATCH["photo"], optimised))
    assert (np.asarray(after) < 0.7 * np.asarray(before)).all() and float(jnp.abs(optimised).max()) <= 1
    alone = {name: values[[1, 1]] for name, values in BATCH.items()}
    np.testing.assert_allclose(draw(optimisation_steps=20)(alone)[0], optimised[1], atol=5e-3)
    kept = np.abs(np.asarray(draw(optimisation_steps=20, alpha=0.0)(BATCH)) - BATCH["photo"]).mean()
    assert (
        kept < 0.05 < np.abs(np.asarray(optimised) - BATCH["photo"]).mean()
    )  # Adam moves where rounding is the gradient


def test_optimisation_shows_how_far_it_is():
    stream = io.StringIO()
    with progress.watched(stream):
        draw(optimisation_steps=20)(BATCH)
    assert stream.getvalue().splitlines()[-1].startswith("step 20/20")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"objective.style_loss": "mean"}, "style_loss: expected moments or gram"),
        ({"objective.label": "colour"}, "label: expected a label of the data"),
        ({"objective.style": "image"}, "expected aligned="),
        ({"target_encoder": {"name": "image.cnn"}}, "image.pyramid"),
        ({"aligned": ("photo",)}, "expected aligned="),
        ({"derived.style": {"name": "downsample", "of": "image", "factor": 2}}, "expected pictures like the target"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    changed = config().unlock()
    for place, value in changes.items():
        *groups, last = place.split(".")
        group = functools.reduce(lambda node, name: node[name], groups, changed)
        with group.ignore_type():
            group[last] = value
    training = tiny.Training(changed)
    with pytest.raises(ConfigError, match=message):
        build_system(changed, training.source.modalities)


def test_the_generator_learns_from_a_finished_encoder():
    assert trained()[0].objective.stages == (("encoder", "generator"),)
