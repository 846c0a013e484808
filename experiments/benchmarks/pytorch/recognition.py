"""Recognition of images and clips."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pytorch.layers import (
    channels_first,
    concatenated,
    conv,
    dense,
    group_norm,
    layer_norm,
    sequence,
    transformer_block,
    trunk,
)
from pytorch.peer import Peer


class Recognition(Peer):
    """A classifier of pictures or clips by `encoder`."""

    def encoded(self, m, x):
        raise NotImplementedError

    def loss(self, player, batch, draw):
        m = self.nets["classifier"]
        (name,) = self.config.encoders
        values = self.encoded(getattr(m.conditioner, f"encoders_{name}"), batch[name])
        if hasattr(m.conditioner, f"readouts_{name}"):
            values = readout(getattr(m.conditioner, f"readouts_{name}"), values)
        mask = torch.ones(values.shape[:2], dtype=torch.bool)
        logits = dense(m.head, concatenated(m.conditioner.fusion, {name: (values, mask)})[2])
        return F.cross_entropy(logits, batch[self.config.objective.target], label_smoothing=0.1)


def readout(m, values):
    normal = F.layer_norm(values, values.shape[1:], eps=1e-6) * m.LayerNorm_0.weight + m.LayerNorm_0.bias
    return torch.einsum("bnf,nfd->bnd", normal, m.kernel) + m.bias


class Cnn(Recognition):
    def encoded(self, m, x):
        return dense(m.Dense_0, sequence(trunk(m.trunk, x))) + m.positions


class Vit(Recognition):
    def encoded(self, m, x):
        side = m.Patches_0.Conv_0.weight.shape[-1]
        x = F.conv2d(x, m.Patches_0.Conv_0.weight, m.Patches_0.Conv_0.bias, side)
        x, layer = sequence(x) + m.Patches_0.positions, 0
        while hasattr(m, f"TransformerBlock_{layer}"):
            x, layer = transformer_block(getattr(m, f"TransformerBlock_{layer}"), x), layer + 1
        return layer_norm(m.LayerNorm_0, x)


class FrameLstm(Recognition):
    def __init__(self, nets, config):
        super().__init__(nets, config)
        m = nets["classifier"].conditioner.encoders_video
        channels_first(m.Dense_0, len(m.trunk.Conv_2.weight), "input")

    def encoded(self, m, x):
        frames = trunk(m.trunk, x.transpose(1, 2).flatten(0, 1))
        frames = F.silu(dense(m.Dense_0, frames.flatten(1))).view(len(x), -1, m.Dense_0.weight.shape[0])
        return m.Recurrent_0(frames.transpose(0, 1))[0].transpose(0, 1)


class Conv3d(Recognition):
    def encoded(self, m, x):
        for stage, stride in enumerate((2, 2, 1)):
            x = conv(getattr(m, f"Conv_{stage}"), x, (stride, 2, 2))
            x = F.silu(group_norm(getattr(m, f"GroupNorm_{stage}"), x))
        return dense(m.Dense_0, sequence(x)) + m.positions
