"""PyTorch's side of a row of `peers.py`: the network from our parameters, its optimizers, its step and its sampler."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from fixed_draws import fixed
from torch.utils.flop_counter import FlopCounterMode

from pytorch import layers, peer


class Theirs:
    """PyTorch's side of a row, from our parameters."""

    def __init__(self, ours: Any, state, variant: str):
        self.row, self.config = ours.row, ours.config
        trees = jax.device_get((state.params, state.collections))
        nets = {}
        for player, params in trees[0].items():
            stats = {}
            for collection in trees[1].get(player, {}).values():
                stats |= collection
            nets[player] = layers.build(params, stats)
        module, name = ours.row.peer.split(".")
        self.peer = getattr(importlib.import_module(f"pytorch.{module}"), name)(nets, self.config)
        last = {4: torch.channels_last, 5: torch.channels_last_3d} if "channels-last" in variant else {}
        for values in self.peer.parameters():
            if values.ndim in last:
                values.data = values.data.contiguous(memory_format=last[values.ndim])
        self.batch = {name: self.array(array, last) for name, array in ours.batch.items()}
        self.draw = peer.Draw()
        if variant.startswith("compiled"):
            for piece in self.peer.sample_pieces if self.row.method == "sample" else self.peer.pieces:
                setattr(self.peer, piece, torch.compile(getattr(self.peer, piece)))
        self.optimizers, self.ema = {}, {}
        for player in ours.players:
            self.optimizers[player] = self.optimizer(player)

    def array(self, array, last):
        values = torch.from_numpy(np.array(array, np.int64 if np.issubdtype(array.dtype, np.integer) else None))
        if values.ndim < 4:
            return values
        values = values.movedim(-1, 1)
        return values.contiguous(memory_format=last[values.ndim]) if values.ndim in last else values.contiguous()

    def optimizer(self, player):
        fields = self.config.optimizers[player]
        parameters = list(self.peer.nets[player].parameters())
        decay = fields.get("weight_decay", 0.0)
        groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay}]
        groups += [{"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
        betas = fields.get("b1", 0.9), fields.get("b2", 0.999)
        if fields.get("ema_decay"):
            self.ema[player] = [p.detach().clone() for p in parameters]
        lr = min(fields.get("lr", 1e-3), 1e-4)  # small: the weights stay near those of the check
        return (torch.optim.AdamW if decay else torch.optim.Adam)(groups, lr, betas=betas, fused=True)

    def update(self, player, loss):
        fields = self.config.optimizers[player]
        parameters = list(self.peer.nets[player].parameters())
        self.optimizers[player].zero_grad(set_to_none=True)
        loss.backward()
        if fields.get("clip_norm"):
            torch.nn.utils.clip_grad_norm_(parameters, fields.clip_norm, foreach=True)
        self.optimizers[player].step()
        if player in self.ema:
            with torch.no_grad():
                torch._foreach_lerp_(self.ema[player], parameters, 1 - fields.ema_decay)

    def program(self) -> Callable[[], Any]:
        if self.row.method == "sample":
            return lambda: self.peer.sample(self.batch, self.draw)
        return lambda: self.peer.train_step(self.batch, self.draw, self.update)

    def check(self) -> dict[str, Any]:
        draw = Fixed()
        if self.row.method == "sample":
            return {"sample": self.peer.sample(self.batch, draw).movedim(1, -1).numpy()}
        found = {}
        for player in self.optimizers:
            self.peer.zero_grad(set_to_none=True)
            loss = self.peer.loss(player, self.batch, draw)
            loss.backward()
            used = [p for p in self.peer.nets[player].parameters() if p.grad is not None]
            # Of PyTorch's two biases of an LSTM, only one is ours.
            second = {id(p) for n, p in self.peer.nets[player].named_parameters() if "bias_ih" in n}
            norm = math.sqrt(sum(float(p.grad.double().square().sum()) for p in used if id(p) not in second))
            found[player] = float(loss.detach()), norm
        return found

    @property
    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.peer.parameters())

    def flops(self) -> int:
        """Of matrix products and convolutions, those of the gradient included."""
        with FlopCounterMode(display=False) as counter:
            self.program()()
        return counter.get_total_flops()


class Fixed:
    """The numbers of `fixed`; those of pictures in PyTorch's layout."""

    dropout = False

    def normal(self, *shape):
        return self._array(shape, False)

    def uniform(self, *shape):
        return self._array(shape, True)

    def _array(self, shape, uniform):
        if len(shape) < 4:
            return torch.from_numpy(fixed(shape, uniform))
        return torch.from_numpy(fixed((shape[0], *shape[2:], shape[1]), uniform)).movedim(-1, 1).contiguous()
