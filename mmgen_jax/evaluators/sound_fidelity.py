"""Sounds beside the true sounds of the same examples: vocoders, dubbing, reconstructions.

The control `shuffled` is the true sound of another example: the metrics of an unrelated sound of the data. The baseline
`griffin_lim` is the true sound's own mel spectrogram, inverted without training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mmgen_jax.config.ranges import Amount, Bands
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import paired, sound
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.representations import log_mel

BETTER = {
    "mel_cepstral_distortion": "lower",
    "warped_cepstral_distortion": "lower",
    "log_spectral_distance": "lower",
    "warped_mel_distance": "lower",
    "envelope_correlation": "higher",
    "f0_correlation": "higher",
    "voicing_agreement": "higher",
}
CHUNK = 32  # sounds that Griffin-Lim inverts at a time


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Distances of `measures/sound.py` between a sample and the true sound, mean over examples.

    Args:
      target: the sound that the model draws.
      from_target: measure reconstructions of the target (`sampler.reconstruct`) instead of samples.
      n_mels: mel bands of the baseline `griffin_lim`; 0 leaves the baseline out.
      sample_rate: of the target, in Hz.
      num_examples: at most this many examples of each split, at least 2.
      splits: splits to evaluate.
    """

    target: str
    sample_rate: Amount
    from_target: bool = False
    n_mels: Bands = 80
    num_examples: Amount = 200
    splits: tuple[str, ...] = ("test",)

    @property
    def ability(self) -> str:
        return "reconstruct" if self.from_target else "sample"

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.SOUND, modalities)
        if not self.from_target:
            needs.conditions(conditions, "; for a model that reconstructs its target, set from_target=true")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{metric: {"value", "n", "interval", "baselines", "better", "unit"}}` for the metrics of `BETTER`.

        A pair of sounds without enough voiced frames has no F0 correlation; `n` of this metric counts the examples
        whose pairs (with the sample, and with the sound of each baseline) all have one.

        Raises:
          InputError: fewer than 2 examples.
        """
        predict = sampler.reconstruct if self.from_target else sampler
        samples, true = collect(predict, batches, self.target, (self.target,), self.num_examples)
        real = true[self.target]
        if bad := int((~np.isfinite(samples).all(-1)).sum()):
            raise InputError(f"sound_fidelity: expected finite sounds, got {bad} of {len(samples)} that are not")
        if len(real) < 2:
            raise InputError(f"sound_fidelity: expected at least 2 examples, got {len(real)}; raise num_examples")
        others = {"shuffled": np.roll(real, 1, axis=0)}
        if self.n_mels:
            others["griffin_lim"] = griffin_lim(real, self.sample_rate, self.n_mels)
        measured = self._measured(samples, real)
        beside = {name: self._measured(sounds, real) for name, sounds in others.items()}
        return {metric: _entry(metric, measured, beside) for metric in BETTER}

    def _measured(self, sounds: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
        arguments = sounds, true, self.sample_rate
        f0, voicing = sound.pitch_agreement(*arguments)
        return {
            "mel_cepstral_distortion": sound.mel_cepstral_distortion(*arguments),
            "warped_cepstral_distortion": sound.mel_cepstral_distortion(*arguments, warp=True),
            "log_spectral_distance": sound.log_spectral_distance(*arguments),
            "warped_mel_distance": sound.warped_mel_distance(*arguments),
            "envelope_correlation": sound.envelope_correlation(*arguments),
            "f0_correlation": f0,
            "voicing_agreement": voicing,
        }


def griffin_lim(sounds: np.ndarray, sample_rate: int, n_mels: int) -> np.ndarray:
    """Sounds `[N, S]` encoded and decoded by the representation `log_mel`."""
    modality = Modality("audio", sounds.shape[1:], sample_rate=sample_rate)
    representation = log_mel.Representation(modality=modality, n_mels=n_mels)
    invert = jax.jit(lambda x: representation.decode({}, {}, representation.encode({}, {}, x)))
    parts = []
    for start in range(0, len(sounds), CHUNK):
        rows = sounds[start : start + CHUNK]
        whole = np.pad(rows, ((0, min(CHUNK, len(sounds)) - len(rows)), (0, 0)))  # one shape, compiled once
        parts.append(np.asarray(invert(whole))[: len(rows)])
    return np.concatenate(parts)


def _entry(metric: str, measured, beside) -> dict[str, Any]:
    """The entry of one metric, over the examples for which the model and every baseline have a value."""
    values = np.stack([measured[metric], *(other[metric] for other in beside.values())])
    kept = values[:, np.isfinite(values).all(0)]
    about = {"better": BETTER[metric], "unit": "dB" if BETTER[metric] == "lower" else ""}
    if not kept.size:
        others = {name: {"value": _mean(other[metric])} for name, other in beside.items()}
        return {"value": None, "n": 0, "why": "too few voiced frames in every example", "baselines": others, **about}
    return paired.entry(kept[0], dict(zip(beside, kept[1:]))) | about


def _mean(values: np.ndarray) -> float | None:
    """Mean of the values that are finite; None without any."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
