"""Restored pictures, beside classical restorations of the same degraded pictures.

The baselines, PSNR in dB of the RGB values of the 372 test photos of `clothing` at 64 px:

    half and quarter of the size, antialiased        bicubic 27.86 and 23.18
    noise of 25 levels                               degraded 20.45, total variation 27.41, non-local means 28.63
    blur of 1.5 px, then noise of 2 levels           degraded 24.60, Richardson-Lucy 27.45
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Count, NotNegative
from mmgen_jax.contracts import Draw
from mmgen_jax.data import derived
from mmgen_jax.data.transforms import blur, downsample, noise
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import fidelity, paired, restoration
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality

SHIFTED = "; the small photo's pixels lie half a pixel beside the middle of their cells (downsample.antialiased=False)"
MISSING = "scikit-image is not installed (pip install scikit-image)"


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Metrics of `fidelity.measure` for a model that restores a degraded picture, beside the baselines.

    `noise` and `blur` are the degradation by the pipeline; the baselines know both values, the model does not. The
    degradation decides which baselines are measured:

        degraded          the picture as it is given, where it has the target's size
        bicubic           a smaller picture, enlarged
        richardson_lucy   with `blur`
        non_local_means, total_variation   with `noise` alone; without a value if scikit-image is not installed

    Args:
      target: the image that the model draws.
      photo: the condition with the degraded picture, of the target's size or of a whole part of it.
      noise: standard deviation of the noise, in levels of [0, 255]; the value of `config.derived` if it is one number.
      blur: standard deviation of the Gaussian blur, in px; likewise.
      colour: `rgb`, or `bt601_y`: the luma that papers on super-resolution measure (`fidelity.luma`).
      border: pixels left out at each of the four sides.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      derived: as in `config.derived`; {} where the photo is not derived.
    """

    target: str
    photo: str = "photo"
    noise: NotNegative = 0.0
    blur: NotNegative = 0.0
    colour: fidelity.Colour = "rgb"
    border: Count = 0
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    derived: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE, modalities)

    def check(self, batch: Mapping[str, Any], conditions: Sequence[str]) -> None:
        """Raises ConfigError where the evaluator cannot measure the model.

        The model has to read a photo whose size is the target's divided by a whole number, `noise` and `blur` have to
        be those of `derived`, and `colour` and `border` have to suit the target.
        """
        if self.photo not in conditions:
            raise ConfigError(
                f"restoration.photo: expected a condition of the model ({', '.join(conditions) or 'none'}), got "
                f"{self.photo!r}; set the field to the condition's name"
            )
        scale(np.shape(batch[self.photo]), np.shape(batch[self.target]))
        fidelity.check(np.shape(batch[self.target]), self.colour, self.border)
        for field, sigmas in self._degradations().items():
            expected = sigmas[0] if sigmas else 0.0
            if len(sigmas) < 2 and not isinstance(expected, tuple) and getattr(self, field) != expected:
                raise ConfigError(
                    f"restoration.{field}: expected {expected}, as config.derived degrades {self.photo!r}, got "
                    f"{getattr(self, field)}; set the evaluator's {field} to {expected}"
                )

    def _transforms(self) -> list[Any]:
        """The transforms that derive the photo, the last first; [] for a photo as it is."""
        entries, name, found = derived.build(self.derived), self.photo, []
        while name in entries:
            found.append(entries[name].transform)
            name = entries[name].of[0]
        return found

    def _steps(self) -> list[str]:
        """`noise(sigma=25.0)` and the like, for each transform that derives the photo, the first first."""
        named = [(type(t).__module__.rpartition(".")[2], dataclasses.asdict(t)) for t in reversed(self._transforms())]
        return [f"{name}({', '.join(f'{field}={value}' for field, value in fields.items())})" for name, fields in named]

    def _degradations(self) -> dict[str, list[Any]]:
        """`{"noise", "blur": the sigma of each such transform}`; {} for a photo as it is."""
        kinds = {"noise": noise.Transform, "blur": blur.Transform} if (transforms := self._transforms()) else {}
        return {field: [t.sigma for t in transforms if isinstance(t, cls)] for field, cls in kinds.items()}

    def _shifted(self) -> bool:
        """Whether the pixels of a smaller photo are pixels of the large photo, beside the middle of their cells."""
        small = [t for t in self._transforms() if isinstance(t, downsample.Transform)]
        return any(not t.antialiased and t.factor % 2 == 0 for t in small)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"psnr" (dB), "ssim", "mse", "l1": {"value", "n", "interval", "baselines", "degradation", "colour", …}}`.

        `degradation` has `scale` (the factor between the sides), `noise`, `blur`, and `steps`: the transforms that
        derive the photo, in order, with their fields. Each baseline has `how`: the way it was computed.
        """
        samples, true = collect(sampler, batches, self.target, (self.target, self.photo), self.num_examples)
        real, photo = true[self.target], true[self.photo]
        factor = scale(photo.shape, real.shape)
        pictures, how = self._baselines(photo, real.shape[1:3], factor)
        measured = fidelity.measure(samples, real, self.colour, self.border)
        others = {
            name: restored if isinstance(restored, str) else fidelity.measure(restored, real, self.colour, self.border)
            for name, restored in pictures.items()
        }
        about = {
            "degradation": {"scale": factor, "noise": self.noise, "blur": self.blur, "steps": self._steps()},
            **fidelity.about(self.colour, self.border, real.shape[-1]),
        }
        entries = {}
        for metric, values in measured.items():
            beside = {name: other if isinstance(other, str) else other[metric] for name, other in others.items()}
            entry = paired.entry(values, beside)
            baselines = {name: {**other, "how": how[name]} for name, other in entry["baselines"].items()}
            entries[metric] = entry | {"baselines": baselines} | about
        return entries

    def _baselines(
        self, photo: np.ndarray, size: tuple[int, int], factor: int
    ) -> tuple[dict[str, np.ndarray | str], dict[str, str]]:
        """`{name: pictures [N, H, W, C] in [-1, 1], or the reason for none}` and `{name: how}`."""
        if factor > 1:
            how = {"bicubic": downsample.BICUBIC + SHIFTED * self._shifted()}
            return {"bicubic": np.stack([downsample.bicubic(x, size) for x in photo])}, how
        found: dict[str, np.ndarray | str] = {"degraded": photo}
        how = {"degraded": "as it is"}
        unit = fidelity.unit(photo)
        if self.blur:
            found["richardson_lucy"] = _signed(restoration.richardson_lucy(unit, self.blur))
            how["richardson_lucy"] = f"{restoration.ITERATIONS} iterations, padded"
        elif self.noise:
            library = restoration.library()
            h, weight = f"h {restoration.STRENGTH} sigma", f"weight {restoration.WEIGHT} sigma"
            patches = f"patches of {restoration.PATCH} px, distance {restoration.DISTANCE} px"
            how["non_local_means"] = f"{library or MISSING}: {patches}, {h}"
            how["total_variation"] = f"{library or MISSING}: {weight}"
            for name in ("non_local_means", "total_variation"):
                denoise = getattr(restoration, name)
                found[name] = _signed(denoise(unit, self.noise / 255)) if library else MISSING
        return found, how


def scale(photo: tuple[int, ...], target: tuple[int, ...]) -> int:
    """The factor between the sides of pictures `[N, H / f, W / f, C]` and `[N, H, W, C]`, 1 or more.

    Raises:
      ConfigError: other shapes.
    """
    factor = target[1] // photo[1] if len(photo) == len(target) == 4 and photo[1] else 0
    if not factor or (photo[1] * factor, photo[2] * factor, photo[3]) != target[1:]:
        raise ConfigError(
            "restoration.photo: expected a picture with the channels and the sides of the target "
            f"({list(target[1:])}), or with its sides divided by one whole number, got {list(photo[1:])}"
        )
    return factor


def _signed(x: np.ndarray) -> np.ndarray:
    """[0, 1] to [-1, 1], float32."""
    return (2 * x - 1).astype(np.float32)
