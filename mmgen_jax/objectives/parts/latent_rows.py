"""The latents from which a multimodal VAE decodes each example in a step: R rows, decoded together.

The rows are first those of all targets of an example, then, for MVAE, those of single targets and of random subsets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts.importance import log_normal
from mmgen_jax.objectives.parts.posteriors import Experts, Mixture, Posterior


@dataclasses.dataclass(frozen=True)
class Rows:
    """R latents of each example.

    Args:
      latents: `[R, B, Z + P]`, the shared latent and the private latent of the row's own target (P may be 0).
      own: the index of the row's own target, `[R]`.
      shares: `[R, B]`, the weight of each row in the loss.
      present: `[R, B, M] bool`, the targets that the row explains.
      reads: `[R, M] bool`, equal for all examples: the decoders that a row needs.
      mixtures: the posterior of each part, all targets first.
      private: mean and log-variance `[R, B, P]` of the private latents.
      num_whole: the number of rows that are drawn given all targets.
    """

    latents: jax.Array
    own: np.ndarray
    shares: jax.Array
    present: jax.Array
    reads: np.ndarray
    mixtures: tuple[Mixture, ...]
    private: tuple[jax.Array, jax.Array]
    num_whole: int

    def log_density(self, latents: jax.Array, mixture: Mixture, mean: jax.Array, log_var: jax.Array) -> jax.Array:
        """Log-density `[R, B]` of rows without subsets: shared latent under the mixture, plus private latent."""
        size = mixture.mean.shape[-1]
        return mixture.log_density(latents[..., :size]) + log_normal(latents[..., size:], mean, log_var)


def create(
    posterior: Posterior,
    experts: Experts,
    private: Mapping[str, tuple[jax.Array, jax.Array]],
    rng: jax.Array,
    num: int,
    subsampled: bool,
    random_subsets: int,
) -> Rows:
    """The rows of a step.

    Args:
      num: latents of each component (`stratified`), or of each example.
      subsampled, random_subsets: see `multimodal_vae.Objective`.
    """
    size, targets = experts.present.shape
    plan = [(experts.present, np.ones(targets, bool))]
    for i in range(targets if subsampled else 0):
        only = np.arange(targets) == i
        plan.append((experts.present & only, only))
    for i in range(random_subsets):
        drawn = randomness.uniform(jax.random.fold_in(rng, 2 * i + 1), size, (targets,)) < 0.5
        plan.append((experts.present & drawn, np.ones(targets, bool)))
    rows, mixtures = [], []
    for part, (present, reads) in enumerate(plan):
        mixture = posterior.of(experts._replace(present=present))
        mixtures.append(mixture)
        key, components = jax.random.fold_in(rng, 2 * part), mixture.mean.shape[1]
        repeats = components * num if posterior.stratified else num
        noise = jnp.swapaxes(randomness.normal(key, size, (repeats, mixture.mean.shape[-1])), 0, 1)  # [R, B, Z]
        if posterior.stratified:
            index = np.repeat(np.arange(components), num)
            chosen = jnp.broadcast_to(index[:, None], (repeats, size))
            shares = jnp.exp(mixture.log_weights).T[index] / num
        else:
            uniform = randomness.uniform(jax.random.fold_in(key, 1), size, (repeats,)).T
            chosen, shares = mixture.chosen(uniform), jnp.full((repeats, size), 1 / num)
            index = np.zeros(repeats, int)
        mean, log_var = mixture.component(chosen)
        z = mean + jnp.exp(0.5 * log_var) * noise
        rows.append((z, index, shares, present, reads))
    z, shares = (jnp.concatenate([row[i] for row in rows]) for i in (0, 2))
    own = np.concatenate([row[1] for row in rows])
    presents = jnp.concatenate([jnp.broadcast_to(row[3], (len(row[0]), *row[3].shape)) for row in rows])
    reads = np.concatenate([np.broadcast_to(row[4], (len(row[0]), targets)) for row in rows])
    means, log_vars = (jnp.stack(values) for values in zip(*private.values()))  # [M, B, P]
    means, log_vars = means[own], log_vars[own]
    noise = randomness.normal(jax.random.fold_in(rng, 2**20), size, (len(own), means.shape[-1]))
    private_latents = means + jnp.exp(0.5 * log_vars) * jnp.swapaxes(noise, 0, 1)
    latents = jnp.concatenate([z, private_latents], axis=-1)
    return Rows(latents, own, shares, presents, reads, tuple(mixtures), (means, log_vars), len(rows[0][0]))
