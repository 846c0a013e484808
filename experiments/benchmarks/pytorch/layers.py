"""Layers of the PyTorch networks.

`build` makes a module from a tree of our parameters, so both sides have the same numbers under the same names. The
functions apply a part of such a module as a PyTorch programmer would write it: pictures are `[B, C, *grid]`, attention
is `scaled_dot_product_attention` with query, key and value in one product, an LSTM over a known sequence is `nn.LSTM`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-6  # of Flax's layer and group normalisation


class Weights(nn.Module):
    """`weight`, and `bias` or None."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None = None):
        super().__init__()
        self.weight = parameter(weight)
        self.bias = None if bias is None else parameter(bias)


def parameter(values: np.ndarray) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(values, np.float32)))


def build(params: Mapping, stats: Mapping | None = None, name: str = "", siblings: Mapping | None = None) -> nn.Module:
    """The module of a tree of our parameters and statistics.

    Kernels get PyTorch's layout. Query, key and value of a self-attention become one layer `qkv`, key and value of a
    cross-attention a layer `kv`. The two cells of a bidirectional network become an `nn.LSTM`.
    """
    stats = stats or {}
    if "OptimizedLSTMCell_0" in params:
        return bidirectional(params)
    if "hi" in params:
        return cell(params)
    if "embedding" in params:
        return Weights(params["embedding"])
    if "mean" in stats or "scale" in params:
        return normalisation(params, stats)
    if "query" in params and "value" in params:
        return attention_module(params)
    if "kernel" in params and name not in ("", "readouts_video"):
        transposed = name.startswith("ConvTranspose") or (name == "output" and "ConvTranspose_0" in (siblings or {}))
        return Weights(kernel(params["kernel"], name, transposed), params.get("bias"))
    module = nn.Module()
    for key in {**stats, **params}:
        if isinstance(params.get(key, {}), Mapping) and isinstance(stats.get(key, {}), Mapping):
            module.add_module(key, build(params.get(key, {}), stats.get(key), key, params))
        elif key in params:
            module.register_parameter(key, parameter(params[key]))
        else:
            module.register_buffer(key, torch.from_numpy(np.array(stats[key])))
    return module


def kernel(values: np.ndarray, name: str, transposed: bool) -> np.ndarray:
    rank = values.ndim - 2
    if transposed:  # `[*size, in, out]`; PyTorch's transposed convolution reads its kernel backwards
        return np.flip(values, tuple(range(rank))).transpose(rank, rank + 1, *range(rank))
    if rank > 0:
        return values.transpose(rank + 1, rank, *range(rank))
    return values.T


def normalisation(params: Mapping, stats: Mapping) -> nn.Module:
    module = nn.Module()
    for ours, theirs in (("scale", "weight"), ("bias", "bias")):
        module.register_parameter(theirs, parameter(params[ours]) if ours in params else None)
    for ours in ("mean", "var"):
        if ours in stats:
            module.register_buffer(ours, torch.from_numpy(np.array(stats[ours])))
    return module


def attention_module(params: Mapping) -> nn.Module:
    _, heads, size = params["query"]["kernel"].shape
    both = lambda names, key: np.concatenate([flat(params[name][key], key) for name in names])  # noqa: E731
    flat = lambda values, key: values.reshape(-1, heads * size).T if key == "kernel" else values.reshape(-1)  # noqa: E731
    module = nn.Module()
    module.heads = heads
    if params["query"]["kernel"].shape == params["key"]["kernel"].shape:
        names = ("query", "key", "value")
        module.qkv = Weights(both(names, "kernel"), both(names, "bias"))
    else:
        module.query = Weights(both(("query",), "kernel"), both(("query",), "bias"))
        module.kv = Weights(both(("key", "value"), "kernel"), both(("key", "value"), "bias"))
    output = params["output"]["kernel"]
    module.output = Weights(output.reshape(-1, output.shape[-1]).T, params["output"]["bias"])
    return module


def cell(params: Mapping) -> nn.LSTMCell:
    inputs, features = params["ii"]["kernel"].shape
    module = nn.LSTMCell(inputs, features)
    fill_cell(params, module.weight_ih, module.weight_hh, module.bias_ih, module.bias_hh)
    return module


def bidirectional(params: Mapping) -> nn.LSTM:
    inputs, features = params["OptimizedLSTMCell_0"]["ii"]["kernel"].shape
    module = nn.LSTM(inputs, features, bidirectional=True)
    for number, end in ((0, ""), (1, "_reverse")):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        fill_cell(params[f"OptimizedLSTMCell_{number}"], *(getattr(module, f"{name}_l0{end}") for name in names))
    return module


@torch.no_grad()
def fill_cell(params: Mapping, weight_ih, weight_hh, bias_ih, bias_hh) -> None:
    """PyTorch has a second bias, which starts at 0 here."""
    gates = "ifgo"
    weight_ih.copy_(torch.from_numpy(np.concatenate([params["i" + gate]["kernel"].T for gate in gates])))
    weight_hh.copy_(torch.from_numpy(np.concatenate([params["h" + gate]["kernel"].T for gate in gates])))
    bias_hh.copy_(torch.from_numpy(np.concatenate([params["h" + gate]["bias"] for gate in gates])))
    bias_ih.zero_()


@torch.no_grad()
def channels_first(layer: Weights, channels: int, of: str) -> None:
    """Reorders the cells of a dense layer before (`of` is `output`) or behind (`input`) a grid to PyTorch's order."""
    weight = layer.weight
    if of == "input":
        layer.weight.copy_(weight.reshape(len(weight), -1, channels).transpose(1, 2).reshape(weight.shape))
        return
    for values in filter(lambda values: values is not None, (layer.weight, layer.bias)):
        values.copy_(values.reshape(-1, channels, *values.shape[1:]).transpose(0, 1).reshape(values.shape))


def dense(m, x):
    return F.linear(x, m.weight, m.bias)


def conv(m, x, stride=1):
    """Padding as XLA's `SAME`."""
    size = m.weight.shape[2:]
    stride = (stride,) * len(size) if isinstance(stride, int) else stride
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(x.shape[2:], size, stride)]
    if any(total % 2 for total in totals):
        x = F.pad(x, [n for total in reversed(totals) for n in (total // 2, total - total // 2)])
        totals = [0] * len(totals)
    apply = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(size)]
    return apply(x, m.weight, m.bias, stride, tuple(total // 2 for total in totals))


def conv_transposed(m, x):
    """Kernel 4, stride 2."""
    return F.conv_transpose2d(x, m.weight, m.bias, 2, 1)


def layer_norm(m, x):
    return F.layer_norm(x, x.shape[-1:], m.weight, m.bias, EPSILON)


def group_norm(m, x):
    m = m.GroupNorm_0
    return F.group_norm(x, math.gcd(32, x.shape[1]), m.weight, m.bias, EPSILON)


def instance_norm(m, x):
    return F.instance_norm(x, weight=m.weight, bias=m.bias, eps=EPSILON)


def batch_norm(m, x):
    return F.batch_norm(x, m.mean, m.var, m.weight, m.bias, training=True, momentum=0.1)


def cell_norm(x):
    """Layer normalisation of every cell of a grid `[B, C, *grid]`, without parameters."""
    return F.layer_norm(x.movedim(1, -1), x.shape[1:2], eps=EPSILON).movedim(-1, 1)


def film(m, x, vector):
    """Scale and shift of `x [B, C, *grid]` from a vector."""
    scale, shift = dense(m.Dense_0, vector).chunk(2, dim=-1)
    shape = (*scale.shape, *[1] * (x.ndim - 2))
    return x * (1 + scale.view(shape)) + shift.view(shape)


def mlp(m, x, activation=None, drop: float = 0.0):
    h = (activation or gelu)(dense(m.Dense_0, x))
    return dense(m.Dense_1, F.dropout(h, drop) if drop else h)


def gelu(x):
    return F.gelu(x, approximate="tanh")


def heads(x, num):
    return x.view(*x.shape[:2], num, -1).transpose(1, 2)


def attention(m, x, context=None, mask=None):
    """`mask` broadcasts to `[B, 1, T, S]`; a query that sees nothing gets 0."""
    if context is None:
        q, k, v = (heads(part, m.heads) for part in dense(m.qkv, x).chunk(3, dim=-1))
    else:
        q, (k, v) = heads(dense(m.query, x), m.heads), (heads(p, m.heads) for p in dense(m.kv, context).chunk(2, -1))
    return attended(m, q, k, v, mask)


def attended(m, q, k, v, mask=None):
    seen = None if mask is None else mask.any(dim=-1, keepdim=True)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask | ~seen)
    y = dense(m.output, y.transpose(1, 2).flatten(2))
    return y if mask is None else torch.where(seen[:, 0], y, 0.0)


def transformer_block(m, x, mask=None, context=None, context_mask=None):
    """`mask [B, N]`, `context_mask [B, S]`."""
    wide = lambda mask: None if mask is None else mask[:, None, None]  # noqa: E731
    x = x + attention(m.self_attention.attention, layer_norm(m.self_norm, x), mask=wide(mask))
    if context is not None:
        x = x + attention(m.cross_attention, layer_norm(m.cross_norm, x), context, wide(context_mask))
    return x + mlp(m.MLP_0, layer_norm(m.mlp_norm, x))


def residual_block(m, x, activation=F.silu, vector=None):
    def normalise(number, h):
        if vector is None:
            return group_norm(getattr(m, f"GroupNorm_{number}"), h)
        return film(getattr(m, f"ConditionalNorm_{number}"), cell_norm(h), vector)

    h = conv(m.Conv_0, activation(normalise(0, x)))
    h = conv(m.Conv_1, activation(normalise(1, h)))
    return h + (conv(m.Conv_2, x) if hasattr(m, "Conv_2") else x)


def trunk(m, x, norm="group"):
    stage = 0
    while hasattr(m, f"Conv_{stage}"):
        x = conv(getattr(m, f"Conv_{stage}"), x, 2)
        x = F.silu(group_norm(getattr(m, f"GroupNorm_{stage}"), x) if norm == "group" else x)
        if hasattr(m, f"ResidualBlock_{stage}"):
            x = residual_block(getattr(m, f"ResidualBlock_{stage}"), x)
        stage += 1
    return x


def sequence(x):
    """`[B, C, *grid]` to `[B, N, C]`."""
    return x.flatten(2).transpose(1, 2)


def masked_mean(values, mask):
    return (values * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def projected(m, tokens):
    """Mean vectors `[B, M, D]`, presence `[B, M]`, tokens and their mask, of all modalities."""
    values = {}
    for name, (array, mask) in tokens.items():
        h = dense(getattr(m, f"{name}_dense"), layer_norm(getattr(m, f"{name}_norm"), array * mask[..., None]))
        values[name] = h * mask[..., None], mask
    vectors = torch.stack([masked_mean(*pair) for pair in values.values()], 1)
    present = torch.stack([mask.any(1) for _, mask in values.values()], 1)
    return vectors, present, *(torch.cat(parts, 1) for parts in zip(*values.values()))


def concatenated(m, tokens):
    """Tokens, mask and pooled vector of the fusion `concat`."""
    vectors, present, values, mask = projected(m.Projection_0, tokens)
    return values, mask, mlp(m.MLP_0, torch.cat([vectors.flatten(1), present.float()], 1))
