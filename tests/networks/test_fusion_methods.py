"""Fusions one at a time against their equations; modality dropout; masked reductions."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusion_inputs import (
    BATCH,
    FEATURES,
    NAMES,
    NUM_TOKENS,
    assert_same,
    build,
    built,
    property_test,
    random_tokens,
    random_variables,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st
from tiny import ROOT

from mmgen_jax.errors import LookupFailed
from mmgen_jax.networks.conditioning.modality_dropout import drop_modalities
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean, masked_softmax
from mmgen_jax.networks.fusion.product_of_experts import product_of_experts
from mmgen_jax.networks.fusion.tokens import join
from mmgen_jax.networks.layers.randomness import example_keys


def test_the_example_of_the_contributing_page_is_a_fusion():
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("### Fusion")[2]
    namespace = {"__name__": __name__}
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    exec(compile(block, "CONTRIBUTING.md", "exec", dont_inherit=True), namespace)
    fusion, tokens = namespace["Fusion"](FEATURES), random_tokens(3)
    variables = random_variables(fusion, tokens)
    condition = fusion.apply(variables, tokens)
    assert isinstance(condition, Condition)
    assert condition.tokens.shape == (BATCH, sum(NUM_TOKENS.values()), FEATURES)
    assert condition.mask.shape == condition.tokens.shape[:2] and condition.pooled.shape == (BATCH, FEATURES)
    spoilt = {n: Tokens(np.where(t.mask[..., None], t.values, np.nan), t.mask) for n, t in tokens.items()}
    assert_same(condition, fusion.apply(variables, spoilt))


def one_present(chosen: str) -> dict[str, Tokens]:
    return {n: Tokens(t.values, np.full(t.mask.shape, n == chosen)) for n, t in random_tokens(3).items()}


@pytest.mark.parametrize("name", ["late", "mixture_of_experts"])
def test_one_present_modality_decides_alone(name):
    _, variables, apply = built(name)
    condition = apply(variables, one_present("digit"))
    np.testing.assert_allclose(condition.pooled, condition.tokens[:, NAMES.index("digit")], rtol=1e-6)


def test_late_is_the_weighted_mean_of_predictions():
    _, variables, apply = built("late")
    variables = {"params": variables["params"] | {"logits": jnp.log(jnp.array([1.0, 2.0, 5.0]))}}
    tokens = {n: Tokens(t.values, np.ones_like(t.mask)) for n, t in random_tokens(1).items()}
    condition = apply(variables, tokens)
    expected = np.einsum("m,bmd->bd", [1 / 8, 2 / 8, 5 / 8], condition.tokens)
    np.testing.assert_allclose(condition.pooled, expected, rtol=1e-5, atol=1e-6)


def test_film_changes_tokens_only_by_other_modalities():
    """Alone, a modality's tokens are its projection; another one changes them, its own other tokens do not."""
    _, variables, apply = built("film")
    alone = one_present("photo")
    other_token = np.array(alone["photo"].values)
    other_token[:, 0] += 1
    changed = alone | {"photo": Tokens(other_token, alone["photo"].mask)}
    joined = alone | {"digit": Tokens(alone["digit"].values, np.ones((BATCH, 1), bool))}
    photo = slice(-NUM_TOKENS["photo"], None)
    before, own, other = (apply(variables, t).tokens[:, photo] for t in (alone, changed, joined))
    np.testing.assert_array_equal(before[:, 1:], own[:, 1:])
    assert np.abs(before - other).min(axis=(1, 2)).max() > 0


@pytest.mark.parametrize("num_layers, exchange", [(1, False), (2, True)])
def test_bottleneck_exchanges_from_the_second_layer(num_layers, exchange):
    fusion = build("bottleneck", num_layers=num_layers)
    tokens = {n: Tokens(t.values, np.ones_like(t.mask)) for n, t in random_tokens(2).items()}
    changed = tokens | {"digit": Tokens(tokens["digit"].values[::-1].copy(), tokens["digit"].mask)}
    variables, apply = random_variables(fusion, tokens), jax.jit(fusion.apply)
    photo = slice(-NUM_TOKENS["photo"], None)
    difference = np.abs(apply(variables, tokens).tokens - apply(variables, changed).tokens)[:, photo]
    assert (difference.max() > 1e-6) == exchange


def test_bilinear_is_multilinear_before_its_norm():
    """The product of factors: with W Σ Π written out from the parameters."""
    _, variables, apply = built("bilinear")
    params = variables["params"]
    tokens = {n: Tokens(t.values[:, :1], np.ones((BATCH, 1), bool)) for n, t in random_tokens(5).items()}
    tokens["digit"] = Tokens(tokens["digit"].values, np.zeros((BATCH, 1), bool))

    def dense(layer, x):
        return x @ layer["kernel"] + layer["bias"]

    def layer_norm(layer, x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * layer["scale"] + layer[
            "bias"
        ]

    product = np.ones((BATCH, 4 * FEATURES))
    for name in ("caption", "photo"):
        projection = params["Projection_0"]
        vector = dense(projection[f"{name}_dense"], layer_norm(projection[f"{name}_norm"], tokens[name].values[:, 0]))
        product = product * dense(params[f"{name}_factor"], vector)
    summed = product.reshape(BATCH, 4, FEATURES).sum(axis=1)
    root = np.sign(summed) * np.sqrt(np.abs(summed))
    expected = dense(params["Dense_0"], layer_norm(params["LayerNorm_0"], root))
    np.testing.assert_allclose(apply(variables, tokens).pooled, expected, rtol=1e-3, atol=1e-4)


@property_test
@given(seed=seeds)
def test_product_of_experts_is_the_product_of_densities(seed):
    """log of the product's density equals the sum of log densities up to a constant; no expert gives the prior."""
    rng = np.random.default_rng(seed)
    mu, log_var = rng.normal(size=(2, 3, 2)), rng.uniform(-2, 2, (2, 3, 2))
    present = rng.random((2, 3)) < 0.5
    mean, log_variance = product_of_experts(mu, log_var, present)
    x = np.linspace(-2, 2, 5)[:, None, None, None]
    experts = (-((x - mu) ** 2) / np.exp(log_var) * present[..., None]).sum(axis=2) - x[:, :, 0] ** 2
    product = -((x[:, :, 0] - mean) ** 2) / np.exp(log_variance)
    np.testing.assert_allclose(experts - experts[2], product - product[2], rtol=1e-3, atol=1e-4)
    none = ~present.any(axis=1)
    assert not mean[none].any() and not log_variance[none].any()


def test_product_of_experts_gives_log_variance_on_request():
    fusion = build("product_of_experts", log_var=True)
    nothing = {n: Tokens(t.values, np.zeros_like(t.mask)) for n, t in random_tokens(0).items()}
    pooled = jax.jit(fusion.apply)(random_variables(fusion, nothing), nothing).pooled
    assert pooled.shape == (BATCH, FEATURES) and not pooled.any()  # the prior: mean 0, log-variance 0


def test_hybrid_takes_any_joint_fusion():
    tokens = random_tokens(0)
    shapes = {
        joint: jax.eval_shape(build("hybrid", joint=joint).init_with_output, jax.random.key(0), tokens)[0].tokens.shape
        for joint in ("concat", "early", "cross_attention")
    }
    assert shapes == {"concat": (4, 13, 8), "early": (4, 13, 8), "cross_attention": (4, 11, 8)}
    with pytest.raises(LookupFailed, match="'middle' does not exist"):
        jax.eval_shape(build("hybrid", joint="middle").init, jax.random.key(0), tokens)


@property_test
@given(seed=seeds, rate=st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_modality_dropout(seed, rate):
    """It only removes, keeps at least one modality of every example that has any, and ignores the mapping's order."""
    tokens = random_tokens(seed)
    keys = example_keys(jax.random.key(seed), 4)
    dropped = drop_modalities(keys, tokens, rate)
    assert_same(dropped, drop_modalities(keys, {n: tokens[n] for n in reversed(NAMES)}, rate))
    before = np.stack([tokens[n].mask.any(axis=1) for n in NAMES])
    after = np.stack([np.asarray(dropped[n].mask).any(axis=1) for n in NAMES])
    assert (after <= before).all() and (after.any(axis=0) == before.any(axis=0)).all()
    for index, name in enumerate(NAMES):
        assert_same(dropped[name].mask, tokens[name].mask & after[index][:, None])
        assert_same(dropped[name].values, np.where(dropped[name].mask[..., None], tokens[name].values, 0))
    if rate == 0:
        assert (after == before).all()
    if rate == 1:
        assert (after.sum(axis=0) == before.any(axis=0)).all()


def test_modality_dropout_rate():
    """Of three modalities each goes with probability rate, less a third of the time when all three would go."""
    full = {n: Tokens(np.ones((20_000, 1, 1), np.float32), np.ones((20_000, 1), bool)) for n in NAMES}
    dropped = drop_modalities(example_keys(jax.random.key(0), 20_000), full, 0.4)
    gone = np.array([1 - np.asarray(dropped[n].mask).mean() for n in NAMES])
    np.testing.assert_allclose(gone, 0.4 - 0.4**3 / 3, atol=0.015)  # four standard errors


def test_modality_dropout_has_each_modality_s_own_rate():
    """A modality that never goes keeps none of the others: these go at their own rates."""
    full = {n: Tokens(np.ones((20_000, 1, 1), np.float32), np.ones((20_000, 1), bool)) for n in NAMES}
    rates = dict(zip(NAMES, (0.9, 0.0, 0.3)))
    dropped = drop_modalities(example_keys(jax.random.key(0), 20_000), full, rates)
    gone = [1 - np.asarray(dropped[n].mask).mean() for n in NAMES]
    np.testing.assert_allclose(gone, list(rates.values()), atol=0.015)
    # Where all would go, the largest draw stays: of draws below 0.9, 0.6 and 0.3, on average of the 16.2 % of examples.
    dropped = drop_modalities(example_keys(jax.random.key(1), 20_000), full, dict(zip(NAMES, (0.9, 0.6, 0.3))))
    stays = np.array([np.asarray(dropped[n].mask)[:, 0] for n in NAMES])
    assert stays.any(axis=0).all()
    rescued = np.array([0.9, 0.6, 0.3]) - (1 - stays.mean(axis=1))
    assert rescued.sum() == pytest.approx(0.9 * 0.6 * 0.3, abs=0.02) and rescued[0] > rescued[1] > rescued[2] > -0.01


def test_masked_reductions():
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    mask = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(masked_mean(values, mask), [[2, 3], [0, 0]])
    np.testing.assert_allclose(
        masked_softmax(jnp.log(jnp.array([[1.0, 9, 3]] * 2)), mask), [[0.25, 0, 0.75], [0, 0, 0]]
    )
    joined = join({"b": Tokens(values, mask), "a": Tokens(-values[:, :1], mask[:, :1])})
    np.testing.assert_array_equal(joined.values[:, 0], -values[:, 0])
    assert joined.mask.shape == (2, 4)
