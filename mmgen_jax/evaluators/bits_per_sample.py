"""Bits that a model needs for each sample of a sound, as codes of a companded amplitude."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from mmgen_jax.config.ranges import Amount, Count
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.objectives.parts.masks import is_padding
from mmgen_jax.representations import mu_law

UNIFORM = math.log2(mu_law.MU + 1)


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The negative log-likelihood of the codes of `mu_law`, in bits for each sample that counts.

    Args:
      target: the sound.
      pause: as `objective.pause`: which samples at the end of a sound count. None: all.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    pause: Count | None = None
    num_examples: Amount = 200
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "elbo"

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.SOUND, modalities)

    def check_model(self, objective: Any) -> None:
        """Raises ConfigError for other codes than those of `mu_law`, or where the model counts other samples."""
        if not isinstance(objective.code, mu_law.Representation):
            raise ConfigError(
                "bits_per_sample: counts the bits of the codes of representation 'mu_law'; use `likelihood` for others"
            )
        if objective.pause != self.pause:
            raise ConfigError(f"pause: expected that of the objective, {objective.pause}, got {self.pause}")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"bits": {"value", "n", "interval", "samples", "controls", "better"}}`.

        The value is the sum of bits over the sum of samples, of all examples. The controls know nothing of the model:
        `uniform` is 8 bits, `marginal` the entropy of the codes' frequencies in the same sounds: the bits of the best
        model of independent samples.
        """
        nats, true = collect(
            lambda batch: {self.target: sampler.elbo(batch)}, batches, self.target, (self.target,), self.num_examples
        )
        sounds = true[self.target]
        counted = (
            np.ones(sounds.shape, bool)
            if self.pause is None
            else ~np.asarray(is_padding(jnp.asarray(sounds), self.pause))
        )
        bits, samples = -nats.astype(np.float64) / math.log(2), counted.sum(1)
        rate = lambda rows: {"bits": float(bits[rows].sum() / samples[rows].sum())}  # noqa: E731
        value = rate(np.arange(len(bits)))
        entry = {
            **value,
            "n": len(bits),
            **intervals.of_corpus(rate, value, len(bits), within=(0, np.inf))["bits"],
            "samples": int(samples.sum()),
            "controls": {"uniform": UNIFORM, "marginal": _entropy(sounds[counted])},
            "better": "lower",
        }
        return {"bits": {"value": entry.pop("bits")} | entry}


def _entropy(samples: np.ndarray) -> float:
    """Entropy in bits of the codes of samples `[N]`."""
    modality = Modality("audio", samples.shape, sample_rate=1)
    codes = np.asarray(mu_law.Representation(modality=modality).encode({}, {}, jnp.asarray(samples[None])))[0]
    shares = np.bincount(codes, minlength=mu_law.MU + 1) / len(codes)
    return float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())
