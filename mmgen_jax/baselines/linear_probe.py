"""Multinomial logistic regression on the pixels of an image: the accuracy of a linear classifier."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.baselines.base import BaselineSampler
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError, NotConverged
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.space import is_picture

STRENGTHS = (10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4)  # of the L2 penalty, strongest first
HELD_OUT = 5  # one training example in five is held out to choose the strength
TOLERANCE = 1e-6  # the fit stops where no derivative of the loss is larger; nats per unit of a weight
MAX_STEPS = 20_000
CHUNK = 1024  # examples read at once


class LinearProbe:
    """Predicts a label from the only image condition of a config; fitted when it is first called.

    Pixels are not augmented. The mean training image is subtracted, then all pixels are divided by one standard
    deviation. The L2 strength is the entry of `STRENGTHS` with the best accuracy on a held-out fifth of the
    training examples (drawn by `config.seed`) after a fit on the other four fifths; ties go to the stronger penalty.
    The final weights are fitted to all training examples with the chosen strength. A training example without the image
    or the label (masked) is left out. For prediction, a masked image is replaced by the mean image.

    Raises:
      ConfigError: the target is no label, or the conditions do not hold exactly one image.
    """

    def __init__(self, config, target: str):
        source = open_source(config)
        kinds = {name: modality.kind for name, modality in source.modalities.items()}
        if not source.modalities[target].classes:
            raise ConfigError(f"baseline linear_probe: expected a label as target, got {target} ({kinds[target]})")
        conditions = build_system(config, source.modalities).conditions
        images = [name for name in conditions if is_picture(source.modalities[name].space)]
        if len(images) != 1:
            conditions = ", ".join(f"{name} ({kinds[name]})" for name in conditions) or "none"
            raise ConfigError(f"baseline linear_probe: expected one image among the conditions, got {conditions}")
        self._source, self._seed = source, config.seed
        self._image, self._target = images[0], target
        self._num_classes = source.modalities[target].num_classes

    def predict(self, batch) -> np.ndarray:
        """Class ids `[B] int32`."""
        weights = self._fitted[0]
        return predict(weights, self.embed(batch))

    def embed(self, batch) -> np.ndarray:
        """The standardised pixels that the prediction is made from, `[B, H W C] float32`."""
        _, mean, deviation = self._fitted
        pixels = (_flat(batch[self._image]) - mean) / deviation
        mask = batch.get(self._image + MASK_SUFFIX)
        return pixels if mask is None else np.where(mask[:, None], pixels, 0)

    @functools.cached_property
    def _fitted(self) -> tuple[np.ndarray, np.ndarray, np.float32]:
        """Weights `[D + 1, K]`, and the mean `[D]` and standard deviation that pixels are standardised by."""
        pixels, labels = self._examples()
        mean = pixels.mean(0, dtype=np.float64).astype(np.float32)
        pixels -= mean
        deviation = np.float32(np.sqrt(np.square(pixels, dtype=np.float64).mean())) or np.float32(1)
        pixels /= deviation
        l2 = choose_strength(pixels, labels, self._num_classes, self._seed)
        return fit(pixels, labels, self._num_classes, l2), mean, deviation

    def _examples(self) -> tuple[np.ndarray, np.ndarray]:
        pixels, labels = [], []
        for start in range(0, len(self._source), CHUNK):
            indices = np.arange(start, min(start + CHUNK, len(self._source)))
            batch = self._source.read(indices, np.zeros_like(indices))
            keep = np.ones(len(indices), bool)
            for name in (self._image, self._target):
                keep &= batch.get(name + MASK_SUFFIX, True)
            pixels.append(_flat(batch[self._image])[keep])
            labels.append(batch[self._target][keep])
        if (num := sum(map(len, labels))) < HELD_OUT:
            raise ConfigError(
                f"baseline linear_probe: expected at least {HELD_OUT} training examples with {self._image} and "
                f"{self._target}, got {num}"
            )
        return np.concatenate(pixels), np.concatenate(labels)


def choose_strength(pixels: np.ndarray, labels: np.ndarray, num_classes: int, seed: int) -> float:
    """The L2 strength of `STRENGTHS` with the best accuracy on a held-out fifth of `pixels [N, D]`, `labels [N]`."""
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out, others = np.split(order, [len(labels) // HELD_OUT])
    x, y, weights, accuracies = pixels[others], labels[others], None, []
    for l2 in STRENGTHS:
        weights = fit(x, y, num_classes, l2, weights)
        accuracies.append((predict(weights, pixels[held_out]) == labels[held_out]).mean())
    return STRENGTHS[int(np.argmax(accuracies))]


def fit(
    pixels: np.ndarray, labels: np.ndarray, num_classes: int, l2: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Weights `[D + 1, K]`, the last row being biases, of a logistic regression on `pixels [N, D]`, `labels [N]`.

    Minimises the mean cross-entropy (nats) plus l2 / 2 times the sum of the squared weights; biases are not penalised.
    By L-BFGS in float64, from `start` or from zeros.

    Raises:
      NotConverged: no minimum within `MAX_STEPS`.
    """
    from scipy import optimize

    shape = (pixels.shape[1] + 1, num_classes)
    with jax.enable_x64(True):
        examples = jnp.asarray(pixels, jnp.float64), jnp.asarray(labels)

        def value_and_grad(flat):
            value, gradient = _penalised(flat.reshape(shape), *examples, l2)
            return float(value), np.asarray(gradient).ravel()

        found = optimize.minimize(
            value_and_grad,
            np.zeros(shape).ravel() if start is None else start.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "maxcor": 30, "ftol": 0.0, "gtol": TOLERANCE},
        )
    if not found.success:
        raise NotConverged(f"linear_probe: l2 {l2:g}: no minimum after {found.nit} steps: {found.message}")
    return found.x.reshape(shape)


def predict(weights: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """The most probable class `[N] int32` of each row of `pixels [N, D]`."""
    return np.argmax(pixels @ weights[:-1] + weights[-1], axis=-1).astype(np.int32)


@jax.jit
@jax.value_and_grad
def _penalised(weights, pixels, labels, l2):
    log_p = jax.nn.log_softmax(pixels @ weights[:-1] + weights[-1])
    cross_entropy = -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=1))
    return cross_entropy + l2 / 2 * jnp.sum(weights[:-1] ** 2)


def _flat(images: np.ndarray) -> np.ndarray:
    return np.asarray(images, np.float32).reshape(len(images), -1)


class Baseline(BaselineSampler):
    """A label, by logistic regression on the pixels of the image condition (`LinearProbe`); the pixels are `embed`."""

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._probe = LinearProbe(config, target)

    def __call__(self, batch):
        return {self.target: self._probe.predict(batch)}

    def embed(self, batch):
        return self._probe.embed(batch)
