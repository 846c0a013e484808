"""Translation between two kinds of pictures without pairs (CycleGAN, Zhu et al., 2017).

A generator for each direction and a discriminator for each kind. With sources a and b, and G_b from a to b:

    adversarial   (D_b(G_b(a)) - 1)^2: least squares (Mao et al., 2017)
    cycle         |G_a(G_b(a)) - a|, the mean over an example's values, times `cycle`
    identity      |G_b(b) - b|, times `cycle * identity`: a picture that is of the kind already stays as it is

and the same with a and b exchanged. A pool keeps former fakes for the discriminators (Shrivastava et al., 2017). Once
the pool is full, each fake is swapped with a random fake of the pool with probability 1/2. The discriminator then sees
the fake from the pool, otherwise the new fake.

Departs from the paper: in a step the discriminators are trained before the generators, and both losses see fakes of the
same generators; the examples of a batch pass through the pool one after another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count, NotNegative
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.layers import mapped
from mmgen_jax.networks.layers.strides import num_halvings, sides
from mmgen_jax.objectives.parts.apply import apply, apply_train
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import example_weights, to_range, zero_masked


class PerTarget(nn.Module):
    """A network for each target; `network(target, *args)` is the output of the target's network."""

    networks: Mapping[str, nn.Module]

    def __call__(self, target: str, *args, train: bool = False) -> jax.Array:
        return self.networks[target](*args, train=train)

    def every(self, args: Mapping[str, tuple[Any, ...]], train: bool = False) -> None:
        """Applies each network, to initialise all."""
        for target, network in self.networks.items():
            network(*args[target], train=train)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Two generators against two discriminators.

    Args:
      targets: the two kinds; each is generated from the other, and `config.aligned` names both.
      generator: `(None, condition, train) -> [B, *space.shape]`, unbounded; reads `condition.aligned`, one source.
      discriminator: `(target [B, *space.shape], None, train) -> logits [B]` or `[B, *patches]`.
      cycle: weight of the cycle loss, 10 in the paper.
      identity: weight of the identity loss as a multiple of `cycle`, 0.5 in the paper's paintings; 0: none.
      pool: number of former fakes of each target that are kept; with 0, the discriminators see the newest fakes.

    Raises:
      ConfigError: not two targets with a grid that can be halved, `aligned` does not name both, or an identity loss
        between different numbers of channels.
    """

    targets: tuple[str, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]
    generator: nn.Module
    discriminator: nn.Module
    cycle: NotNegative = 10.0
    identity: NotNegative = 0.0
    pool: Count = 50

    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    generator_form: ClassVar[str] = "latent"

    def __post_init__(self):
        if len(self.targets) != 2:
            raise ConfigError(f"objective.targets: expected two, translated into each other, got {self.targets!r}")
        for name in self.targets:
            space = self.modalities[name].space
            if not isinstance(space, Continuous) or not space.rank:
                kind = self.modalities[name].kind
                raise ConfigError(f"objective.targets: expected values on a grid, {name!r} is of kind {kind!r}")
            if not num_halvings(space.shape[:-1]):
                side = "x".join(map(str, sides(space.shape[:-1])))
                raise ConfigError(
                    f"objective.targets: {name!r} has a grid of {side}, which the generators cannot halve; choose even "
                    "sides of at least 8"
                )
        channels = {name: self.modalities[name].space.shape[-1] for name in self.targets}
        if self.identity and len(set(channels.values())) > 1:
            got = " and ".join(f"{num} ({name})" for name, num in channels.items())
            raise ConfigError(
                f"objective.identity: needs targets with equal numbers of channels, got {got}; set it to 0"
            )
        if self.conditioner is None or self.conditioner.reads or set(self.conditioner.aligned) != set(self.targets):
            raise ConfigError(
                "config.aligned: cycle_adversarial reads its two targets and nothing else; set aligned = "
                f"{tuple(self.targets)!r} and no encoders"
            )

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct"})

    @property
    def networks(self) -> dict[str, PerTarget]:
        shapes = {name: self.modalities[name].space.shape for name in self.targets}
        return {
            "discriminator": PerTarget({name: self.discriminator.clone() for name in shapes}),
            "generator": PerTarget({name: self.generator.clone(shape=shape) for name, shape in shapes.items()}),
        }

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        real = {name: self._real(batch, name) for name in self.targets}
        keys = {name: jax.random.fold_in(rng, i) for i, name in enumerate(("params", "dropout"), 1)}
        inputs = {name: (None, self._condition(self._other(name), real[self._other(name)])) for name in real}
        judged = {name: (array, None) for name, array in real.items()}
        variables = {
            player: network.init(keys, given, train=True, method="every")
            for (player, network), given in zip(self.networks.items(), (judged, inputs))
        }
        if self.pool:
            pool = {name: jnp.zeros((self.pool, *array.shape[1:])) for name, array in real.items()}
            count = dict.fromkeys(self.targets, jnp.zeros((), jnp.int32))
            variables["discriminator"] = {**variables["discriminator"], "buffers": {"pool": pool, "count": count}}
        return variables

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """The loss of one player, both directions together."""
        pool_rng, *dropout = jax.random.split(rng, 4)
        real = {name: self._real(batch, name) for name in self.targets}
        weights = {name: example_weights(batch, name) for name in self.targets}
        generate = _Trained(self, "generator", params, collections)
        judge = _Trained(self, "discriminator", params, collections)
        fake = {
            name: self._translated(generate, name, real[self._other(name)], jax.random.fold_in(dropout[0], i))
            for i, name in enumerate(self.targets)
        }
        terms: dict[str, jax.Array] = {}
        for i, (name, other) in enumerate(zip(self.targets, self.targets[::-1])):
            keys = [jax.random.fold_in(key, i) for key in dropout]
            if player == "discriminator":
                shown = self._through_pool(judge, name, jax.lax.stop_gradient(fake[name]), batch, pool_rng)
                logits = judge(name, real[name], None, rng=keys[1]), judge(name, shown, None, rng=keys[2])
                terms |= {f"logits_real_{name}": jnp.mean(logits[0]), f"logits_fake_{name}": jnp.mean(logits[1])}
                terms[f"loss_{name}"] = 0.5 * (
                    _weighted(weights[name], (logits[0] - 1) ** 2) + _weighted(weights[other], logits[1] ** 2)
                )
                continue
            logits = judge(name, fake[name], None, rng=keys[1])
            terms[f"adversarial_{name}"] = _weighted(weights[other], (logits - 1) ** 2)
            back = self._translated(generate, other, fake[name], keys[1])
            terms[f"cycle_{other}"] = _weighted(weights[other], jnp.abs(back - real[other]))
            if self.identity:
                same = self._translated(generate, name, real[name], keys[2])
                terms[f"identity_{name}"] = _weighted(weights[name], jnp.abs(same - real[name]))
            further_rng = jax.random.fold_in(pool_rng, i)  # the generators' loss has no other use of `pool_rng`
            terms |= self._further_terms(params, collections, batch, name, fake[name], further_rng)
        if player == "discriminator":
            return sum(value for name, value in terms.items() if name.startswith("loss_")), (judge.collections, terms)
        loss = sum(self._term_weights[name.partition("_")[0]] * value for name, value in terms.items())
        return loss, (generate.collections, terms)

    @property
    def _term_weights(self) -> dict[str, float]:
        """The weight of each term of the generators' loss."""
        return {"adversarial": 1.0, "cycle": self.cycle, "identity": self.cycle * self.identity}

    def _further_terms(
        self, params, collections, batch, name: str, fake: jax.Array, rng: jax.Array
    ) -> dict[str, jax.Array]:
        """Terms `<term>_<name>` that a family based on this one adds to the generators' loss, for fakes of `name`."""
        return {}

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """Each target from the other; the targets in `given` as they are."""
        generate = _Evaluated(self, "generator", params, collections)
        return {
            name: batch[name] if name in given else self._translated(generate, name, self._real(batch, other))
            for name, other in zip(self.targets, self.targets[::-1])
        }

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """Each target, translated into the other and back."""
        generate = _Evaluated(self, "generator", params, collections)
        return {
            name: self._translated(generate, name, self._translated(generate, other, self._real(batch, name)))
            for name, other in zip(self.targets, self.targets[::-1])
        }

    def _translated(self, generate, name: str, source: jax.Array, rng=None) -> jax.Array:
        """A target generated from the other target, or for the identity loss from itself."""
        output = generate(name, None, self._condition(self._other(name), source), rng=rng)
        bounded = getattr(self.modalities[name].space, "bounded", False)
        return to_range(output) if bounded else output.astype(jnp.float32)

    def _condition(self, name: str, source: jax.Array) -> Condition:
        return Condition(None, None, None, {name: source})

    def _other(self, name: str) -> str:
        return self.targets[self.targets[0] == name]

    def _real(self, batch, name: str) -> jax.Array:
        array = zero_masked(batch, name)
        return array.reshape(len(array), *self.modalities[name].space.shape)

    def _through_pool(self, judge: _Trained, name: str, fakes: jax.Array, batch, rng: jax.Array) -> jax.Array:
        """The fakes `[B, …]` that the discriminator sees in place of this device's fakes; updates the pool.

        Every device passes the fakes of all devices through the pool, in the order of the global batch.
        """
        if not self.pool:
            return fakes
        present = batch.get(self._other(name) + MASK_SUFFIX, jnp.ones(len(fakes), bool))
        everyone, present = mapped.gather(fakes), mapped.gather(present)
        rng = jax.random.fold_in(rng, self.targets.index(name))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, jnp.arange(len(everyone)))
        own = judge.collections["discriminator"]
        buffers = own["buffers"]
        pool, count, shown = exchanged(buffers["pool"][name], buffers["count"][name], everyone, present, keys)
        kept = {"pool": buffers["pool"] | {name: pool}, "count": buffers["count"] | {name: count}}
        judge.collections = {**judge.collections, "discriminator": {**own, "buffers": kept}}
        return jax.lax.dynamic_slice_in_dim(shown, mapped.index() * len(fakes), len(fakes))


def exchanged(pool: jax.Array, count: jax.Array, fakes: jax.Array, present: jax.Array, keys: jax.Array):
    """Passes fakes `[B, …]` one after another through a pool `[P, …]` that holds `count` of them.

    Args:
      present: `[B] bool`; a fake with False is shown unchanged and not kept.
      keys: `[B]`, one for each fake.

    Returns:
      `(pool, count, shown [B, …])`.
    """
    size = len(pool)

    def one(carry, row):
        pool, count = carry
        fake, present, key = row
        swap_key, slot_key = jax.random.split(key)
        full = count >= size
        swap = present & full & jax.random.bernoulli(swap_key)
        slot = jnp.where(full, jax.random.randint(slot_key, (), 0, size), count)
        former = pool[slot]
        pool = pool.at[slot].set(jnp.where(present & (swap | ~full), fake, former))
        return (pool, count + (present & ~full)), jnp.where(swap, former, fake)

    (pool, count), shown = jax.lax.scan(one, (pool, count), (fakes, present, keys))
    return pool, count, shown


class _Trained:
    """A player's networks in training mode; calls update `collections`."""

    def __init__(self, objective: Objective, player: str, params, collections):
        self.network, self.player = objective.networks[player], player
        self.params, self.collections = params, collections

    def __call__(self, target: str, *args, rng: jax.Array) -> jax.Array:
        output, self.collections = apply_train(
            self.network, self.player, self.params, self.collections, target, *args, rngs={"dropout": rng}
        )
        return output


class _Evaluated(_Trained):
    """A player's networks in evaluation mode."""

    def __call__(self, target: str, *args, rng=None) -> jax.Array:
        return apply(self.network, self.player, self.params, self.collections, target, *args)


def _weighted(weights: jax.Array, values: jax.Array) -> jax.Array:
    """The weighted mean over examples of the means of `values [B, …]`."""
    return jnp.mean(weights * values.reshape(len(values), -1).mean(-1))
