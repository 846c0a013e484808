"""The PyTorch networks, losses and samplers that `peers.py` times beside ours: one class for each kind of row.

A class has the losses of its players, as our objectives define them, and where a row samples, `sample`. `draw` gives
the random numbers, so that a check can put the same numbers into both sides. Batches have PyTorch's layout.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch_layers import (
    attended,
    attention,
    batch_norm,
    channels_first,
    conv,
    conv_transposed,
    dense,
    film,
    group_norm,
    heads,
    layer_norm,
    masked_mean,
    mlp,
    residual_block,
    sequence,
    transformer_block,
    trunk,
)

from mmgen_jax.networks.features import audio as features

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

    pieces = ("loss",)  # the methods that `torch.compile` gets

    def __init__(self, nets, config):
        super().__init__()
        self.nets, self.config = torch.nn.ModuleDict(nets), config

    def train_step(self, batch, draw, update):
        for player in self.players:
            update(player, self.loss(player, batch, draw))

    @property
    def players(self):
        return tuple(self.config.optimizers)


class Gan(Peer):
    """DCGAN with the non-saturating loss; in a step both players see the same fake batch, computed once."""

    pieces = ("fake", "discriminator_loss", "generator_loss")

    def __init__(self, nets, config):
        super().__init__(nets, config)
        g, d = nets["generator"].network, nets["discriminator"].network
        channels_first(g.Dense_0, g.ConvTranspose_0.weight.shape[0], "output")
        last = [module for name, module in d.Trunk_0.named_children() if name.startswith("conv")][-1]
        channels_first(d.Dense_0, len(last.weight), "input")

    def fake(self, z):
        return torch.tanh(conv_generator(self.nets["generator"].network, z))

    def criticise(self, x):
        m, trunk, stage = self.nets["discriminator"].network, self.nets["discriminator"].network.Trunk_0, 0
        while hasattr(trunk, f"conv_{stage}"):
            x = conv(getattr(trunk, f"conv_{stage}"), x, 2)
            x = F.leaky_relu(batch_norm(getattr(trunk, f"BatchNorm_{stage - 1}"), x) if stage else x, 0.2)
            stage += 1
        return dense(m.Dense_0, x.flatten(1))[:, 0]

    def discriminator_loss(self, real, fake):
        return (F.softplus(-self.criticise(real)) + F.softplus(self.criticise(fake))).mean()

    def generator_loss(self, fake):
        return F.softplus(-self.criticise(fake)).mean()

    def loss(self, player, batch, draw):
        fake = self.fake(draw.normal(len(batch["image"]), 100))
        if player == "generator":
            return self.generator_loss(fake)
        return self.discriminator_loss(batch["image"], fake.detach())

    def train_step(self, batch, draw, update):
        fake = self.fake(draw.normal(len(batch["image"]), 100))
        update("discriminator", self.discriminator_loss(batch["image"], fake.detach()))
        self.nets["discriminator"].requires_grad_(False)
        update("generator", self.generator_loss(fake))
        self.nets["discriminator"].requires_grad_(True)


def conv_generator(m, x, vector=None):
    x, stage = dense(m.Dense_0, x), 0
    channels = m.ConvTranspose_0.weight.shape[0]
    side = math.isqrt(x.shape[1] // channels)
    x = x.view(-1, channels, side, side)
    while True:
        if vector is None:
            x = F.relu(batch_norm(getattr(m, f"BatchNorm_{stage}"), x))
        else:
            norm = getattr(m, f"ConditionalNorm_{stage}")
            x = F.relu(film(norm, batch_norm(norm.BatchNorm_0, x), vector))
        if not hasattr(m, f"ConvTranspose_{stage}"):
            return conv_transposed(m.output, x)
        x, stage = conv_transposed(getattr(m, f"ConvTranspose_{stage}"), x), stage + 1


class Vae(Peer):
    """VAE of dense layers with a Bernoulli likelihood and a mixture as prior."""

    def loss(self, player, batch, draw):
        m, x = self.nets["generator"], batch["image"].flatten(1)
        z_noise, chosen = draw.normal(len(x), m.mixture_mean.shape[1]), draw.uniform(*batch["image"].shape).flatten(1)
        binary = (chosen < (x + 1) / 2).float()
        h = F.silu(dense(m.target_encoder.Dense_0, 2 * binary - 1))
        mean, log_var = dense(m.posterior, dense(m.target_encoder.Dense_1, h)).chunk(2, dim=-1)
        z = mean + torch.exp(0.5 * log_var) * z_noise
        h = F.silu(dense(m.generator.Dense_1, F.silu(dense(m.generator.Dense_0, z))))
        logits = dense(m.generator.output, h)
        distortion = F.binary_cross_entropy_with_logits(logits, binary, reduction="none").sum(1)
        entropy = 0.5 * (log_var + 1 + math.log(2 * math.pi)).sum(1)
        squares = (z[:, None] - m.mixture_mean) ** 2 * torch.exp(-m.mixture_log_var)
        each = -0.5 * (squares + m.mixture_log_var + math.log(2 * math.pi)).sum(-1)
        log_prior = torch.logsumexp(F.log_softmax(m.mixture_logits, 0) + each, dim=-1)
        return (distortion - entropy - log_prior).mean()


class Quickstart(Peer):
    """Conditional VAE: text and sound to a picture."""

    def __init__(self, nets, config):
        super().__init__(nets, config)
        m = nets["generator"]
        channels_first(m.generator.Dense_0, m.generator.ConvTranspose_0.weight.shape[0], "output")
        n_fft, self.hop, n_mels = features.frame_sizes(8000)
        self.register_buffer("window", torch.hann_window(n_fft))
        self.register_buffer("filters", torch.tensor(features.mel_filters(8000, n_fft, n_mels, 0.0, None)))

    def sound(self, m, wave):
        spectrum = torch.stft(
            wave, len(self.window), self.hop, window=self.window, pad_mode="constant", return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2) @ self.filters.T
        db = 10 * torch.log10(power.clamp(min=features.AMIN))
        db = torch.maximum(db, db.amax((1, 2), keepdim=True) - 80)
        grid = trunk(m.trunk, ((db + 40) / 20)[:, None])  # [B, C, T, n_mels]
        return dense(m.Dense_0, grid.permute(0, 2, 3, 1).flatten(2)) + m.positions

    def loss(self, player, batch, draw):
        m, size = self.nets["generator"], len(batch["image"])
        words = F.embedding(batch["text"], m.conditioner.encoders_text.Embed_0.weight)
        sound = self.sound(m.conditioner.encoders_audio, batch["audio"])
        tokens = {"audio": (sound, torch.ones(sound.shape[:2], dtype=torch.bool)), "text": (words, batch["text"] != 0)}
        if draw.dropout:
            numbers = draw.uniform(2, size)
            keep = (numbers >= torch.tensor([[0.3], [0.05]])) | (numbers == numbers.amax(0))
            tokens = {
                name: (values, mask & kept[:, None]) for (name, (values, mask)), kept in zip(tokens.items(), keep)
            }
        vectors, present, _, _ = projected(m.conditioner.fusion.Projection_0, tokens)
        logits = dense(m.conditioner.fusion.Dense_0, torch.cat([vectors.flatten(1), present.float()], 1))
        logits = logits.view(size, -1, 2).masked_fill(~present[:, None], torch.finfo(torch.float32).min)
        pooled = torch.einsum("bmd,bdm->bd", torch.tanh(vectors), logits.softmax(-1))
        cells = sequence(trunk(m.target_encoder.trunk, batch["image"], "none"))
        cells = dense(m.target_encoder.Dense_0, cells) + m.target_encoder.positions
        mean, log_var = dense(m.posterior, torch.cat([cells.flatten(1), pooled], 1)).chunk(2, dim=-1)
        z = mean + torch.exp(0.5 * log_var) * draw.normal(*mean.shape)
        output = conv_generator(m.generator, torch.cat([z, pooled], 1), pooled)
        scale = self.config.objective.scale
        nll = 0.5 * ((batch["image"] - output) / scale) ** 2 + math.log(scale) + 0.5 * math.log(2 * math.pi)
        kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var)
        return (nll.flatten(1).sum(1) + kl.sum(1)).mean()


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


def token_loss(logits, ids):
    """Mean over tokens; id 0 is impossible, and padding in `ids`."""
    logits = torch.cat([torch.full_like(logits[..., :1], LOWEST), logits[..., 1:]], -1)
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)


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


class Diffusion(Peer):
    """Flow matching of pictures with a U-Net, from a text; samples by 25 Euler steps with guidance."""

    def condition(self, text, present):
        m = self.nets["generator"].conditioner
        words = F.embedding(text * present[:, None], m.encoders_text.Embed_0.weight)
        return concatenated(m.fusion, {"text": (words, (text != 0) & present[:, None])})

    def velocity(self, z, time, values, mask, pooled):
        m = self.nets["generator"].generator
        features, angles = m.condition.weight.shape[0], 1000 * time[:, None]
        half = features // 2
        angles = angles * torch.exp(-math.log(10_000.0) * torch.arange(half) / (half - 1))
        vector = mlp(m.time.MLP_0, torch.cat([angles.cos(), angles.sin()], -1), F.silu)
        vector = F.silu(vector + dense(m.condition, pooled))
        h = conv(m.input, patches(z))
        first = h = residual_block(m.ResidualBlock_0, h, vector=vector)
        second = h = residual_block(m.ResidualBlock_1, F.avg_pool2d(h, 2), vector=vector)
        cells = transformer_block(m.attention, sequence(h), None, values, mask)
        h = cells.transpose(1, 2).unflatten(2, h.shape[2:])
        h = conv(m.Conv_0, residual_block(m.ResidualBlock_2, h + second, vector=vector))
        h = residual_block(m.ResidualBlock_3, F.interpolate(h, scale_factor=2) + first, vector=vector)
        normal = F.layer_norm(h.movedim(1, -1), h.shape[1:2], eps=1e-6).movedim(-1, 1)
        return cells_to_pixels(conv(m.output, F.silu(film(m.output_norm, normal, vector))))

    def loss(self, player, batch, draw):
        x, size = batch["image"], len(batch["image"])
        time, noise = torch.sigmoid(draw.normal(size)), draw.normal(*x.shape)
        present = draw.uniform(size) >= self.config.objective.condition_dropout
        t = time[:, None, None, None]
        velocity = self.velocity(t * x + (1 - t) * noise, time, *self.condition(batch["text"], present))
        return (velocity - (x - noise)).square().mean()

    @torch.inference_mode()
    def sample(self, batch, draw):
        num, steps = len(batch["text"]), self.config.objective.sampling_steps
        both = torch.cat([torch.ones(num, dtype=torch.bool), torch.zeros(num, dtype=torch.bool)])
        condition = self.condition(batch["text"].repeat(2, 1), both)
        z = draw.normal(*batch["image"].shape).contiguous(memory_format=memory_format(batch["image"]))
        for step in range(steps):
            velocity = self.velocity(torch.cat([z, z]), torch.full((2 * num,), step / steps), *condition)
            given, without = velocity.chunk(2)
            z = z + (without + self.config.objective.guidance * (given - without)) / steps
        return z.clamp(-1, 1)


def memory_format(x):
    last = x.is_contiguous(memory_format=torch.channels_last) and x.shape[1] > 1
    return torch.channels_last if last else torch.contiguous_format


def patches(x):
    """Space to depth by 2, with the channel last in a patch."""
    b, c, h, w = x.shape
    return x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


def cells_to_pixels(x):
    b, c, h, w = x.shape
    return x.reshape(b, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c // 4, 2 * h, 2 * w)
