"""Multimodal variational autoencoders: one latent of several targets, any of which may be given or missing.

Each target has an encoder and a decoder. The choice of the posterior q(z | X) (`parts/posteriors.py`), of the bound and
of further terms makes a model:

    model        posterior             further fields
    JMVAE        joint                 unimodal_kl 0.1
    MVAE         product               subsampled, random_subsets
    MMVAE        mixture               bound elbo, iwae or dreg
    MoPoE        mixture_of_products
    MVTCAE       product_of_experts    total_correlation 5/6, beta 2.5
    MMVAE+       mixture               private_dim above 0, bound elbo, iwae or dreg
    attention    attention

A missing target (`<name>/mask` False) has neither a loss nor an influence on the latent. Given any targets, `sample`
draws the latent from their posterior, and the other targets from the latent.

Departs from the papers: all posteriors and priors are normals (MMVAE and MMVAE+ have Laplace distributions). The KL of
a mixture in the `elbo` is its upper bound by convexity, as in MoPoE; `iwae` and `dreg` have the mixture's own density,
as in MMVAE and MMVAE+. With `mixture` and several samples, the gradient of `dreg` is biased, like the gradient of
MMVAE's authors (`parts/importance.py`). MVAE's random subsets are drawn for each example, not for each step. MoPoE
draws a component for each example, where the authors divide the batch. The joint encoder of JMVAE reads targets through
encoders of its own, and given some of the targets the posterior is the product of their experts, which JMVAE has for
single targets alone. The auxiliary prior of MMVAE+ has a learned scale, and its prior is the standard normal.
`attention` is no published model: self-attention between one token of each modality. A text's words are independent
given the latent.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.config.ranges import Count, NotNegative, Share, Size, Steps
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import importance, latent_rows, losses
from mmgen_jax.objectives.parts.apply import apply_train
from mmgen_jax.objectives.parts.masks import example_weights
from mmgen_jax.objectives.parts.multimodal_inference import Inference
from mmgen_jax.objectives.parts.posteriors import POSTERIORS

BOUNDS = ("elbo", "iwae", "dreg")
PRIVATE = 0x9A  # folded into the key of the other targets' private latents


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Inference):
    """The negative bound of the joint log-likelihood of all present targets, in nats per example.

    Args:
      private_dim: length of each target's own latent (MMVAE+), with the posterior `mixture`.
      bound: `elbo`; `iwae` or its gradient `dreg`, with `importance_samples` latents of each component.
      weights: `{target: weight}` of the log-likelihoods in the loss; default 1. Metrics have weight 1.
      beta: weight of the KL terms in the loss, or of log p(z) - log q(z | X) in the weights of `iwae` and `dreg` (as in
        the authors' code of MMVAE+; with several samples, `dreg` is then biased); the metrics have weight 1.
      warmup_steps: steps over which the weight of the KL terms rises linearly from 0.
      unimodal_kl: weight of the sum of KL(q(z | X) || expert of x_m) over the present targets (JMVAE-kl).
      total_correlation: the weight α of MVTCAE: the loss is (1 - α / M) of the negative log-likelihood, beta (1 - α) of
        the KL, and beta α / M of the sum of KL(q(z | X) || expert of x_m) over the present targets. M is the number
        of all targets, also for an example that lacks some.
      rescaled: whether the present targets stand for the missing ones: of T targets, of which an example has P, each
        negative log-likelihood in the loss weighs T / P times as much as in a complete example, and so does each
        KL(q(z | X) || expert of x_m) of MVTCAE.
      subsampled: adds the ELBO of every single target (MVAE).
      random_subsets: adds the ELBO of this many random subsets of each example's targets (MVAE).
      others: see `parts/multimodal_inference.py`.

    Raises:
      ConfigError: fields that do not fit the data or each other; the message says which.
    """

    bound: str = "elbo"
    importance_samples: Size = 1
    weights: Mapping[str, NotNegative] = dataclasses.field(default_factory=dict)
    beta: NotNegative = 1.0
    warmup_steps: Steps = 0
    unimodal_kl: NotNegative = 0.0
    total_correlation: Share = 0.0
    rescaled: bool = False
    subsampled: bool = False
    random_subsets: Count = 0

    def __post_init__(self):
        super().__post_init__()
        if self.bound not in BOUNDS:
            raise ConfigError(f"objective.bound: expected one of {', '.join(BOUNDS)}, got {self.bound!r}")
        if unknown := sorted(set(self.weights) - set(self.targets)):
            raise ConfigError(f"objective.weights: expected {', '.join(self.targets)}, got {unknown[0]!r}")
        normal, network = POSTERIORS[self.posterior].is_normal, POSTERIORS[self.posterior].network
        single = [name for name, of in POSTERIORS.items() if of.is_normal]
        separate = [name for name, of in POSTERIORS.items() if not of.network]
        for field, fits, advice in (
            ("private_dim", self.posterior == "mixture", "posterior='mixture'"),
            ("unimodal_kl", normal and self.bound == "elbo", f"bound='elbo' and a posterior of {', '.join(single)}"),
            ("total_correlation", normal and self.bound == "elbo", f"bound='elbo' and one of {', '.join(single)}"),
            ("subsampled", not network and self.bound == "elbo", f"bound='elbo' and one of {', '.join(separate)}"),
            ("random_subsets", not network and self.bound == "elbo", f"bound='elbo' and one of {', '.join(separate)}"),
            ("subsampled", not self.private_dim, "private_dim=0"),
            ("random_subsets", not self.private_dim, "private_dim=0"),
            ("rescaled", self.bound == "elbo" and not self.subsampled and not self.unimodal_kl, "bound='elbo' alone"),
        ):
            if getattr(self, field) and not fits:
                raise ConfigError(f"objective.{field}: needs {advice}, got {self.posterior!r} and {self.bound!r}")
        if self.bound != "elbo" and (self.warmup_steps or not self.beta):
            raise ConfigError(f"objective.bound: {self.bound!r} needs beta above 0 and no warmup_steps")

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """See `contracts.Objective.loss`; the metrics are in nats per example, of the examples that have a target."""
        noise_rng, binary_rng, dropout_rng = jax.random.split(rng, 3)
        arrays, present = self._arrays(batch, binary_rng)
        run = functools.partial(apply_train, self.network, "generator", rngs={"dropout": dropout_rng})
        (experts, private), collections = run(params, collections, arrays, present, method="encode")
        num = 1 if self.bound == "elbo" else self.importance_samples
        posterior = POSTERIORS[self.posterior]
        rows = latent_rows.create(posterior, experts, private, noise_rng, num, self.subsampled, self.random_subsets)
        some = jnp.any(present, axis=1).astype(jnp.float32)
        weights = some / jnp.maximum(mapped.mean_over_batch(some), 1e-6)

        def nlls(params, latents):
            private_rng = jax.random.fold_in(noise_rng, PRIVATE)
            return self._nlls(functools.partial(run, params, collections), arrays, rows, latents, private_rng)

        if self.bound != "elbo":
            return self._weighted_loss(batch, params, rows, nlls, weights, num)
        nll, collections = nlls(params, rows.latents)  # {target: [R, B]}
        mixture = rows.mixtures[0]
        kl = mixture.kl() + jnp.sum(rows.shares * losses.kl_standard_normal(*rows.private).sum(-1), axis=0)
        subsets = sum((of.kl() for of in rows.mixtures[1:]), jnp.zeros_like(kl))
        whole = {name: jnp.sum((rows.shares * values)[: rows.num_whole], axis=0) for name, values in nll.items()}
        metrics = {f"nll_{name}": jnp.mean(example_weights(batch, name) * values) for name, values in whole.items()}
        metrics |= {"kl": jnp.mean(weights * kl), "elbo": -jnp.mean(weights * (sum(whole.values()) + kl))}
        metrics["active_dimensions"] = losses.active_dimensions(mixture.kl_of_dimensions(), weights)
        unimodal = jnp.zeros_like(kl)
        if self.unimodal_kl or self.total_correlation:
            for i in range(len(self.targets)):
                of_one = mixture.kl(experts.mean[:, i], experts.log_var[:, i])
                unimodal += jnp.where(present[:, i], of_one, 0.0)
            metrics["kl_unimodal"] = jnp.mean(weights * unimodal)
        if len(rows.mixtures) > 1:
            rest = sum(jnp.sum((rows.shares * values)[rows.num_whole :], axis=0) for values in nll.values())
            metrics["subsets"] = jnp.mean(weights * (rest + subsets))
        warmup = jnp.minimum(1.0, (step + 1.0) / self.warmup_steps) if self.warmup_steps else 1.0
        num = len(self.targets)
        share = self.total_correlation / num
        scale = num / jnp.maximum(jnp.sum(present, axis=1), 1) if self.rescaled else 1.0
        terms = sum(self.weights.get(name, 1.0) * jnp.sum(rows.shares * values, axis=0) for name, values in nll.items())
        rate = (1.0 - self.total_correlation) * (kl + subsets) + scale * share * unimodal
        loss = scale * (1.0 - share) * terms + warmup * (self.beta * rate + self.unimodal_kl * unimodal)
        return jnp.mean(weights * loss), (collections, metrics)

    def _weighted_loss(self, batch, params, rows: latent_rows.Rows, nlls, weights, num: int):
        """Minus the mean over the components of their importance-weighted bounds."""

        def log_joint(params, latents):
            nll, after = nlls(params, latents)
            total = sum(self.weights.get(name, 1.0) * values for name, values in nll.items())
            return self.beta * importance.log_standard_normal(latents) - total, (after, nll)

        def log_density(z, *proposal):
            return self.beta * rows.log_density(z, *proposal)

        groups = len(rows.own) // num
        shares = rows.shares[::num] * num
        bound, log_w, (collections, nll) = importance.weighted_bound(
            log_joint,
            params,
            rows.latents,
            log_density,
            (rows.mixtures[0], *rows.private),
            num_bounds=groups,
            shares=shares,
            doubly_reparameterized=self.bound == "dreg",
        )
        loss = -jnp.mean(weights * bound)
        of_one = {name: jnp.sum(rows.shares * values, axis=0) for name, values in nll.items()}
        metrics = {f"nll_{name}": jnp.mean(example_weights(batch, name) * values) for name, values in of_one.items()}
        # The loss has `weights`, the metrics have none.
        total = sum(self.weights.get(name, 1.0) * values for name, values in nll.items())
        log_w = (log_w + total) / self.beta - sum(nll.values())
        metrics["elbo"] = jnp.mean(weights * jnp.sum(rows.shares * log_w, axis=0))
        bounds = jnp.stack([importance.bound(of_group) for of_group in jnp.split(log_w, groups)])
        metrics["bound"] = jnp.mean(weights * jnp.sum(shares * bounds, axis=0))
        metrics["active_dimensions"] = losses.active_dimensions(rows.mixtures[0].kl_of_dimensions(), weights)
        return loss, (collections, metrics)

    def _nlls(self, run, arrays, rows: latent_rows.Rows, latents, rng):
        """`({target: [R, B]}, collections)`: negative log-likelihoods, 0 where a row does not explain the target."""
        keep = {name: np.flatnonzero(rows.reads[:, i]) for i, name in enumerate(self.targets)}
        z = {name: latents[places] for name, places in keep.items()}
        if self.private_dim:
            shape = (len(rows.own), self.private_dim)
            noise = {
                name: jnp.swapaxes(randomness.normal(jax.random.fold_in(rng, i), latents.shape[1], shape), 0, 1)
                for i, name in enumerate(self.targets)
            }
            other, _ = run(noise, method="auxiliary")
            for i, name in enumerate(self.targets):
                own = jnp.asarray(rows.own == i)[:, None, None]
                private = jnp.where(own, latents[..., self.latent_dim :], other[name])
                z[name] = jnp.concatenate([latents[..., : self.latent_dim], private], axis=-1)
        outputs, collections = run({name: x.reshape(-1, x.shape[-1]) for name, x in z.items()}, method="decode")
        nll = {}
        for i, name in enumerate(self.targets):
            target = importance.repeat(arrays[name], len(keep[name]))
            values = self._likelihoods[name].nll(outputs[name], target).reshape(len(keep[name]), -1)
            whole = jnp.zeros(latents.shape[:2]).at[keep[name]].set(values)
            nll[name] = jnp.where(rows.present[..., i], whole, 0.0)
        return nll, collections
