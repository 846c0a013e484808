"""The network that maps the conditioning modalities of a batch to a `Condition`: encoders, then a fusion."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch, Modality
from mmgen_jax.networks.conditioning.modality_dropout import drop_modalities
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens
from mmgen_jax.networks.layers.randomness import example_keys


class Conditioner(nn.Module):
    """Encodes and fuses the conditioning modalities of a batch.

    A masked modality and an absent one (not in the batch) give bitwise the same output: the array is zero before the
    encoder, and the tokens are masked after the encoder.

    Args:
      encoders: `{name: encoder}`, with an encoder `(array [B, *modality.shape], mask [B]) -> Tokens`.
      fusion: `{name: Tokens} -> Condition`; None where there are no encoders.
      reads: `{encoder: modality}`; several encoders may read the same modality.
      modalities: at least the modalities in `reads` and `aligned`, by name.
      modality_dropout: in training, the rate at which an example loses the tokens of an encoder, one number for all
        encoders or one by name. Where an example would lose all its tokens, one encoder's stay. The draws come from the
        rng `modality_dropout`, which the players of a step share, so that all players see the same conditions.
      frozen: names of encoders that always run as in evaluation and get no gradient.
      readouts: `{encoder: (tokens [B, N, D], mask [B]) -> Tokens}`, a trained layer on top of an encoder, frozen or
        not. A readout with a kernel for each token keeps the layout of the tokens in their mean; many fusions average
        over tokens.
      aligned: modalities that networks read at their own grid; a modality may be both encoded and aligned.
    """

    encoders: Mapping[str, nn.Module]
    fusion: nn.Module | None
    reads: Mapping[str, str]
    modalities: Mapping[str, Modality]
    modality_dropout: float | Mapping[str, float] = 0.0
    frozen: tuple[str, ...] = ()
    readouts: Mapping[str, nn.Module] = dataclasses.field(default_factory=dict)
    aligned: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities that are encoded or aligned, each name once."""
        return tuple(dict.fromkeys((*self.reads.values(), *self.aligned)))

    def __call__(self, batch: Batch, train: bool = False) -> Condition:
        batch_size = next(iter(batch.values())).shape[0]
        tokens = {}
        for name, encoder in self.encoders.items():
            modality = self.reads[name]
            array, mask = masked(batch, modality, self.modalities[modality], batch_size)
            encoded = encoder(array, mask, train=train and name not in self.frozen)
            if name in self.frozen:
                encoded = jax.lax.stop_gradient(encoded)  # saves the backward pass through the encoder
            token_mask = encoded.mask & mask[:, None]
            values = jnp.where(token_mask[..., None], encoded.values, 0)
            if name in self.readouts:
                values = jnp.where(token_mask[..., None], self.readouts[name](values, mask).values, 0)
            tokens[name] = Tokens(values, token_mask)
        if train and self.modality_dropout:
            keys = example_keys(self.make_rng("modality_dropout"), batch_size)
            tokens = drop_modalities(keys, tokens, self.modality_dropout)
        condition = Condition(None, None, None) if self.fusion is None else self.fusion(tokens, train=train)
        return dataclasses.replace(condition, aligned=self._aligned(batch, batch_size))

    def _aligned(self, batch: Batch, batch_size: int) -> dict[str, jnp.ndarray]:
        sources = {name: masked(batch, name, self.modalities[name], batch_size)[0] for name in self.aligned}
        return {name: x.reshape(batch_size, *self.modalities[name].space.shape) for name, x in sources.items()}


def masked(batch: Batch, name: str, modality: Modality, batch_size: int) -> tuple[jnp.ndarray, jnp.ndarray]:
    """The array `[B, *modality.shape]` of a modality, zero where masked or absent, and its mask `[B] bool`."""
    if name not in batch:
        # The barrier hides the constants from XLA. Without the barrier, XLA simplifies the arithmetic for constant
        # zeros, and an absent modality does not give bitwise the same output as a masked modality.
        absent = jnp.zeros((batch_size, *modality.shape), modality.dtype), jnp.zeros(batch_size, bool)
        return jax.lax.optimization_barrier(absent)
    array = batch[name]
    mask = batch.get(name + MASK_SUFFIX)
    if mask is None:
        return array, jnp.ones(batch_size, bool)
    return jnp.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0), mask


class Conditional(nn.Module):
    """A network with its own conditioner: `network(x, condition)`; `condition` is None for an unconditional network."""

    conditioner: Conditioner | None
    network: nn.Module

    def __call__(self, batch: Batch, x: jnp.ndarray, train: bool = False):
        condition = self.conditioner(batch, train=train) if self.conditioner else None
        return self.network(x, condition, train=train)
