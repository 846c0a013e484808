"""Sounds: WaveNet as a vocoder, its sampling with a cache, and Tacotron."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from mmgen_jax.networks.features import audio as features
from pytorch.layers import concatenated, conv, dense, layer_norm
from pytorch.peer import LOWEST, Peer, token_loss

MU = 255
RATE = 8000  # Hz
SILENCE = -1.0  # of a frame
AUDIBLE = 1e-3
STOPPED = 4  # steps behind the end that train the stop token


class WaveNet(Peer):
    """Dilated causal convolutions of width 2; `[B, C, T]` inside."""

    def __init__(self, nets, config):
        super().__init__(nets, config)
        g, self.g = config.generator, nets["generator"].generator
        self.dilations = [2**i for i in range(g.num_layers)] * g.num_stacks
        for i in range(len(self.dilations)):  # our product of [now, before] as a convolution
            gates = getattr(self.g, f"gates_{i}")
            now, before = gates.weight.detach().chunk(2, 1)
            gates.weight = nn.Parameter(torch.stack([before, now], 2))
        self.gates, self.outputs = (
            [getattr(self.g, f"{name}_{i}") for i in range(len(self.dilations))] for name in ("gates", "outputs")
        )

    def encode(self, audio, padded):
        compressed = audio.sign() * torch.log1p(MU * audio.abs()) / math.log1p(MU)
        return torch.where(padded, 0, torch.floor((compressed + 1) / 2 * MU + 0.5).long() + 1)

    def local(self, mel):
        """What the frames add to the gates of all layers, at the rate of the frames."""
        g = self.g
        return F.conv1d(F.relu(conv(g.frames, mel.transpose(1, 2))), g.local.weight[..., None])

    def embed(self, tokens):
        return F.embedding(torch.where(tokens == 0, 129, tokens), self.g.embed.weight)

    def layer(self, i, x, gates, seen):
        """`(x, skip)`, from the last samples of `x` and the gates `[B, 2 F, T]` or `[B, 2 F]`."""
        m = self.outputs[i]
        filtered, gate = (gates + seen).chunk(2, 1)
        h = torch.tanh(filtered) * torch.sigmoid(gate)
        h = dense(m, h) if h.ndim == 2 else F.conv1d(h, m.weight[..., None], m.bias)
        return x + h[:, : x.shape[1]], h[:, x.shape[1] :]

    def logits(self, skips):
        """`skips [..., S]` to `[..., V]`."""
        hidden = dense(self.g.hidden, F.relu(skips / math.sqrt(len(self.dilations))))
        return dense(self.g.head, F.relu(hidden))

    def loss(self, player, batch, draw):
        audio, hop, objective = batch["audio"], self.config.generator.hop_length, self.config.objective
        later = (audio != 0).flip(1).cumsum(1).flip(1)
        padded = torch.arange(audio.shape[1]) >= (later > 0).sum(1, keepdim=True) + objective.pause
        starts = (audio.shape[1] - objective.segment) // hop + 1
        first = (draw.uniform(len(audio)) * starts).long()[:, None]
        ids = self.encode(audio, padded).gather(1, first * hop + torch.arange(objective.segment))
        num = objective.segment // hop + 1
        frames = (first + torch.arange(num))[..., None].expand(-1, -1, batch["mel"].shape[-1])
        local = self.local(batch["mel"].gather(1, frames)).chunk(len(self.dilations), 1)
        x, skips = self.embed(F.pad(ids, (1, 0))[:, :-1]).transpose(1, 2), 0
        for i, dilation in enumerate(self.dilations):
            m = self.gates[i]
            gates = F.conv1d(F.pad(x, (dilation, 0)), m.weight, m.bias, dilation=dilation)
            seen = F.interpolate(local[i], objective.segment + 1, mode="linear", align_corners=True)[..., :-1]
            x, skip = self.layer(i, x, gates, seen)
            skips = skips + skip
        return token_loss(self.logits(skips.transpose(1, 2)), ids)

    @torch.inference_mode()
    def sample(self, batch, draw):
        """Sample after sample; each layer keeps as many inputs as its dilation."""
        mel, hop, length = batch["mel"], self.config.generator.hop_length, batch["audio"].shape[1]
        temperature, last = self.config.objective.temperature, mel.shape[1] - 1
        frames = self.local(mel).permute(2, 0, 1).contiguous()  # [T, B, C]
        joined = [torch.cat([m.weight[..., 1], m.weight[..., 0]], 1) for m in self.gates]
        past = [mel.new_zeros(d, len(mel), self.config.generator.features) for d in self.dilations]
        token, ids = torch.zeros(len(mel), dtype=torch.long), []
        for t in range(length):
            first, share = min(t // hop, last), t % hop / hop
            seen = torch.lerp(frames[first], frames[min(first + 1, last)], share).chunk(len(past), 1)
            x, skips = self.embed(token), 0
            for i, m in enumerate(self.gates):
                at = t % len(past[i])
                gates = F.linear(torch.cat([x, past[i][at]], 1), joined[i], m.bias)
                past[i][at] = x
                x, skip = self.layer(i, x, gates, seen[i])
                skips = skips + skip
            logits = self.logits(skips)
            logits[:, 0] = LOWEST
            token = (logits / temperature).softmax(-1).multinomial(1)[:, 0] if temperature else logits.argmax(-1)
            ids.append(token)
        compressed = 2 * (torch.stack(ids, 1) - 1) / MU - 1
        return compressed.sign() * torch.expm1(compressed.abs() * math.log1p(MU)) / MU


class Tacotron(Peer):
    """Characters to frames, by teacher forcing: an attention LSTM, location-sensitive attention, a decoder LSTM."""

    def __init__(self, nets, config):
        super().__init__(nets, config)
        n_fft, self.hop, n_mels = features.frame_sizes(RATE, n_mels=80)
        self.register_buffer("window", torch.hann_window(n_fft))
        self.register_buffer("filters", torch.tensor(features.mel_filters(RATE, n_fft, n_mels, 0.0, None)))
        nets["generator"].conditioner.encoders_text.Recurrent_0.batch_first = True
        self.c, self.dropped = nets["generator"].generator.cell, config.objective.get("dropout", 0.5)

    def frames(self, wave):
        """Log-mel frames `[B, T, M]` in [-1, 1] between -80 and 30 dB; T is a multiple of 8."""
        wave = F.pad(wave, (0, (-(1 + wave.shape[1] // self.hop) % 8) * self.hop - wave.shape[1] % self.hop))
        spectrum = torch.stft(
            wave, len(self.window), self.hop, window=self.window, pad_mode="constant", return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2) @ self.filters.T
        return (2 * (10 * torch.log10(power.clamp(min=features.AMIN)) + 80) / 110 - 1).clamp(-1, 1)

    def text(self, ids, drop):
        m, present = self.nets["generator"].conditioner, ids != 0
        e, keep = m.encoders_text, present[..., None]
        x = F.embedding(ids, e.Embed_0.weight)
        for i in range(3):
            x = conv(getattr(e, f"Conv_{i}"), (x * keep).transpose(1, 2)).transpose(1, 2)
            x = F.dropout(F.relu(layer_norm(getattr(e, f"LayerNorm_{i}"), x)), drop)
        packed = nn.utils.rnn.pack_padded_sequence(x, present.sum(1), batch_first=True, enforce_sorted=False)
        x, _ = nn.utils.rnn.pad_packed_sequence(e.Recurrent_0(packed)[0], batch_first=True, total_length=ids.shape[1])
        values, mask, _ = concatenated(m.fusion, {"text": (x, present)})
        return values, mask

    def step(self, state, hidden, values, keys, mask):
        c, (attention, decoder, context, weights, total) = self.c, state
        attention = c.attention_lstm(torch.cat([hidden, context], 1), attention)
        location = conv(c.location, torch.stack([weights, total], 1)).transpose(1, 2)
        match = keys + F.linear(attention[0], c.query.weight)[:, None] + F.linear(location, c.location_key.weight)
        energy = F.linear(torch.tanh(match), c.energy.weight)[..., 0]
        weights = energy.masked_fill(~mask, torch.finfo(torch.float32).min).softmax(-1)
        context = torch.bmm(weights[:, None], values)[:, 0]
        decoder = c.decoder_lstm(torch.cat([attention[0], context], 1), decoder)
        return (attention, decoder, context, weights, total + weights), torch.cat([decoder[0], context], 1)

    def loss(self, player, batch, draw):
        g, r = self.nets["generator"].generator, self.config.generator.reduction
        real = self.frames(batch["audio"])
        size, num = len(real), real.shape[1] // r
        values, mask = self.text(batch["text"], self.config.encoders.text.dropout if draw.dropout else 0.0)
        keys = F.linear(values, g.key.weight)
        chosen = draw.uniform(size, num * 2 * len(self.c.prenet0.weight)).view(size, num, 2, -1)
        keep = (chosen >= self.dropped) / (1 - self.dropped)
        before = F.pad(real[:, r - 1 :: r], (0, 0, 1, 0), value=SILENCE)[:, :-1]
        hidden = F.relu(dense(self.c.prenet0, before)) * keep[:, :, 0]  # of all steps: the frames are known
        hidden = F.relu(dense(self.c.prenet1, hidden)) * keep[:, :, 1]
        zeros, nowhere = real.new_zeros(size, self.c.query.weight.shape[1]), real.new_zeros(mask.shape)
        state = ((zeros, zeros), (zeros, zeros), real.new_zeros(size, values.shape[-1]), nowhere, nowhere)
        outputs, weights = [], []
        for t in range(num):
            state, output = self.step(state, hidden[:, t], values, keys, mask)
            outputs.append(output)
            weights.append(state[3])
        outputs, weights = torch.stack(outputs, 1), torch.stack(weights, 1)
        drawn = torch.tanh(dense(self.c.frames, outputs).view(real.shape))
        stop, change = dense(self.c.stop, outputs)[..., 0], drawn.transpose(1, 2)
        for i in range(3):
            change = conv(getattr(g, f"postnet_{i}"), change)
            change = torch.tanh(change) if i < 2 else change
        refined = drawn + change.transpose(1, 2)
        places = torch.arange(1, real.shape[1] + 1)
        length = torch.where((real > SILENCE + AUDIBLE).any(-1), places, 1).amax(1)
        steps, at = (length + r - 1) // r, torch.arange(num)
        counted = at < steps[:, None]
        error = ((drawn - real).abs() + (refined - real).abs()).mean(-1) / 2
        error = mean(error, counted.repeat_interleave(r, 1))
        stopping = at < steps[:, None] + STOPPED
        ended = (at >= steps[:, None] - 1).float()
        stops = mean(F.binary_cross_entropy_with_logits(stop, ended, reduction="none"), stopping)
        diagonal = (torch.arange(mask.shape[1]) / mask.sum(1, keepdim=True))[:, None] - (at / steps[:, None])[..., None]
        far = 1 - torch.exp(-diagonal.square() / (2 * 0.3**2))
        return error + 0.1 * stops + mean((weights * far).sum(-1), counted)


def mean(values, mask):
    """The mean of `values` where `mask` is True."""
    return (values * mask).sum() / mask.sum()
