"""Images: GAN, VAE, the quickstart, a diffusion U-Net, pix2pix."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from mmgen_jax.networks.features import audio as features
from pytorch.layers import (
    batch_norm,
    channels_first,
    concatenated,
    conv,
    conv_transposed,
    dense,
    film,
    instance_norm,
    mlp,
    projected,
    residual_block,
    sequence,
    transformer_block,
    trunk,
)
from pytorch.peer import Peer


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
            keep = numbers >= torch.tensor([[0.3], [0.05]])
            keep |= ~keep.any(0) & (numbers == numbers.amax(0))
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


class Pix2pix(Peer):
    """A U-Net and a discriminator of patches, which both see the grey image; the GAN's loss and the absolute error."""

    pieces = ("fake", "discriminator_loss", "generator_loss")

    def fake(self, source, drop):
        m, x, skips = self.nets["generator"].network, source, []
        while hasattr(m, f"Conv_{len(skips)}"):
            stage = len(skips)
            x = conv(getattr(m, f"Conv_{stage}"), x, 2)
            x = F.leaky_relu(instance_norm(getattr(m, f"InstanceNorm_{stage - 1}"), x) if stage else x, 0.2)
            skips.append(x)
        x, down = skips.pop(), len(skips)
        for up in range(down):
            x = conv_transposed(getattr(m, f"ConvTranspose_{up}"), x)
            x = F.dropout(instance_norm(getattr(m, f"InstanceNorm_{down + up}"), x), drop if up < 3 else 0.0)
            x = F.relu(torch.cat([x, skips.pop()], 1))
        return torch.tanh(conv_transposed(m.output, x))

    def criticise(self, x, source):
        m, x, stage = self.nets["discriminator"].network, torch.cat([x, source], 1), 0
        while hasattr(m, f"conv_{stage}"):
            last = not hasattr(m, f"conv_{stage + 1}")
            x = conv(getattr(m, f"conv_{stage}"), x, 1 if last else 2)
            x = F.leaky_relu(instance_norm(getattr(m, f"InstanceNorm_{stage - 1}"), x) if stage else x, 0.2)
            stage += 1
        return conv(m.output, x)

    def discriminator_loss(self, real, fake, source):
        return (F.softplus(-self.criticise(real, source)) + F.softplus(self.criticise(fake, source))).mean()

    def generator_loss(self, real, fake, source):
        error = (fake - real).abs().mean()
        return F.softplus(-self.criticise(fake, source)).mean() + self.config.objective.l1 * error

    def loss(self, player, batch, draw):
        real, source = batch["image"], batch["grey"]
        fake = self.fake(source, self.config.generator.dropout if draw.dropout else 0.0)
        if player == "generator":
            return self.generator_loss(real, fake, source)
        return self.discriminator_loss(real, fake.detach(), source)

    def train_step(self, batch, draw, update):
        real, source = batch["image"], batch["grey"]
        fake = self.fake(source, self.config.generator.dropout)
        update("discriminator", self.discriminator_loss(real, fake.detach(), source))
        self.nets["discriminator"].requires_grad_(False)
        update("generator", self.generator_loss(real, fake, source))
        self.nets["discriminator"].requires_grad_(True)


class Diffusion(Peer):
    """Flow matching of pictures with a U-Net, from a text; samples by 25 Euler steps with guidance."""

    sample_pieces = ("velocity",)

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
