"""The parts of multimodal VAEs that do not depend on the loss: targets, networks, latents and samples."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count, Positive, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import masked
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import importance
from mmgen_jax.objectives.parts.apply import apply, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.likelihoods import Likelihood, create
from mmgen_jax.objectives.parts.masks import batch_size
from mmgen_jax.objectives.parts.multimodal_network import Attention, Network
from mmgen_jax.objectives.parts.posteriors import MAX_EXPERTS, POSTERIORS, Mixture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inference(Family):
    """A latent of several targets: encoders, decoders and the posterior; sampling, reconstruction and log-likelihoods.

    Args:
      targets: two or more; continuous targets of any rank, labels and texts.
      target_encoder: `(array [B, *shape], mask [B]) -> Tokens`: one encoder for each target, or one encoder that is
        copied for each target.
      generator: the same for the decoders, `(latent [B, Z], None, train) -> [B, *space.shape]`; for labels and texts
        the logits `[B, length, number of ids]`. One decoder for all targets needs targets of one shape.
      latent_dim: length of the latent that all targets share.
      private_dim: length of each target's own latent.
      posterior: one of `POSTERIORS`.
      likelihoods: `{target: name}`, see `parts/likelihoods.py`; default: gaussian, categorical or text.
      scales: `{target: scale}` of gaussian and laplace likelihoods; default 1.
      attention_features, attention_heads: of the posterior `attention`.

    Raises:
      ConfigError: fields that do not fit the data or each other.
    """

    targets: tuple[str, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]
    target_encoder: Any
    generator: Any
    latent_dim: Size = 32
    private_dim: Count = 0
    posterior: str = "product"
    likelihoods: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scales: Mapping[str, Positive] = dataclasses.field(default_factory=dict)
    attention_features: Size = 128
    attention_heads: Size = 4

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "latent"

    def __post_init__(self):
        if len(self.targets) < 2 or len(set(self.targets)) < len(self.targets):
            raise ConfigError(f"objective.targets: expected two or more different targets, got {self.targets!r}")
        if self.conditioner is not None:
            raise ConfigError("config.encoders: multimodal_vae has no conditions; name encoders in target_encoder")
        if self.posterior not in POSTERIORS:
            raise ConfigError(f"objective.posterior: expected one of {', '.join(POSTERIORS)}, got {self.posterior!r}")
        for field in ("likelihoods", "scales"):
            if unknown := sorted(set(getattr(self, field)) - set(self.targets)):
                raise ConfigError(f"objective.{field}: expected {', '.join(self.targets)}, got {unknown[0]!r}")
        _ = self._likelihoods  # checks their names
        for part, of in (("target_encoder", lambda m: m.kind), ("generator", lambda m: str(m.space))):
            found = sorted({of(self.modalities[name]) for name in self.targets})
            if not isinstance(getattr(self, part), Mapping) and len(found) > 1:
                raise ConfigError(
                    f"config.{part}: one component for targets of several kinds or shapes ({'; '.join(found)}); give "
                    f"each target its own, {part}.{self.targets[0]}, …"
                )
        if self.posterior == "mixture_of_products" and len(self.targets) > MAX_EXPERTS:
            raise ConfigError(f"objective.posterior: 2^M - 1 products, M is {len(self.targets)}; at most {MAX_EXPERTS}")

    @property
    def abilities(self) -> frozenset[str]:
        latents = {"draw_latent", "to_latent", "from_latent"}
        return frozenset({"sample", "reconstruct", "elbo", "log_weights"} | latents)

    @functools.cached_property
    def _likelihoods(self) -> dict[str, Likelihood]:
        return {
            name: create(
                self.likelihoods.get(name, ""),
                self.modalities[name].space,
                self.scales.get(name, 1.0),
                f"objective.likelihoods.{name}",
            )
            for name in self.targets
        }

    @property
    def network(self) -> Network:
        encoders, joint = self._each(self.target_encoder), self._each(self.target_encoder)
        kind = POSTERIORS[self.posterior].network
        attention = Attention(self.attention_features, self.attention_heads, self.latent_dim)
        return Network(
            encoders,
            self._each(self.generator),
            joint if kind == "joint" else {},
            self.latent_dim,
            self.private_dim,
            attention if kind == "attention" else None,
        )

    def _each(self, networks: Any) -> dict[str, nn.Module]:
        if isinstance(networks, Mapping):
            return {name: networks[name].clone() for name in self.targets}
        return {name: networks.clone() for name in self.targets}

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        return {"generator": self.network.init(init_keys(rng), *self._arrays(batch), train=True)}

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """Means of the likelihoods, given a latent from the posterior of the targets in `given`.

        Where `given` is empty, the latent is from the prior. The targets in `given` are returned as they are.
        """
        _, present = self._arrays(batch)
        present &= jnp.array([name in given for name in self.targets])
        drawn = self.from_latent(params, collections, batch, self._draw(params, collections, batch, present, rng))
        for i, name in enumerate(self.targets):
            if name in given:
                keep = present[:, i].reshape(-1, *[1] * (drawn[name].ndim - 1))
                drawn[name] = jnp.where(keep, batch[name], drawn[name])
        return drawn

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Means of the likelihoods given a latent of the posterior of all targets."""
        return self.from_latent(params, collections, batch, self.to_latent(params, collections, batch, rng))

    def draw_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """Latents `[B, latent_dim + M · private_dim]` of the prior."""
        size = self.latent_dim + len(self.targets) * self.private_dim
        return randomness.normal(rng, batch_size(batch), (size,))

    def to_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """Latents, drawn from the posterior of the targets that each example has; see `draw_latent`."""
        return self._draw(params, collections, batch, self._arrays(batch)[1], rng)

    def from_latent(self, params, collections, batch, latent: jax.Array) -> dict[str, jax.Array]:
        outputs = self._apply(params, collections, self._split(latent), method="decode")
        means = {name: self._likelihoods[name].mean(output) for name, output in outputs.items()}
        return {name: mean.reshape(len(mean), *self.modalities[name].shape) for name, mean in means.items()}

    def elbo(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The evidence lower bound `[B]` in nats, with one latent per example and the posterior's own density."""
        return self.log_weights(params, collections, batch, rng)[:, 0]

    def log_weights(self, params, collections, batch, rng: jax.Array, num: int = 1, chunk: int = 0) -> jax.Array:
        """Logarithms `[B, num]` in nats of p(X, z) / q(z | X), X the present targets, z drawn from the posterior.

        The targets are drawn once, where a likelihood draws them. `chunk` latents are decoded at a time; 0: all.
        """
        noise_rng, binary_rng = jax.random.split(rng)
        arrays, present = self._arrays(batch, binary_rng)
        mixture, means, log_vars = self._posterior(params, collections, arrays, present)

        def draw(rng, num):
            z = self._from_posterior(mixture, means, log_vars, rng, num)  # [num, B, …]
            rest = z[..., self.latent_dim :]
            log_q = mixture.log_density(z[..., : self.latent_dim]) + importance.log_normal(rest, means, log_vars)
            latents = self._split(z.reshape(-1, z.shape[-1]))
            outputs = self._apply(params, collections, latents, method="decode")
            log_p = importance.log_standard_normal(z)
            for i, name in enumerate(self.targets):
                nll = self._likelihoods[name].nll(outputs[name], importance.repeat(arrays[name], num))
                log_p -= jnp.where(present[:, i], nll.reshape(num, -1), 0.0)
            return log_p - log_q

        return importance.in_chunks(draw, noise_rng, num, chunk).T

    def _draw(self, params, collections, batch, present, rng) -> jax.Array:
        arrays, _ = self._arrays(batch)
        return self._from_posterior(*self._posterior(params, collections, arrays, present), rng, 1)[0]

    def _posterior(self, params, collections, arrays, present):
        """`(mixture, means, log_vars)`, the last two `[B, M · private_dim]` of private latents, the prior if absent."""
        experts, private = self._apply(params, collections, arrays, present, method="encode")
        own = [jnp.stack(values, axis=1) for values in zip(*private.values())]  # [B, M, P]
        means, log_vars = (jnp.where(present[..., None], values, 0.0).reshape(len(present), -1) for values in own)
        return POSTERIORS[self.posterior].of(experts), means, log_vars

    def _from_posterior(self, mixture: Mixture, means, log_vars, rng, num: int) -> jax.Array:
        """Latents `[num, B, latent_dim + M · private_dim]`."""
        size, width = len(means), self.latent_dim + means.shape[-1]
        uniform = randomness.uniform(jax.random.fold_in(rng, 1), size, (num,)).T
        noise = jnp.swapaxes(randomness.normal(rng, size, (num, width)), 0, 1)
        mean, log_var = mixture.component(mixture.chosen(uniform))
        shared = mean + jnp.exp(0.5 * log_var) * noise[..., : self.latent_dim]
        private = means + jnp.exp(0.5 * log_vars) * noise[..., self.latent_dim :]
        return jnp.concatenate([shared, private], axis=-1)

    def _split(self, latent: jax.Array) -> dict[str, jax.Array]:
        """The latents `[B, latent_dim + private_dim]` of each target's decoder."""
        shared, rest = latent[:, : self.latent_dim], latent[:, self.latent_dim :]
        private = jnp.split(rest, len(self.targets), axis=1)
        return {name: jnp.concatenate([shared, own], axis=1) for name, own in zip(self.targets, private)}

    def _arrays(self, batch, rng: jax.Array | None = None) -> tuple[dict[str, jax.Array], jax.Array]:
        """`({target: array}, present [B, M])`; arrays are zero where masked, and with `rng` as the model sees them."""
        arrays, masks = {}, []
        for i, name in enumerate(self.targets):
            array, mask = masked(batch, name, self.modalities[name], batch_size(batch))
            if rng is not None:
                array = self._likelihoods[name].observed(array, jax.random.fold_in(rng, i))
            arrays[name] = jnp.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0)
            masks.append(mask)
        return arrays, jnp.stack(masks, axis=1)

    def _apply(self, params, collections, *args, method: str):
        return apply(self.network, "generator", params, collections, *args, method=method)
