"""What every fusion keeps to (masks, order, gradients, no NaN), over random subsets of modalities and tokens."""

from __future__ import annotations

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen_jax import lookup
from mmgen_jax.conditioning import Conditioner, Fused, Tokens
from mmgen_jax.features.text import Tokenizer
from mmgen_jax.fusion.modality_dropout import drop_modalities
from mmgen_jax.fusion.product_of_experts import product_of_experts
from mmgen_jax.fusion.tokens import join, masked_mean, masked_softmax
from mmgen_jax.modalities import Modality

FUSIONS = lookup.available("fusion")
BATCH, FEATURES = 4, 8
NAMES = ("caption", "digit", "photo")
NUM_TOKENS = {"caption": 5, "digit": 1, "photo": 4}
WIDTH = {"caption": 6, "digit": 8, "photo": 8}  # encoders need not agree on a width
MODALITIES = {
    "caption": Modality("text", (5,), tokenizer=Tokenizer("character", tuple("abcdefg"))),
    "digit": Modality("label", (), classes=("a", "b", "c")),
    "photo": Modality("image", (4, 4, 3)),
}
property_test = settings(max_examples=20, deadline=None, derandomize=True)
seeds = st.integers(0, 2**16)


def build(name: str, **fields):
    return lookup.build(
        "fusion", {"name": name, **fields}, features=FEATURES, num_heads=2, **{"num_layers": 1} | fields
    )


def random_variables(module: nn.Module, *inputs):
    """Parameters of the module's shapes, all random: no zero that an initialiser sets hides a dependence."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(scale=0.4, size=x.shape).astype(np.float32), shapes)


def random_tokens(seed: int) -> dict[str, Tokens]:
    """Random values, and masks of all kinds: absent modalities, single tokens, examples without any modality."""
    rng = np.random.default_rng(seed)
    present = rng.random((len(NAMES), BATCH)) < rng.uniform(0.2, 1)
    if rng.random() < 0.5:
        present[:, 0] = False
    tokens = {}
    for index, name in enumerate(NAMES):
        values = rng.normal(size=(BATCH, NUM_TOKENS[name], WIDTH[name])).astype(np.float32)
        mask = present[index][:, None] & (rng.random(values.shape[:2]) < 0.7)
        tokens[name] = Tokens(values, mask)
    return tokens


@functools.cache
def built(name: str):
    """The fusion, its variables, and its compiled `apply`."""
    fusion = build(name)
    return fusion, random_variables(fusion, random_tokens(0)), jax.jit(fusion.apply)


def assert_same(a, b):
    """Bitwise, NaN included."""
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), a, b)


def examples(fused: Fused, chosen) -> Fused:
    return jax.tree.map(lambda x: np.asarray(x)[chosen], fused)


@pytest.mark.parametrize("name", FUSIONS)
@property_test
@given(seed=seeds, garbage=st.sampled_from([np.nan, np.inf, 1e30, -3.0]))
def test_masked_tokens_have_no_influence(name, seed, garbage):
    _, variables, apply = built(name)
    tokens = random_tokens(seed)
    changed = {n: Tokens(np.where(t.mask[..., None], t.values, garbage), t.mask) for n, t in tokens.items()}
    fused = apply(variables, tokens)
    assert_same(fused, apply(variables, changed))
    assert fused.pooled.shape == (BATCH, FEATURES) and fused.tokens.shape == (*fused.mask.shape, FEATURES)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(fused))
    assert not np.asarray(fused.tokens)[~np.asarray(fused.mask)].any()
    present = np.any([t.mask.any(axis=1) for t in tokens.values()], axis=0)
    assert_same(np.asarray(fused.mask).any(axis=1), present)


@pytest.mark.parametrize("name", FUSIONS)
@property_test
@given(seed=seeds)
def test_examples_do_not_meet(name, seed):
    """Each example is fused as if it were alone; one without any modality gives the same constant wherever it is."""
    _, variables, apply = built(name)
    tokens, others = random_tokens(seed), random_tokens(seed + 1)
    mixed = jax.tree.map(lambda x, y: np.concatenate([x[:2], y[2:]]), tokens, others)
    fused, fused_mixed = apply(variables, tokens), apply(variables, mixed)
    assert_same(examples(fused, slice(2)), examples(fused_mixed, slice(2)))

    nothing = {n: Tokens(t.values, np.zeros_like(t.mask)) for n, t in tokens.items()}
    constant = apply(variables, nothing).pooled
    np.testing.assert_allclose(constant, np.broadcast_to(constant[:1], constant.shape), rtol=1e-6, atol=1e-7)
    absent = ~np.any([t.mask.any(axis=1) for t in tokens.values()], axis=0)
    np.testing.assert_allclose(fused.pooled[absent], constant[absent], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FUSIONS)
def test_order_of_modalities_does_not_matter(name):
    """Any order of the mapping traces the very same program, and initialises the same parameters."""
    fusion, variables, _ = built(name)
    tokens = random_tokens(0)

    def program(order):  # the mapping is made inside: jit and make_jaxpr sort the keys of their arguments
        return str(
            jax.make_jaxpr(lambda v, t: fusion.apply(v, {n: t[n] for n in order}, train=False))(variables, tokens)
        )

    def parameters(order):
        return jax.eval_shape(lambda t: fusion.init(jax.random.key(0), {n: t[n] for n in order}), tokens)

    for order in itertools.permutations(NAMES):
        assert program(order) == program(NAMES)
        assert parameters(order) == parameters(NAMES)


class Keep(nn.Module):
    """A fusion that hands on the tokens that it is given."""

    @nn.compact
    def __call__(self, tokens, train: bool = False):
        return {name: (t.values, t.mask) for name, t in tokens.items()}


class Pixels(nn.Module):
    """The smallest image encoder: a dense layer for each row of pixels."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        values = nn.Dense(WIDTH["photo"])(array.reshape(*array.shape[:2], -1))
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))


def conditioner(fusion: nn.Module, order=NAMES, **fields) -> Conditioner:
    encoders = {
        "caption": lookup.build("encoders", {"name": "text.embedding"}, features=WIDTH["caption"], vocab_size=10),
        "digit": lookup.build("encoders", {"name": "label"}, features=WIDTH["digit"], num_classes=3),
        "photo": Pixels(),
    }
    return Conditioner(
        encoders={n: encoders[n] for n in order},
        fusion=fusion,
        reads={n: n for n in order},
        modalities={n: MODALITIES[n] for n in order},
        **fields,
    )


def random_batch(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    batch = {
        "caption": rng.integers(3, 10, (BATCH, 5)).astype(np.int32),
        "digit": rng.integers(0, 3, BATCH).astype(np.int32),
        "photo": rng.uniform(-1, 1, (BATCH, 4, 4, 3)).astype(np.float32),
    }
    return batch | {f"{name}/mask": rng.random(BATCH) < 0.7 for name in NAMES}


def with_garbage(batch, names):
    """The batch with modalities masked for every example, and values that no source would give."""
    garbage = {"caption": -7, "digit": 99, "photo": np.nan}
    masked = {name: np.full_like(batch[name], garbage[name]) for name in names}
    return batch | masked | {f"{name}/mask": np.zeros(BATCH, bool) for name in names}


def without(batch, names):
    return {key: value for key, value in batch.items() if key.removesuffix("/mask") not in names}


@functools.cache
def kept():
    keep = conditioner(Keep())
    return keep, random_variables(keep, random_batch(0)), jax.jit(keep.apply)


@property_test
@given(seed=seeds, names=st.sets(st.sampled_from(NAMES), max_size=2))
def test_absent_modality_is_a_masked_one_to_any_fusion(seed, names):
    """Fusions see bitwise the same tokens; with `test_masked_tokens_have_no_influence` so is what they give."""
    _, variables, apply = kept()
    batch = random_batch(seed)
    tokens = apply(variables, without(batch, names))
    assert_same(tokens, apply(variables, with_garbage(batch, names)))
    for name, (values, mask) in tokens.items():
        assert np.isfinite(values).all() and not np.asarray(values)[~np.asarray(mask)].any()
        assert (name in names) <= (not mask.any())


def test_order_of_encoders_does_not_matter():
    keep, variables, apply = kept()
    other = conditioner(Keep(), NAMES[::-1])
    assert_same(*(module.init(jax.random.key(0), random_batch(0)) for module in (keep, other)))
    assert_same(apply(variables, random_batch(1)), jax.jit(other.apply)(variables, random_batch(1)))


def test_modality_dropout_is_for_training_alone():
    _, variables, apply = kept()
    drops = conditioner(Keep(), modality_dropout=1.0)
    batch = random_batch(2)
    assert_same(drops.apply(variables, batch), apply(variables, batch))
    dropped = drops.apply(variables, batch, train=True, rngs={"dropout": jax.random.key(0)})
    left = np.sum([mask.any(axis=1) for _, mask in dropped.values()], axis=0)
    present = np.any([batch[f"{n}/mask"] for n in NAMES], axis=0)
    assert_same(left, present.astype(left.dtype))  # a rate of 1 leaves one of those that were there


@pytest.mark.parametrize("name", FUSIONS)
def test_conditioner_end_to_end(name):
    """Gradients reach every encoder and every parameter; a masked modality's encoder gets none; absent is masked."""
    network = conditioner(build(name))
    batch = random_batch(0) | {f"{n}/mask": np.array([True, True, True, False]) for n in NAMES}
    variables = random_variables(network, batch)

    @jax.jit
    def outputs_and_gradients(params, batch):
        def loss(params):
            fused = network.apply({"params": params}, batch)
            weights = jnp.sin(jnp.arange(fused.pooled.size, dtype=jnp.float32)).reshape(fused.pooled.shape)
            return (weights * fused.pooled).sum() + (fused.pooled**2).sum(), fused

        return jax.value_and_grad(loss, has_aux=True)(params)

    def size(tree):
        return max(float(np.abs(x).max()) for x in jax.tree.leaves(tree))

    _, gradients = outputs_and_gradients(variables["params"], batch)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))
    for encoder in NAMES:
        assert size(gradients[f"encoders_{encoder}"]) > 1e-6, encoder

    (_, masked), gradients = outputs_and_gradients(variables["params"], with_garbage(batch, {"photo"}))
    (_, absent), _ = outputs_and_gradients(variables["params"], without(batch, {"photo"}))
    assert_same(masked, absent)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))
    assert size(gradients["encoders_photo"]) == 0
    assert size(gradients["encoders_caption"]) > 1e-6


@pytest.mark.parametrize("name", FUSIONS)
def test_compute_dtype(name):
    """All that a fusion gives is in its `dtype`, its parameters are float32."""
    fusion = lookup.build("fusion", {"name": name}, features=FEATURES, num_heads=2, dtype=jnp.bfloat16)
    fused, variables = jax.eval_shape(fusion.init_with_output, jax.random.key(0), random_tokens(0))
    assert fused.tokens.dtype == fused.pooled.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


# One method at a time.


def one_present(chosen: str) -> dict[str, Tokens]:
    return {n: Tokens(t.values, np.full(t.mask.shape, n == chosen)) for n, t in random_tokens(3).items()}


@pytest.mark.parametrize("name", ["late", "mixture_of_experts"])
def test_one_present_modality_decides_alone(name):
    _, variables, apply = built(name)
    fused = apply(variables, one_present("digit"))
    np.testing.assert_allclose(fused.pooled, fused.tokens[:, NAMES.index("digit")], rtol=1e-6)


def test_late_is_the_weighted_mean_of_predictions():
    _, variables, apply = built("late")
    variables = {"params": variables["params"] | {"logits": jnp.log(jnp.array([1.0, 2.0, 5.0]))}}
    tokens = {n: Tokens(t.values, np.ones_like(t.mask)) for n, t in random_tokens(1).items()}
    fused = apply(variables, tokens)
    expected = np.einsum("m,bmd->bd", [1 / 8, 2 / 8, 5 / 8], fused.tokens)
    np.testing.assert_allclose(fused.pooled, expected, rtol=1e-5, atol=1e-6)


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
    with pytest.raises(lookup.LookupFailed, match="'middle' does not exist"):
        jax.eval_shape(build("hybrid", joint="middle").init, jax.random.key(0), tokens)


@property_test
@given(seed=seeds, rate=st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_modality_dropout(seed, rate):
    """It only removes, keeps at least one modality of every example that has any, and ignores the mapping's order."""
    tokens = random_tokens(seed)
    key = jax.random.key(seed)
    dropped = drop_modalities(key, tokens, rate)
    assert_same(dropped, drop_modalities(key, {n: tokens[n] for n in reversed(NAMES)}, rate))
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
    dropped = drop_modalities(jax.random.key(0), full, 0.4)
    gone = np.array([1 - np.asarray(dropped[n].mask).mean() for n in NAMES])
    np.testing.assert_allclose(gone, 0.4 - 0.4**3 / 3, atol=0.015)  # four standard errors


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
