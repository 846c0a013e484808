"""Sequences of tokens: a captioner, and a transformer of an image's codes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from pytorch.layers import (
    attended,
    attention,
    concatenated,
    conv,
    conv_transposed,
    dense,
    heads,
    layer_norm,
    mlp,
    residual_block,
    sequence,
    transformer_block,
    trunk,
)
from pytorch.peer import LOWEST, Peer, token_loss


class Captioner(Peer):
    """A CNN and an LSTM that attends to its grid; the words are known, so only the recurrence is a loop."""

    def loss(self, player, batch, draw):
        m, ids = self.nets["generator"], batch["text"]
        encoder, g = m.conditioner.encoders_image, m.generator
        values = dense(encoder.Dense_0, sequence(trunk(encoder.trunk, batch["image"]))) + encoder.positions
        mask = torch.ones(values.shape[:2], dtype=torch.bool)
        values, mask, pooled = concatenated(m.conditioner.fusion, {"image": (values, mask)})
        rate = self.config.generator.dropout if draw.dropout else 0.0
        words = F.dropout(F.embedding(F.pad(ids, (1, 0))[:, :-1], g.embed.weight), rate)
        c, h = dense(g.first_state, pooled).chunk(2, dim=-1)
        h, keys, outputs = torch.tanh(h), dense(g.key, values), []
        for t in range(words.shape[1]):
            match = torch.tanh(keys + F.linear(h, g.cell.query.weight)[:, None])
            weights = dense(g.cell.match, match)[..., 0].softmax(-1)
            seen = torch.sigmoid(dense(g.cell.gate, h)) * torch.einsum("bn,bne->be", weights, values)
            h, c = g.cell.lstm(torch.cat([words[:, t], seen], -1), (h, c))
            outputs.append(torch.cat([h, seen], -1))
        hidden = torch.tanh(dense(g.word, words) + dense(g.seen, torch.stack(outputs, 1)))
        return token_loss(dense(g.head, F.dropout(hidden, rate)), ids)


class Transformer(Peer):
    """Text to picture: a VQ-VAE's codes by a transformer with the text as prefix."""

    @property
    def players(self):
        return ("generator",)

    @torch.no_grad()
    def codes(self, image):
        m = self.nets["tokenizer"]
        values = dense(m.target_encoder.Dense_0, sequence(trunk(m.target_encoder.trunk, image)))
        vectors = dense(m.projection, values + m.target_encoder.positions)
        codes = self.codebook(m)
        return (codes.square().sum(-1) - 2 * vectors @ codes.T).argmin(-1)

    def codebook(self, m):
        return m.quantizer.sums / m.quantizer.usage.clamp(min=1e-8)[:, None]

    def prefix(self, text, present):
        m = self.nets["generator"].conditioner
        text, words = text * present[:, None], (text != 0) & present[:, None]
        x = F.embedding(text, m.encoders_text.Embed_0.weight) + m.encoders_text.positions
        x = layer_norm(m.encoders_text.LayerNorm_0, transformer_block(m.encoders_text.TransformerBlock_0, x, words))
        values, mask, _ = concatenated(m.fusion, {"text": (x, words)})
        return dense(self.nets["generator"].generator.condition, values), mask

    def blocks(self):
        return [m for name, m in self.nets["generator"].generator.named_children() if name.startswith("blocks")]

    def loss(self, player, batch, draw):
        g, ids = self.nets["generator"].generator, self.codes(batch["image"]) + 1
        present = draw.uniform(len(ids)) >= self.config.objective.condition_dropout
        prefix, mask = self.prefix(batch["text"], present)
        x = F.embedding(F.pad(ids, (1, 0))[:, :-1], g.embed.weight) + g.positions
        x, before = torch.cat([prefix, x], 1), prefix.shape[1]
        places = torch.arange(x.shape[1])
        keys = torch.cat([mask, torch.ones(ids.shape, dtype=torch.bool)], 1)
        allowed = keys[:, None, None] & ((places < before) | (places <= places[:, None]))
        for block in self.blocks():
            x = x + attention(block.self_attention, layer_norm(block.self_norm, x), mask=allowed)
            x = x + mlp(block.mlp, layer_norm(block.mlp_norm, x))
        return token_loss(dense(g.head, layer_norm(g.norm, x[:, before:])), ids)

    @torch.inference_mode()
    def sample(self, batch, draw):
        """Codes by a cache of keys and values, with guidance and nucleus sampling, then the VQ-VAE's picture."""
        g, text, objective = self.nets["generator"].generator, batch["text"], self.config.objective
        num, blocks, length = len(text), self.blocks(), len(self.nets["generator"].generator.positions)
        both = torch.cat([torch.ones(num, dtype=torch.bool), torch.zeros(num, dtype=torch.bool)])
        x, mask = self.prefix(text.repeat(2, 1), both)
        before = x.shape[1]
        keys = torch.cat([mask, torch.ones(2 * num, length, dtype=torch.bool)], 1)
        cache = [[x.new_empty(2 * num, b.self_attention.heads, before + length, 0)] * 2 for b in blocks]

        def run(x, start, allowed):
            for i, block in enumerate(blocks):
                m = block.self_attention
                q, k, v = (heads(part, m.heads) for part in dense(m.qkv, layer_norm(block.self_norm, x)).chunk(3, -1))
                if not start:
                    cache[i] = [k.new_empty(*k.shape[:2], before + length, k.shape[-1]) for _ in range(2)]
                end = start + x.shape[1]
                for old, new in zip(cache[i], (k, v)):
                    old[:, :, start:end] = new
                x = x + attended(m, q, *(old[:, :, :end] for old in cache[i]), allowed[..., :end])
                x = x + mlp(block.mlp, layer_norm(block.mlp_norm, x))
            return x

        run(x, 0, mask[:, None, None])
        token, ids = torch.zeros(num, dtype=torch.long), []
        for t in range(length):
            x = (F.embedding(token, g.embed.weight) + g.positions[t])[:, None].repeat(2, 1, 1)
            logits = dense(g.head, layer_norm(g.norm, run(x, before + t, keys[:, None, None])[:, 0]))
            given, without = logits.chunk(2)
            logits = without + objective.guidance * (given - without)
            logits[:, 0] = LOWEST
            token = logits.argmax(-1) if not objective.get("temperature", 1.0) else nucleus(logits, objective.top_p)
            ids.append(token)
        m = self.nets["tokenizer"]
        codes = self.codebook(m)[torch.stack(ids, 1) - 1]
        return torch.tanh(grid_decoder(m.target_decoder, codes))


def nucleus(logits, top_p):
    largest, order = logits.sort(-1, descending=True)
    probabilities = largest.softmax(-1)
    probabilities[probabilities.cumsum(-1) - probabilities >= top_p] = 0
    return order.gather(-1, probabilities.multinomial(1))[:, 0]


def grid_decoder(m, codes):
    side = math.isqrt(codes.shape[1])
    x = conv(m.input, codes.transpose(1, 2).unflatten(2, (side, side)))
    x = residual_block(m.ResidualBlock_0, x)
    x = residual_block(m.ResidualBlock_1, conv_transposed(m.ConvTranspose_0, F.silu(x)))
    return conv_transposed(m.output, F.silu(x))
