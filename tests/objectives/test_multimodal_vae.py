"""Multimodal VAEs: exact values on a linear Gaussian model, masks, subsets in and out, and every kind of target."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from multimodal_parts import (
    BATCH,
    LATENT,
    MODALITIES,
    MODELS,
    PRESENT,
    SIZES,
    compiled,
    exact,
    initial,
    loss_and_grads,
    make,
)

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.objectives.parts import likelihoods

QUICK = ("jmvae", "mvae", "mopoe", "mmvae_plus")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_masked_targets_have_no_influence_and_every_term_is_logged(name):
    objective = make(**MODELS[name])
    state = initial(objective)
    batch = BATCH | PRESENT
    spoilt = {k: np.where(PRESENT[f"{k}/mask"][:, None], v, np.nan).astype(np.float32) for k, v in BATCH.items()}
    run = compiled(objective)
    value, metrics, grads = run(batch, state)
    other, _, others = run(spoilt | PRESENT, state)
    assert value == other and np.isfinite(value)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(others)))
    assert {"nll_left", "nll_right", "elbo", "active_dimensions"} <= set(metrics)
    missing = [path for path, grad in jax.tree_util.tree_leaves_with_path(grads) if not np.abs(grad).max() > 0]
    # The joint encoder is for whole examples, and all parts get a gradient.
    assert not missing or (name == "attention" and all("key" in str(path) for path in missing)), missing
    if objective.bound != "elbo":
        np.testing.assert_allclose(value, -metrics["bound"], rtol=1e-5)
        assert metrics["bound"] >= metrics["elbo"]


def test_present_targets_stand_for_the_missing_ones_where_the_loss_is_rescaled():
    """Complete examples have the plain loss; with one of two targets present, its likelihood counts twice."""
    fields = MODELS["mvtcae"] | {"total_correlation": 0.5, "beta": 2.0}
    plain, rescaled = make(**fields), make(**fields, rescaled=True)
    state = initial(plain)
    (loss, _, _), (same, _, _) = (loss_and_grads(objective, BATCH, state) for objective in (plain, rescaled))
    np.testing.assert_allclose(same, loss, rtol=1e-6)
    one = BATCH | {"right/mask": np.zeros(len(BATCH["right"]), bool)}
    (loss, metrics, _), (more, _, _) = (loss_and_grads(objective, one, state) for objective in (plain, rescaled))
    assert len(plain.targets) == 2
    # Of one target, the posterior is the target's own expert. M is 2, whatever is missing.
    np.testing.assert_allclose(metrics["kl_unimodal"], 0, atol=1e-6)
    np.testing.assert_allclose(loss, (1 - 0.5 / 2) * metrics["nll_left"] + 2.0 * 0.5 * metrics["kl"], rtol=1e-5)
    np.testing.assert_allclose(more - loss, (1 - 0.5 / 2) * metrics["nll_left"], rtol=1e-5)


def test_metrics_of_a_weighted_bound_have_no_weights_and_count_present_targets():
    fields = MODELS["mmvae_plus"] | {"bound": "iwae", "importance_samples": 2}
    plain, weighted = make(**fields), make(**fields, weights={"left": 3.0})
    state = initial(plain)
    half = BATCH | {"left/mask": np.arange(len(BATCH["left"])) % 2 == 0}
    (loss, metrics, _), (other, same, _) = (loss_and_grads(objective, half, state) for objective in (plain, weighted))
    assert other > loss
    for name in ("elbo", "bound", "nll_left", "nll_right"):
        np.testing.assert_allclose(same[name], metrics[name], rtol=1e-5, err_msg=name)
    alone = loss_and_grads(plain, half | {"right/mask": half["left/mask"]}, state)[1]  # the others have nothing
    np.testing.assert_allclose(metrics["nll_left"], alone["nll_left"], rtol=1e-5)


@pytest.mark.slow
def test_the_elbo_of_an_exact_posterior_is_the_log_likelihood():
    objective = make(posterior="product")
    params, log_p = exact()
    collections = initial(objective)[1]
    log_w = objective.log_weights(params, collections, BATCH, jax.random.key(0), 3)
    np.testing.assert_allclose(log_w, np.repeat(log_p[:, None], 3, axis=1), atol=1e-3)
    np.testing.assert_allclose(objective.elbo(params, collections, BATCH, jax.random.key(1)), log_p, atol=1e-3)
    many = {name: np.repeat(x, 500, axis=0) for name, x in BATCH.items()}
    value, metrics, _ = loss_and_grads(objective, many, (params, collections))
    np.testing.assert_allclose(-value, log_p.mean(), atol=0.2)  # the KL is exact, the distortion is sampled
    np.testing.assert_allclose(value, metrics["nll_left"] + metrics["nll_right"] + metrics["kl"], rtol=1e-5)


def test_dreg_and_iwae_are_one_bound_and_its_decoder_gradient_is_shared():
    fields = {"posterior": "mixture", "importance_samples": 3}
    state = initial(make(**fields))
    (usual, _, grads), (doubly, _, others) = (
        loss_and_grads(make(**fields, bound=bound), BATCH | PRESENT, state) for bound in ("iwae", "dreg")
    )
    np.testing.assert_allclose(usual, doubly, rtol=1e-5)
    for name, grad in grads["generator"].items():
        same = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-3, atol=1e-3), grad, others["generator"][name])
        assert all(jax.tree.leaves(same)) == name.startswith("decoders"), name


def test_weights_beta_and_warm_up():
    state = initial(make())
    _, parts, _ = loss_and_grads(make(), BATCH, state)
    weighted, _, _ = loss_and_grads(make(weights={"right": 0.5}, beta=3.0), BATCH, state)
    np.testing.assert_allclose(weighted, parts["nll_left"] + 0.5 * parts["nll_right"] + 3 * parts["kl"], rtol=1e-5)
    warm, _, _ = loss_and_grads(make(beta=3.0, warmup_steps=10), BATCH, state)
    np.testing.assert_allclose(warm, parts["nll_left"] + parts["nll_right"] + 0.3 * parts["kl"], rtol=1e-5)


@pytest.mark.parametrize("bound", ["iwae", "dreg"])
def test_beta_weighs_the_prior_and_the_posterior_in_weighted_bounds(bound):
    """Of one sample, the bound is -NLL + beta (log p(z) - log q(z | X)); the metrics have no beta."""
    fields = MODELS["mmvae_plus"] | {"bound": bound, "importance_samples": 1}
    plain, weighted = make(**fields), make(**fields, beta=2.5, weights={"left": 3.0})
    state = initial(plain)
    (_, metrics, _), (value, same, _) = (loss_and_grads(objective, BATCH, state) for objective in (plain, weighted))
    for name, expected in metrics.items():
        np.testing.assert_allclose(same[name], expected, rtol=1e-5, err_msg=name)
    nll = metrics["nll_left"] + metrics["nll_right"]
    expected = 3 * metrics["nll_left"] + metrics["nll_right"] - 2.5 * (metrics["elbo"] + nll)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_total_correlation_is_the_papers_loss():
    objective = make(posterior="product_of_experts", total_correlation=0.8, beta=2.5)
    value, m, _ = loss_and_grads(objective, BATCH, initial(objective))
    reconstruction = (2 - 0.8) / 2 * (m["nll_left"] + m["nll_right"])
    expected = reconstruction + 2.5 * ((1 - 0.8) * m["kl"] + 0.8 / 2 * m["kl_unimodal"])
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["mvae", "mmvae_plus"])
def test_any_subset_in_any_out(name):
    objective = make(**MODELS[name])
    state = initial(objective)

    draw = jax.jit(lambda batch, given: objective.sample(*state, batch, jax.random.key(0), given), static_argnums=1)

    def sample(batch, given):
        return draw({"left/mask": np.ones(6, bool), **batch}, given)

    drawn = sample(BATCH, ())
    other = {name: x[::-1] for name, x in BATCH.items()}
    for name, size in SIZES.items():
        assert drawn[name].shape == (6, size)
        np.testing.assert_array_equal(drawn[name], sample(other, ())[name])  # nothing given, nothing seen
    given = sample(BATCH, ("left",))
    np.testing.assert_array_equal(given["left"], BATCH["left"])
    np.testing.assert_array_equal(given["right"], sample(BATCH | {"right": other["right"]}, ("left",))["right"])
    assert np.abs(given["right"] - drawn["right"]).max() > 1e-3
    # A given target that an example lacks is drawn, and counts as not given.
    mask = {"left/mask": np.array([0, 1, 1, 1, 1, 1], bool)}
    partly = sample(BATCH | mask, ("left",))
    np.testing.assert_array_equal(partly["left"][1:], BATCH["left"][1:])
    np.testing.assert_allclose(partly["left"][0], drawn["left"][0], rtol=1e-5)
    latent = objective.to_latent(*state, BATCH, jax.random.key(0))
    assert latent.shape == objective.draw_latent(*state, BATCH, jax.random.key(0)).shape
    assert latent.shape == (6, LATENT + 2 * objective.private_dim)


@pytest.mark.slow
def test_one_example_and_one_sample():
    one = {name: x[:1] for name, x in BATCH.items()}
    objective = make(**MODELS["mmvae, dreg"] | {"importance_samples": 1})
    state = initial(objective, one)
    assert np.isfinite(loss_and_grads(objective, one, state)[0])
    assert objective.log_weights(*state, one, jax.random.key(0)).shape == (1, 1)


def test_likelihoods_of_ids():
    text = likelihoods.create("", Discrete(4, 6, end=1), 1.0, "here")
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6)), jnp.float32)
    ids = jnp.array([[3, 1, 0, 0], [2, 4, 5, 1]])
    log_p = np.asarray(jax.nn.log_softmax(logits))
    expected = [-(log_p[0, 0, 3] + log_p[0, 1, 1]), -sum(log_p[1, i, w] for i, w in enumerate((2, 4, 5, 1)))]
    np.testing.assert_allclose(text.nll(logits, ids), expected, rtol=1e-5)
    best = text.mean(jnp.zeros((1, 4, 6)).at[0, 0, 3].set(1).at[0, 1, 1].set(1).at[0, 2, 5].set(1))
    np.testing.assert_array_equal(best, [[3, 1, 0, 0]])
    label = likelihoods.create("", Discrete(1, 3), 1.0, "here")
    np.testing.assert_allclose(label.nll(jnp.zeros((2, 1, 3)), jnp.array([0, 2])), np.log(3), rtol=1e-6)
    values = likelihoods.create("laplace", Continuous((3,)), 2.0, "here")
    np.testing.assert_allclose(values.nll(jnp.zeros((1, 3)), jnp.ones((1, 3))), [3 * (0.5 + np.log(4))], rtol=1e-6)
    with pytest.raises(ConfigError, match=r"here: expected one of gaussian, laplace for .*got 'bernoulli'"):
        likelihoods.create("bernoulli", Continuous((3,), bounded=False), 1.0, "here")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"targets": ("left",)}, "targets: expected two or more different targets"),
        ({"posterior": "sum"}, "posterior: expected one of joint, product, "),
        ({"bound": "cubo"}, "bound: expected one of elbo, iwae, dreg, got 'cubo'"),
        ({"scales": {"up": 1.0}}, "scales: expected left, right, got 'up'"),
        ({"weights": {"up": 1.0}}, "weights: expected left, right, got 'up'"),
        ({"private_dim": 2}, "private_dim: needs posterior='mixture'"),
        ({"posterior": "mixture", "unimodal_kl": 1.0}, "unimodal_kl: needs bound='elbo' and a posterior of joint"),
        ({"posterior": "joint", "subsampled": True}, "subsampled: needs bound='elbo' and one of product"),
        ({"bound": "iwae", "warmup_steps": 9}, "bound: 'iwae' needs beta above 0 and no warmup_steps"),
        ({"posterior": "product", "subsampled": True, "rescaled": True}, "rescaled: needs bound='elbo' alone"),
    ],
)
def test_fields_that_do_not_fit(fields, message):
    with pytest.raises(ConfigError, match=message):
        build(**{"targets": tuple(SIZES)} | fields)


def build(**fields):
    template = make()
    given = {"latent_dim": LATENT, "target_encoder": template.target_encoder, "generator": template.generator}
    return type(template)(target="left", modality=MODALITIES["left"], modalities=MODALITIES, **given | fields)
