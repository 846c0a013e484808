"""Multimodal VAEs on linear networks of two vectors of 5 and 10 numbers, whose exact model is known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.objectives import multimodal_vae

LATENT, SIZES = 2, {"left": 5, "right": 10}
MODALITIES = {name: Modality("vector", (size,)) for name, size in SIZES.items()}
RNG = np.random.default_rng(0)
BATCH = {name: RNG.normal(size=(6, size)).astype(np.float32) for name, size in SIZES.items()}
PRESENT = {"left/mask": np.array([1, 1, 0, 1, 0, 1], bool), "right/mask": np.array([1, 0, 1, 1, 0, 1], bool)}


class Encoder(nn.Module):
    """The array itself as one token."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        return Tokens(array.reshape(len(array), 1, -1), mask[:, None])


class Decoder(nn.Module):
    """Linear in the latent."""

    size: int

    @nn.compact
    def __call__(self, latent, condition, train: bool = False):
        return nn.Dense(self.size)(latent)


def make(**fields):
    given = {"latent_dim": LATENT, "scales": {"left": 0.5, "right": 0.7}}
    return multimodal_vae.Objective(
        target="left",
        targets=tuple(SIZES),
        modality=MODALITIES["left"],
        modalities=MODALITIES,
        target_encoder=Encoder(),
        generator={name: Decoder(size) for name, size in SIZES.items()},
        **given | fields,
    )


MODELS = {
    "jmvae": {"posterior": "joint", "unimodal_kl": 0.1},
    "mvae": {"posterior": "product", "subsampled": True, "random_subsets": 1},
    "mmvae": {"posterior": "mixture"},
    "mmvae, dreg": {"posterior": "mixture", "bound": "dreg", "importance_samples": 3},
    "mopoe": {"posterior": "mixture_of_products"},
    "mvtcae": {"posterior": "product_of_experts", "total_correlation": 0.8, "beta": 2.5},
    "mmvae_plus": {"posterior": "mixture", "private_dim": 3, "bound": "dreg", "importance_samples": 2},
    "mmvae_plus, elbo": {"posterior": "mixture", "private_dim": 3},
    "attention": {"posterior": "attention", "attention_features": 8, "attention_heads": 2},
}


def initial(objective, batch=BATCH, seed=0):
    """`(params, collections)`."""
    variables = jax.jit(objective.init)(jax.random.key(seed), batch)["generator"]
    return {"generator": variables["params"]}, {"generator": {k: v for k, v in variables.items() if k != "params"}}


def compiled(objective):
    """`(batch, state) -> (loss, metrics, gradients)`, compiled once for batches of one size."""

    def loss(params, collections, batch):
        value, (_, metrics) = objective.loss("generator", params, collections, batch, jax.random.key(1), 0)
        return value, metrics

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def run(batch, state):
        (value, metrics), grads = step(*state, batch)
        return value, metrics, grads

    return run


def loss_and_grads(objective, batch, state):
    """`(loss, metrics, gradients)`."""
    return compiled(objective)(batch, state)


def exact(seed=3):
    """A linear Gaussian model `x = W z + b + scale · noise` with orthogonal rows, and its exact posterior.

    Returns:
      `(params of the product posterior, log-likelihood of BATCH [6])`.
    """
    rng = np.random.default_rng(seed)
    scales = {"left": 0.5, "right": 0.7}
    decoders, heads = {}, {}
    stacked, offset, noise = [], [], []
    for name, size in SIZES.items():
        w = np.linalg.qr(rng.normal(size=(size, LATENT)))[0] * [1.2, 0.6]
        b = 0.1 * rng.normal(size=size)
        decoders[name] = {"Dense_0": {"kernel": jnp.asarray(w.T, jnp.float32), "bias": jnp.asarray(b, jnp.float32)}}
        # The expert's precision is that of the likelihood in z, so that product with the prior is the exact posterior.
        precision = np.sum(w**2, axis=0) / scales[name] ** 2
        kernel = w / scales[name] ** 2 / precision
        heads[name] = {
            "kernel": jnp.asarray(np.concatenate([kernel, np.zeros_like(kernel)], axis=1), jnp.float32),
            "bias": jnp.asarray(np.concatenate([-b @ kernel, -np.log(precision)]), jnp.float32),
        }
        stacked.append(w), offset.append(b), noise.append(np.full(size, scales[name] ** 2))
    w, b = np.concatenate(stacked), np.concatenate(offset)
    covariance = w @ w.T + np.diag(np.concatenate(noise))
    x = np.concatenate([BATCH[name] for name in SIZES], axis=1) - b
    log_p = -0.5 * (
        np.einsum("bi,ij,bj->b", x, np.linalg.inv(covariance), x) + np.linalg.slogdet(2 * np.pi * covariance)[1]
    )
    params = {f"decoders_{name}": value for name, value in decoders.items()}
    params |= {f"heads_{name}": value for name, value in heads.items()}
    return {"generator": params}, log_p
