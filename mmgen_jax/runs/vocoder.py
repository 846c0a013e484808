"""A trained vocoder of another run, which turns log-mel spectrograms into sounds (`config.representation.vocoder`).

A vocoder is a run that draws a sound from its own log-mel spectrogram (`config.derived`) as the only condition:
`configs/vocoder_gan.py`, `vocoder_flow.py`, `vocoder_wavenet.py`. Its networks are built anew for the length of the
sounds to draw; their parameters do not depend on the length.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from mmgen_jax.config.system import System, build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.features import audio
from mmgen_jax.runs import remote, workdir

SEED = 0  # of the noise that a vocoder starts from
SETTINGS = ("sample_rate", "n_fft", "hop_length", "n_mels", "floor", "ceiling")


@dataclasses.dataclass(frozen=True)
class Vocoder:
    """A restored vocoder for sounds of one length.

    Args:
      mel: the modality that the vocoder reads, `[T, n_mels]`.
      params, collections: NumPy arrays.
    """

    system: System
    mel: str
    params: Mapping[str, Any]
    collections: Mapping[str, Any]

    def __call__(self, spectrograms: jax.Array) -> jax.Array:
        """Log-mel spectrograms `[B, T, n_mels]` in [-1, 1] to waveforms `[B, S]` in [-1, 1]."""
        batch = self.system.without_targets({self.mel: spectrograms})
        drawn = self.system.objective.sample(self.params, self.collections, batch, jax.random.key(SEED))
        return drawn[self.system.target]


def check(place: str, wanted: Mapping[str, Any]) -> str:
    """The modality that the vocoder of the workdir `place` reads; only its config is read.

    Args:
      wanted: the `SETTINGS` of the spectrograms.

    Raises:
      ConfigError: no such run, no vocoder, or a vocoder of other spectrograms.
    """
    where = "representation 'log_mel': vocoder"
    try:
        config, modalities = workdir.read_workdir(remote.opened(place))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    target, aligned, derived = config.objective.get("target"), config.get("aligned", ()), config.get("derived", {})
    names = (aligned,) if isinstance(aligned, str) else tuple(aligned)
    mels = [name for name in names if derived.get(name, {}).get("name") == "log_mel" and derived[name].of == target]
    if config.encoders or len(names) != 1 or mels != list(names):
        raise ConfigError(
            f"{where}={place}: expected a run that draws a sound from its log_mel alone (configs/vocoder_gan.py), got "
            f"{target!r} from {', '.join((*config.encoders, *names)) or 'nothing'}"
        )
    fields = {"n_mels": modalities[mels[0]].shape[-1], "floor": -80.0, "ceiling": 30.0} | dict(derived[mels[0]])
    sizes = audio.frame_sizes(*(fields.get(key, 0) for key in SETTINGS[:4]))
    own = {"sample_rate": fields["sample_rate"]} | sizes._asdict() | {key: fields[key] for key in SETTINGS[4:]}
    if other := [key for key in SETTINGS if own[key] != wanted[key]]:
        theirs, ours = (", ".join(f"{key} {values[key]:g}" for key in other) for values in (own, wanted))
        raise ConfigError(
            f"{where}={place}: reads spectrograms of {theirs}, expected {ours}; train a vocoder of these, or "
            "set them in config.representation"
        )
    return mels[0]


def load(place: str, mel: str, modality: Modality, shape: tuple[int, ...]) -> Vocoder:
    """The vocoder of the workdir `place`, for spectrograms of `shape` (T, n_mels) and sounds of `modality`.

    Raises:
      ConfigError, CheckpointError: the workdir has no readable checkpoint.
    """
    config, system, sampler, _ = workdir.restore(place)
    sized = dict(system.modalities) | {system.target: modality, mel: Modality("vector", shape)}
    return Vocoder(build_system(config, sized), mel, *jax.device_get(sampler.variables))
