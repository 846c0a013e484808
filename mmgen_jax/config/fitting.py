"""Do the components of a config fit together? Checks of names and forms alone, before a network is built."""

from __future__ import annotations

from collections.abc import Mapping

from mmgen_jax import lookup
from mmgen_jax.config import networks
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import kinds
from mmgen_jax.modalities.modality import Modality

# The possible inputs of a generator, and examples of such generators.
FORMS = {
    "latent": "a latent or aligned sources (conv, temporal, translation, …)",
    "tokens": "tokens of an encoder (grid)",
    "noisy": "a noisy grid and its time (unet, dit)",
    "frames": "the frame before (tacotron)",
    "ids": "ids (transformer, recurrent, wavenet)",
    "invertible": "a target, which it maps to noise and back (waveglow)",
}


def check_encoders(config: Config, reads: Mapping[str, str], modalities: Mapping[str, Modality]) -> None:
    """Raises ConfigError for an encoder whose folder is a kind (`audio.mfcc`) other than that of its modality.

    Args:
      reads: the modality of each encoder.
    """
    known = lookup.available("encoders")
    for name, encoder in config.encoders.items():
        component, modality = encoder.get("name"), modalities[reads[name]]
        kind = str(component).partition(".")[0]
        if component not in known or kind not in kinds.names() or _reads(kind, modality.kind):
            continue
        fitting = [other for other in known if _reads(other.partition(".")[0], modality.kind)]
        raise ConfigError(
            f"config.encoders.{name}: {component!r} reads {kind}, and {reads[name]!r} is of kind {modality.kind!r}; "
            f"choose one of {', '.join(fitting)}"
        )


def _reads(folder: str, kind: str) -> bool:
    """Whether encoders of a folder read a kind: its own, or one that is a special case of it (a mask is an image)."""
    if folder not in kinds.names():
        return False
    own, general = kinds.find(kind), kinds.find(folder)
    return issubclass(own, general) and own.ranks == general.ranks


def check_generator(config: Config) -> None:
    """Raises ConfigError for a generator of another form than the objective calls."""
    if not (generators := networks.groups(config, "generator")):
        return
    wanted = lookup.find("objectives", config.objective.name).generator_form
    for place, fields in generators.items():
        if wanted and (got := form(lookup.find("generators", fields.get("name")), place)) != wanted:
            raise ConfigError(
                f"{place}: objective {config.objective.name!r} calls a generator with {FORMS[wanted]}, and "
                f"{fields.name!r} starts from {FORMS[got]}; choose another {place}.name"
            )


def form(generator: type, place: str = "config.generator") -> str:
    """The form that a generator declares, a key of FORMS; raises ConfigError where there is none."""
    if (declared := getattr(generator, "form", None)) not in FORMS:
        choice = "; ".join(f"{name!r}: {reads}" for name, reads in FORMS.items())
        raise ConfigError(
            f"{place}: expected {generator.__module__}.{generator.__name__} to declare what it starts from, got "
            f"form={declared!r}; add `form = …` to the class, one of {choice}"
        )
    return declared
