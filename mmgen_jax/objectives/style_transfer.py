"""Style transfer: the content of a photo in the style of another picture (Huang & Belongie, 2017; Gatys et al., 2016).

Two stages. The player `encoder` learns features of photos and styles. Adaptive instance normalisation (AdaIN) gives the
photo's features the statistics of the style's features, and the player `generator` learns to generate a picture from
the result. A new style needs no training. With `optimisation_steps`, `sample` instead optimises the pixels of each
picture, so that the Gram matrices of its features become those of the style.

Departs from Huang & Belongie: the encoder is trained here, as an autoencoder and, with `label`, as a classifier, in
place of a pretrained VGG; each channel of its features is scaled to a mean square of 1; errors are means over a grid
(theirs are sums), the content's relative to the mean square of its features, so the weights are not theirs; the style
loss may also compare Gram matrices; the generator also sees the photo in the style's colours (AdaIN of the pixels), and
its output is added to this photo. Departs from Gatys et al.: Adam in place of L-BFGS, starting from the photo in the
style's colours; each grid's distance is relative to the style's Gram matrix.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.config.ranges import NotNegative, Positive, Share, Steps
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, WHOLE_SUFFIX, Batch
from mmgen_jax.networks.conditioning.conditioner import masked
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import losses, style
from mmgen_jax.objectives.parts.apply import apply, apply_train
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, to_range
from mmgen_jax.training import progress

NEARLY = 0.99  # factor of a colour before the inverse of tanh, which is infinite at 1


class Network(nn.Module):
    """The first stage: the encoder and the scale of its features; decoder and classifier, which only train the encoder.

    Args:
      encoder: with a method `grids`, as `encoders/image/pyramid.py`.
      decoder: `(tokens [B, N, D], None, train) -> [B, H, W, C]`, unbounded.
      num_classes: 0 for no classifier.
      momentum: of the running mean square of each channel.
    """

    encoder: Any
    decoder: nn.Module
    num_classes: int
    momentum: float = 0.99

    def setup(self):
        sizes = enumerate(self.encoder.channels)
        self.mean_squares = [self.variable("feature_stats", f"grid_{i}", jnp.ones, size) for i, size in sizes]
        self.classifier = nn.Dense(self.num_classes) if self.num_classes else None

    def grids(self, pictures: jax.Array) -> list[jax.Array]:
        """The features of pictures `[B, H, W, C]` at every grid, the finest first, with mean squares of about 1."""
        scales = [jax.lax.rsqrt(square.value + style.EPSILON) for square in self.mean_squares]
        return [x.astype(jnp.float32) * scale for x, scale in zip(self.encoder.grids(pictures), scales)]

    def __call__(self, pictures: jax.Array, weights: jax.Array, noise: jax.Array, train: bool = False):
        """`(decoded pictures, unbounded; logits [B, num_classes] or None)`, from pictures with `noise` added.

        `weights [B]`, with mean 1, weight the examples in the running mean squares.
        """
        grids = self.encoder.grids(pictures + noise)
        if train and not self.is_initializing():
            self._observe(jax.lax.stop_gradient(grids), weights[:, None, None, None])
        logits = None if self.classifier is None else self.classifier(jnp.mean(grids[-1], axis=(1, 2)))
        return self.decoder(tokens(grids[-1]), None, train=train), logits

    def _observe(self, grids, weights):
        squares = mapped.mean([jnp.mean(weights * x.astype(jnp.float32) ** 2, axis=(0, 1, 2)) for x in grids])
        for variable, square in zip(self.mean_squares, squares):
            variable.value = self.momentum * variable.value + (1 - self.momentum) * square


def tokens(grid: jax.Array) -> jax.Array:
    """`[B, H, W, C]` as tokens `[B, H W, C]`."""
    return grid.reshape(grid.shape[0], -1, grid.shape[-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """A picture with the content of `photo` and the style of `style`; the target has the shape of the photo.

    An example without a style keeps the photo's style, up to the reconstruction error of encoder and generator.

    Args:
      target_encoder: with a method `grids`, as `encoders/image/pyramid.py`.
      generator: `(tokens [B, N, D], condition, train) -> [B, H, W, C]`, unbounded, from the encoder's last grid; the
        condition has the photo in the style's colours as aligned source `recoloured`.
      photo, style: the modalities of content and style, both among `config.aligned`.
      label: the photos' label, which the encoder learns to classify in addition to reconstruction; "" is none.
      label_weight: weight of the cross-entropy in nats; the squared error per element has weight 1.
      noise: standard deviation of the noise on the pictures that the encoder learns from, in units of their values.
      style_loss: the statistics that the generator's style loss compares at every grid: `moments` (mean and standard
        deviation of each channel, as Huang & Belongie) or `gram`.
      style_weight: weight of the style loss; the content loss has weight 1.
      smoothness: weight of the mean squared difference of neighbouring pixels (`style.roughness`), for generator and
        optimisation (Johnson et al., 2016). The features of a small encoder hardly change with noise from pixel to
        pixel.
      alpha: strength of the style, from 0 (the photo) to 1.
      optimisation_steps: steps of the optimisation of pixels; with 0, the generator makes the picture.
      optimisation_rate: Adam's learning rate, in units of the pixels' values; it falls to 0 by a cosine.
      optimisation_style_weight: weight of the Gram matrices' distance, multiplied by `alpha`; the content loss has
        weight 1.

    Raises:
      ConfigError: photo or style is not among `config.aligned` or does not fit; an unknown `style_loss` or `label`.
    """

    target_encoder: Any
    generator: nn.Module
    photo: str = "photo"
    style: str = "style"
    label: str = ""
    label_weight: NotNegative = 0.1
    noise: NotNegative = 0.1
    style_loss: str = "moments"
    style_weight: NotNegative = 10.0
    smoothness: NotNegative = 0.0
    alpha: Share = 1.0
    optimisation_steps: Steps = 0
    optimisation_rate: Positive = 0.05
    optimisation_style_weight: NotNegative = 10.0

    sampling: ClassVar[tuple[str, ...]] = (
        "alpha",
        "smoothness",
        "optimisation_steps",
        "optimisation_rate",
        "optimisation_style_weight",
    )
    takes_representation: ClassVar[bool] = False
    own_players: ClassVar[tuple[str, ...]] = ("encoder", "generator")
    generator_form: ClassVar[str] = "tokens"

    def __post_init__(self):
        self.continuous(2)
        if self.style_loss not in style.DISTANCES:
            expected = " or ".join(style.DISTANCES)
            raise ConfigError(f"objective.style_loss: expected {expected}, got {self.style_loss!r}")
        if not hasattr(self.target_encoder, "grids"):
            raise ConfigError(
                "config.target_encoder: style transfer reads features at several grids; use target_encoder.name="
                "'image.pyramid'"
            )
        if self.conditions.encoders or set(self.conditions.aligned) != {self.photo, self.style}:
            raise ConfigError(
                f"config.aligned: style transfer reads its photo and its style and nothing else, expected aligned="
                f"({self.photo!r}, {self.style!r}) and no encoders, got aligned={self.conditions.aligned} and encoders "
                f"{list(self.conditions.encoders)}"
            )
        for name in (self.photo, self.style):
            if (shape := self.modalities[name].shape) != self.modality.shape:
                raise ConfigError(
                    f"objective.{'photo' if name == self.photo else 'style'}: expected pictures like the target "
                    f"{self.target!r}, {list(self.modality.shape)}, got {name!r} with {list(shape)}"
                )
        if self.label and not self.num_classes:
            labels = [name for name, modality in self.modalities.items() if modality.num_classes]
            raise ConfigError(
                f"objective.label: expected a label of the data ({', '.join(labels) or 'it has none'}), got "
                f"{self.label!r}; '' trains the encoder without one"
            )

    @property
    def aligned(self) -> tuple[str, ...]:
        """The photo alone: a style does not lie on the target's grid, and may have another size than the photo."""
        return (self.photo,)

    @property
    def reads_whole(self) -> tuple[str, ...]:
        """The photo: a tile of plain background would get all the contrast of the style (as in the optimisation)."""
        return (self.photo,)

    @property
    def num_classes(self) -> int:
        return self.modalities[self.label].num_classes if self.label in self.modalities else 0

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        return (("encoder", "generator"),)

    @property
    def network(self) -> Network:
        return Network(self.target_encoder, self.generator, self.num_classes)

    def init(self, rng: jax.Array, batch: Batch) -> dict[str, Any]:
        pictures = jnp.zeros((batch_size(batch), *self.modality.shape))
        keys = {"params": rng, "dropout": rng}
        encoder = self.network.init(keys, pictures, jnp.ones(len(pictures)), pictures, train=True)
        last = jax.eval_shape(lambda: self.network.apply(encoder, pictures, method="grids"))[-1]
        generator = self.generator.init(keys, tokens(jnp.zeros(last.shape)), _beside(pictures))
        return {"encoder": encoder, "generator": generator}

    def loss(self, player: str, params, collections, batch: Batch, rng: jax.Array, step=0):
        return (self._encoder_loss if player == "encoder" else self._generator_loss)(params, collections, batch, rng)

    def _encoder_loss(self, params, collections, batch, rng):
        noise_rng, dropout_rng = jax.random.split(rng)
        (photo, photo_mask), (styles, style_mask) = self._read(batch)
        pictures, mask = jnp.concatenate([photo, styles]), jnp.concatenate([photo_mask, style_mask])
        weights, num = _weights(mask), len(photo)
        noise = self.noise * jnp.concatenate(
            [randomness.normal(key, num, photo.shape[1:]) for key in jax.random.split(noise_rng)]
        )
        (output, logits), collections = apply_train(
            self.network, "encoder", params, collections, pictures, weights, noise, rngs={"dropout": dropout_rng}
        )
        error = losses.per_example((to_range(output) - pictures) ** 2) / pictures[0].size
        loss = error = jnp.mean(weights * error)
        metrics = {"error_per_element": error}
        if logits is not None:
            labelled = photo_mask & batch.get(self.label + MASK_SUFFIX, jnp.ones(num, bool))
            cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits[:num], batch[self.label])
            metrics["cross_entropy"] = jnp.mean(_weights(labelled) * cross_entropy)
            loss += self.label_weight * metrics["cross_entropy"]
        return loss, (collections, metrics)

    def _generator_loss(self, params, collections, batch, rng):
        (photo, photo_mask), (styles, style_mask) = self._read(batch)
        weights = _weights(photo_mask & style_mask)
        wanted = self._grids(params, collections, styles)
        mixed = style.adain(self._grids(params, collections, photo)[-1], wanted[-1])
        colours = style.recoloured(photo, styles)
        output, collections = apply_train(
            self.generator, "generator", params, collections, tokens(mixed), _beside(colours), rngs={"dropout": rng}
        )
        pictures = _added(colours, output)
        drawn = self._grids(params, collections, pictures)
        content = jnp.mean(weights * style.content_loss(drawn[-1], mixed))
        distance = jnp.mean(weights * style.style_loss(drawn, wanted, self.style_loss))
        rough = jnp.mean(weights * style.roughness(pictures))
        loss = content + self.style_weight * distance + self.smoothness * rough
        return loss, (collections, {"content": content, "style": distance, "roughness": rough})

    def sample(self, params, collections, batch: Batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        (photo, _), (styles, style_mask) = self._read(batch)
        content, wanted = self._grids(params, collections, photo), self._grids(params, collections, styles)
        alpha = self.alpha * style_mask.astype(jnp.float32)
        share = alpha[:, None, None, None]
        whole = batch.get(self.photo + WHOLE_SUFFIX)
        around = None if whole is None else self._grids(params, collections, whole)[-1]
        colours = share * style.recoloured(photo, styles, whole) + (1 - share) * photo
        if self.optimisation_steps:
            return {self.target: self._optimised(params, collections, colours, content[-1], wanted, alpha)}
        mixed = share * style.adain(content[-1], wanted[-1], around) + (1 - share) * content[-1]
        output = apply(self.generator, "generator", params, collections, tokens(mixed), _beside(colours))
        return {self.target: _added(colours, output)}

    def _optimised(self, params, collections, start, content, wanted, alpha) -> jax.Array:
        """Minimises content and style loss from the pictures `start [B, H, W, C]`, for each picture independently."""
        rate = optax.cosine_decay_schedule(self.optimisation_rate, self.optimisation_steps)
        optimizer = optax.adam(rate)

        def loss(pictures):
            grids = self._grids(params, collections, pictures)
            distance = style.style_loss(grids, wanted, "gram")
            each = style.content_loss(grids[-1], content) + self.optimisation_style_weight * alpha * distance
            return jnp.sum(each + self.smoothness * style.roughness(pictures))

        def step(i, state):
            pictures, moments = state
            updates, moments = optimizer.update(jax.grad(loss)(pictures), moments)
            progress.report(i + 1, self.optimisation_steps)
            pictures = pictures + updates
            return jnp.clip(pictures, -1, 1), moments

        return jax.lax.fori_loop(0, self.optimisation_steps, step, (start, optimizer.init(start)))[0]

    def _read(self, batch: Batch):
        """`(array, mask)` of the photo and of the style; zeros where masked."""
        num = batch_size(batch)
        return [masked(batch, name, self.modalities[name], num) for name in (self.photo, self.style)]

    def _grids(self, params, collections, pictures: jax.Array) -> list[jax.Array]:
        return apply(self.network, "encoder", params, collections, pictures, method="grids")


def _beside(recoloured: jax.Array) -> Condition:
    """A photo in the style's colours as the generator reads it."""
    return Condition(None, None, None, {"recoloured": recoloured})


def _added(colours: jax.Array, output: jax.Array) -> jax.Array:
    """The tanh of the generator's unbounded output plus the inverse tanh of pictures in [-1, 1]."""
    return to_range(jnp.arctanh(NEARLY * colours) + output)


def _weights(mask: jax.Array) -> jax.Array:
    """Weights `[B]` with mean 1 over the global batch, of a mask `[B]`."""
    mask = mask.astype(jnp.float32)
    return mask / jnp.maximum(mapped.mean_over_batch(mask), 1e-6)
