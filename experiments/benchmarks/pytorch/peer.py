"""The base of PyTorch's side of a row.

A class has the losses of its players, as our objectives define them, and where a row samples, `sample`. `draw` gives
the random numbers, so that a check can put the same numbers into both sides. Batches have PyTorch's layout.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

LOWEST = -1e30


class Draw:
    """Random numbers of a training step; `dropout` is off in checks."""

    dropout = True

    def normal(self, *shape):
        return torch.randn(*shape)

    def uniform(self, *shape):
        return torch.rand(*shape)


class Peer(torch.nn.Module):
    """Base: `nets`, a module for each player; a subclass has `loss(player, batch, draw)`."""

    pieces = ("loss",)  # of a step, the methods that `torch.compile` gets
    sample_pieces = ()  # of sampling; without any, a sampler has no compiled program

    def __init__(self, nets, config):
        super().__init__()
        self.nets, self.config = torch.nn.ModuleDict(nets), config

    def train_step(self, batch, draw, update):
        for player in self.players:
            update(player, self.loss(player, batch, draw))

    @property
    def players(self):
        return tuple(self.config.optimizers)


def token_loss(logits, ids):
    """Mean over tokens; id 0 is impossible, and padding in `ids`."""
    logits = torch.cat([torch.full_like(logits[..., :1], LOWEST), logits[..., 1:]], -1)
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)
