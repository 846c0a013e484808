"""What every fusion keeps to (masks, order, gradients, no NaN), over random subsets of modalities and tokens."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusion_inputs import (
    BATCH,
    FEATURES,
    NAMES,
    WIDTH,
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

from mmgen_jax import lookup
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import Tokenizer
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens

FUSIONS = lookup.available("fusion")
MODALITIES = {
    "caption": Modality("text", (5,), tokenizer=Tokenizer("character", tuple("abcdefg"))),
    "digit": Modality("label", (), classes=("a", "b", "c")),
    "photo": Modality("image", (4, 4, 3)),
}


def examples(condition: Condition, chosen) -> Condition:
    return jax.tree.map(lambda x: np.asarray(x)[chosen], condition)


@pytest.mark.parametrize("name", FUSIONS)
@property_test
@given(seed=seeds, garbage=st.sampled_from([np.nan, np.inf, 1e30, -3.0]))
def test_masked_tokens_have_no_influence(name, seed, garbage):
    _, variables, apply = built(name)
    tokens = random_tokens(seed)
    changed = {n: Tokens(np.where(t.mask[..., None], t.values, garbage), t.mask) for n, t in tokens.items()}
    condition = apply(variables, tokens)
    assert_same(condition, apply(variables, changed))
    assert condition.pooled.shape == (BATCH, FEATURES) and condition.tokens.shape == (*condition.mask.shape, FEATURES)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(condition))
    assert not np.asarray(condition.tokens)[~np.asarray(condition.mask)].any()
    present = np.any([t.mask.any(axis=1) for t in tokens.values()], axis=0)
    assert_same(np.asarray(condition.mask).any(axis=1), present)


@pytest.mark.parametrize("name", FUSIONS)
@property_test
@given(seed=seeds)
def test_examples_do_not_meet(name, seed):
    """Each example is fused as if it were alone; one without any modality gives the same constant wherever it is."""
    _, variables, apply = built(name)
    tokens, others = random_tokens(seed), random_tokens(seed + 1)
    mixed = jax.tree.map(lambda x, y: np.concatenate([x[:2], y[2:]]), tokens, others)
    condition, fused_mixed = apply(variables, tokens), apply(variables, mixed)
    assert_same(examples(condition, slice(2)), examples(fused_mixed, slice(2)))

    nothing = {n: Tokens(t.values, np.zeros_like(t.mask)) for n, t in tokens.items()}
    constant = apply(variables, nothing).pooled
    np.testing.assert_allclose(constant, np.broadcast_to(constant[:1], constant.shape), rtol=1e-6, atol=1e-7)
    absent = ~np.any([t.mask.any(axis=1) for t in tokens.values()], axis=0)
    np.testing.assert_allclose(condition.pooled[absent], constant[absent], rtol=1e-6, atol=1e-7)


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

    for order in (NAMES[::-1], NAMES[1:] + NAMES[:1]):
        assert program(order) == program(NAMES)
        assert parameters(order) == parameters(NAMES)


class Keep(nn.Module):
    """A fusion that hands on the tokens that it is given, by name, in place of a condition's."""

    @nn.compact
    def __call__(self, tokens, train: bool = False):
        return Condition({name: (t.values, t.mask) for name, t in tokens.items()}, None, None)


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
    condition = apply(variables, without(batch, names))
    assert_same(condition, apply(variables, with_garbage(batch, names)))
    for name, (values, mask) in condition.tokens.items():
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
    dropped = drops.apply(variables, batch, train=True, rngs={"modality_dropout": jax.random.key(0)})
    left = np.sum([mask.any(axis=1) for _, mask in dropped.tokens.values()], axis=0)
    present = np.any([batch[f"{n}/mask"] for n in NAMES], axis=0)
    assert_same(left, present.astype(left.dtype))  # a rate of 1 leaves one of those that were there


QUICK = ("concat", "cross_attention", "film", "product_of_experts")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FUSIONS]
)
def test_conditioner_end_to_end(name):
    """Gradients reach every encoder and every parameter; a masked modality's encoder gets none; absent is masked."""
    network = conditioner(build(name))
    batch = random_batch(0) | {f"{n}/mask": np.array([True, True, True, False]) for n in NAMES}
    variables = random_variables(network, batch)

    @jax.jit
    def outputs_and_gradients(params, batch):
        def loss(params):
            condition = network.apply({"params": params}, batch)
            weights = jnp.sin(jnp.arange(condition.pooled.size, dtype=jnp.float32)).reshape(condition.pooled.shape)
            return (weights * condition.pooled).sum() + (condition.pooled**2).sum(), condition

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
    condition, variables = jax.eval_shape(fusion.init_with_output, jax.random.key(0), random_tokens(0))
    assert condition.tokens.dtype == condition.pooled.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_absent_is_masked_in_an_optimised_program():
    """With XLA's optimisations, as training has them: the constants of an absent modality must not be folded."""
    network = conditioner(build("bilinear"))
    batch = random_batch(0) | {f"{n}/mask": np.array([True, True, True, False]) for n in NAMES}
    params = random_variables(network, batch)["params"]

    def loss(params, batch):
        condition = network.apply({"params": params}, batch)
        return (jnp.sin(jnp.arange(condition.pooled.size)) * condition.pooled.ravel()).sum() + (
            condition.pooled**2
        ).sum(), condition

    step = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options={"xla_backend_optimization_level": 3})
    (_, masked), _ = step(params, with_garbage(batch, {"photo"}))
    (_, absent), _ = step(params, without(batch, {"photo"}))
    assert_same(masked, absent)
