"""How near a picture or clip is to the true one: PSNR, SSIM and squared error, beside those of a constant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import jax
import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect

SMALLEST_MSE = 1e-10  # PSNR of an exact copy is infinite, which no mean survives: it counts as 100 dB


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Means over examples of what `measure` gives, for samples and for the best constant picture.

    Args:
      target: an image or video modality.
      from_target: whether the model sees the target (an autoencoder: `sample_fn.reconstruct`), or draws it from the
        other modalities (translation: `sample_fn`).
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    target: str
    from_target: bool = False
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"psnr" (dB), "ssim", "mse": {"value", "n", "interval", "baseline", "preprocessing"}}`.

        `baseline` is the same metric for the mean picture of the same examples, the constant of least squared error.
        """
        predict = sample_fn.reconstruct if self.from_target else sample_fn
        samples, true = collect(predict, batches, self.target, (self.target,), self.num_examples)
        real = true[self.target]
        measured = measure(samples, real)
        constant = measure(np.broadcast_to(real.mean(0, dtype=np.float64).astype(np.float32), real.shape), real)
        return {
            name: {
                "value": float(values.mean()),
                "n": len(values),
                "interval": intervals.of_mean(values),
                "baseline": float(constant[name].mean()),
                "preprocessing": "clipped to [-1, 1], then [0, 1]; mean of per-example values",
            }
            for name, values in measured.items()
        }


def measure(samples: np.ndarray, real: np.ndarray, batch_size: int = 100) -> dict[str, np.ndarray]:
    """Per example `[N] float64` of images `[N, H, W, C]` or videos `[N, T, H, W, C]` in [-1, 1], measured in [0, 1].

    mse   mean squared error
    psnr  -10 log10(mse), of the whole picture or clip, at most 100 dB
    ssim  Wang et al. 2004, Gaussian window of 11 px, a mean over frames and channels; left out below 11 px

    Raises:
      InputError: the two differ in shape, or are neither images nor videos.
    """
    if samples.shape != real.shape or real.ndim not in (4, 5):
        raise InputError(f"reconstruction: expected pictures or clips of one shape, got {samples.shape}, {real.shape}")
    samples, real = (np.clip(x, -1, 1) / 2 + 0.5 for x in (samples, real))
    axes = tuple(range(1, real.ndim))
    mse = np.square(samples - real, dtype=np.float64).mean(axes)
    values = {"psnr": -10 * np.log10(np.maximum(mse, SMALLEST_MSE)), "mse": mse}
    if min(real.shape[-3:-1]) >= 11:
        frames = [x.reshape(-1, *x.shape[-3:]) for x in (samples, real)]
        blocks = [_ssim(*(x[i : i + batch_size] for x in frames)) for i in range(0, len(frames[0]), batch_size)]
        values["ssim"] = np.concatenate(blocks).astype(np.float64).reshape(len(real), -1).mean(1)
    return values


@jax.jit
def _ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    import dm_pix

    return cast(jax.Array, dm_pix.ssim(a, b))
