"""Clips: next frames by a ConvLSTM that draws pixels and moves those of the frame before."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mmgen_jax.networks.generators.conv_lstm import moves
from pytorch.layers import channels_first, conv, dense
from pytorch.peer import Peer


class ConvLstm(Peer):
    def __init__(self, nets, config):
        super().__init__(nets, config)
        self.m, g = nets["generator"].network.step, config.generator
        self.motions, self.patch = g.num_motions, g.patch_size
        channels_first(self.m.motions, g.features, "input")
        self.register_buffer("moves", torch.tensor(moves(config.data.video_size, g.reach)))

    def pixels(self, m, x):
        """`[B, p * p * C, h, w]`, the channel last in a patch, to `[B, C, H, W]`."""
        x, p = conv(m, x), self.patch
        b, c, h, w = x.shape
        return x.view(b, p, p, c // p**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c // p**2, p * h, p * w)

    def moved(self, x, frame):
        """The frame under each motion, `[B, K, H, W]`."""
        kernels = dense(self.m.motions, x.flatten(1)).view(len(x), 2, self.motions, -1).softmax(-1)
        rows, columns = torch.einsum("baks,sij->abkij", kernels, self.moves)
        return rows @ frame @ columns.transpose(-1, -2)

    def step(self, states, frame):
        """`frame [B, 1, H, W]` to the new states and the next frame."""
        m, p = self.m, self.patch
        x = frame.contiguous().view(len(frame), frame.shape[2] // p, p, -1, p).permute(0, 2, 4, 1, 3).flatten(1, 2)
        x, new = F.relu(conv(m.input, x)), []
        for i, (memory, output) in enumerate(states):
            gates = conv(getattr(m, f"cell_{i}").gates, torch.cat([x, output], 1))
            keep, write, show, value = gates.chunk(4, 1)
            memory = torch.sigmoid(keep + 1) * memory + torch.sigmoid(write) * torch.tanh(value)
            x = torch.sigmoid(show) * torch.tanh(memory)
            new.append((memory, x))
        masks = self.pixels(m.masks, x).softmax(1)
        drawn = torch.tanh(self.pixels(m.output, x))
        return new, (torch.cat([self.moved(x, frame), frame, drawn], 1) * masks).sum(1, keepdim=True)

    def loss(self, player, batch, draw):
        past, future = batch["past"], batch["future"]
        b, _, num, h, w = past.shape
        zeros = past.new_zeros(b, self.config.generator.features, h // self.patch, w // self.patch)
        states, drawn = [(zeros, zeros)] * self.config.generator.get("num_layers", 2), []
        frame = past[:, :, 0]
        for t in range(num + future.shape[2] - 1):
            states, frame = self.step(states, past[:, :, t] if t < num else frame)
            if t >= num - 1:
                drawn.append(frame)
        return (torch.stack(drawn, 2) - future).square().mean()
