"""Completion of pictures: a fixed list of holes, the same for every model, beside completion without a model.

The baselines, PSNR in the hole in dB, on the 372 test photos of `clothing` at 64 px:

    hole of          16 px   24 px   32 px   strokes (which cover 18.1 % on average)
    biharmonic       22.62   20.95   17.79   20.97
    mean colour      14.06   13.43   12.50   13.25
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Share, TopShare
from mmgen_jax.contracts import Draw
from mmgen_jax.data.transforms import hole as hole_transform
from mmgen_jax.data.transforms import mask as mask_transform
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import fidelity, inpainting, intervals, paired
from mmgen_jax.evaluators.measures.examples import first
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality

ROLE = 0x57A0CE  # keeps the strokes apart from other draws


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Squares in the middle of a picture, and strokes that are drawn for each example by its number.

    The model is asked once for each hole: in the batch, the conditions `photo` and `mask` are replaced by those of the
    hole. All other conditions (a text) stay as they are.

    Args:
      target: the image that the model completes.
      photo: the condition with the known pixels.
      mask: the condition with the hole, of kind `mask`.
      boxes: sides of the squares, as shares of the picture's shorter side: 16, 24 and 32 px of 64.
      strokes: share of the picture that the strokes cover, at least; 0: no strokes.
      label: the modality that holds the true class, for a judge of the completed pictures; "": no judge.
      data: the source that the judge is trained on, as in `config.data`.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      training: how the judge is trained; None: its default.
    """

    target: str
    photo: str = "photo"
    mask: str = "mask"
    boxes: tuple[TopShare, ...] = (0.25, 0.375, 0.5)
    strokes: Share = 0.15
    label: str = ""
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,) if self.label else ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE, modalities)
        if self.label:
            classifier.check(self.data, self.target, self.label)

    def check(self, batch: Mapping[str, Any], conditions: Sequence[str]) -> None:
        """Raises ConfigError where the evaluator cannot measure the model.

        The model has to read a photo of the target's shape and a mask of the target's size, and a hole has to leave
        a part of the picture.
        """
        shape = np.shape(batch[self.target])[1:]
        for field, expected in (("photo", shape), ("mask", (*shape[:2], 1))):
            name = getattr(self, field)
            if name not in conditions:
                raise ConfigError(
                    f"completion.{field}: expected a condition of the model ({', '.join(conditions) or 'none'}), got "
                    f"{name!r}; set the field to the condition's name"
                )
            if (got := np.shape(batch[name])[1:]) != expected:
                raise ConfigError(f"completion.{field}: expected {name!r} of shape {expected}, got {got}")
        if whole := [name for name, hole in self.holes(shape[:2], 1).items() if hole.all()]:
            raise ConfigError(
                f"completion: the hole {whole[0]} is the whole picture of {shape[0]} x {shape[1]} px; lower "
                + ("strokes" if whole[0] == "strokes" else "boxes")
            )

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"psnr_box_16", "ssim_box_16", …, "psnr_strokes", "ssim_strokes": {"value", "n", "interval", "baselines"}}`.

        The number in a name is the side of the hole in px. `psnr_…` is of the hole alone: the mean over examples of
        -10 log10 of the mean squared error in the hole. `ssim_…` is of the whole picture; it is absent for sides below
        11 px. With a `label` also `accuracy_…`, the share of completed pictures whose class the judge recognises, whose
        `reference` is the share of the true pictures. `baselines` has `biharmonic` and `mean_colour`. `covered` is the
        mean share of the picture that the hole covers, `changed_outside` the largest difference of a known pixel from
        the true one, in levels of [0, 255].
        """
        judge = classifier.load(self.data, self.target, self.label, self.training) if self.label else None
        parts = first(batches, (self.target, *self.names), self.num_examples)
        real = np.concatenate([part[self.target] for part in parts])
        labels = np.concatenate([part[self.label] for part in parts]) if judge else None
        entries = {}
        for name, hole in self.holes(real.shape[1:3], len(real)).items():
            drawn = self._draw(sampler, parts, hole)
            completed = {
                "biharmonic": inpainting.biharmonic(real, hole),
                "mean_colour": inpainting.mean_colour(real, hole),
            }
            outside = np.abs(drawn - real)[~hole]
            about = {
                "covered": float(hole.mean()),
                "changed_outside": float(outside.max() * 127.5),
                **fidelity.about("rgb", 0, real.shape[-1]),
            }
            measured = measure(drawn, real, hole)
            others = {baseline: measure(pictures, real, hole) for baseline, pictures in completed.items()}
            for metric, values in measured.items():
                beside = {baseline: other[metric] for baseline, other in others.items()}
                entries[f"{metric}_{name}"] = paired.entry(values, beside) | about
            if judge:
                entries[f"accuracy_{name}"] = _recognised(judge, labels, real, drawn, completed)
        return entries

    def holes(self, grid: tuple[int, int], num: int) -> dict[str, np.ndarray]:
        """`{name: [num, H, W] bool}`: `box_<side in px>` for each of `boxes`, and `strokes`."""
        found = {}
        for share in self.boxes:
            side = max(1, round(share * min(grid)))
            top, left = ((length - side) // 2 for length in grid)
            hole = np.zeros((num, *grid), bool)
            hole[:, top : top + side, left : left + side] = True
            found[f"box_{side}"] = hole
        if self.strokes:
            rngs = (np.random.default_rng([ROLE, number]) for number in range(num))
            found["strokes"] = np.stack([mask_transform.strokes(grid, self.strokes, rng) for rng in rngs])
        return found

    def _draw(self, sampler, parts: Sequence[Mapping[str, np.ndarray]], hole: np.ndarray) -> np.ndarray:
        """The model's pictures `[N, H, W, C]` for one hole `[N, H, W]`."""
        drawn, start = [], 0
        for part in parts:
            real = part[self.target]
            mask = np.where(hole[start : start + len(real)], np.float32(1), np.float32(-1))[..., None]
            photo = hole_transform.Transform()(real, mask, rng=np.random.default_rng(0))  # draws nothing
            present = {name + MASK_SUFFIX: np.ones(len(real), bool) for name in (self.photo, self.mask)}
            asked = {**part, **present, self.photo: photo, self.mask: mask}
            drawn.append(np.asarray(sampler(asked)[self.target]))
            start += len(real)
        return np.concatenate(drawn)


def measure(pictures: np.ndarray, real: np.ndarray, holes: np.ndarray) -> dict[str, np.ndarray]:
    """`psnr` in the hole and `ssim` of the whole picture, each `[N]`.

    Args:
      pictures, real: `[N, H, W, C]` in [-1, 1].
      holes: `[N, H, W] bool`, with at least one pixel each.
    """
    error = np.square(fidelity.unit(pictures) - fidelity.unit(real)).mean(-1)
    values = {"psnr": fidelity.psnr((error * holes).sum((1, 2)) / holes.sum((1, 2)))}
    whole = fidelity.measure(pictures, real)
    return values | ({"ssim": whole["ssim"]} if "ssim" in whole else {})


def _recognised(judge, labels, real: np.ndarray, drawn: np.ndarray, completed: Mapping[str, np.ndarray]):
    """An entry: the share of completed pictures whose class the judge recognises."""
    correct = judge.classify(drawn) == labels
    beside = {name: judge.classify(pictures) == labels for name, pictures in completed.items()}
    return {
        "value": float(correct.mean()),
        "n": len(correct),
        "interval": intervals.wilson(int(correct.sum()), len(correct)),
        "reference": float((judge.classify(real) == labels).mean()),
        "chance": 1 / len(judge.classes),
        "baselines": {
            name: {"value": float(right.mean()), "interval": intervals.wilson(int(right.sum()), len(right))}
            for name, right in beside.items()
        },
        **judge.identity,
    }
