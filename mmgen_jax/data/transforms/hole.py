"""A picture with a hole: mid-grey where a mask is 1."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.data.transforms.pictures import like, picture
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """A picture `[H, W, C]` and a mask `[H, W, 1]` to `[H, W, C]`; `of=("image", "mask")`.

    Raises:
      ConfigError: in `modality`: there is no mask, or the mask has another size.
    """

    def modality(self, of: Modality, mask: Modality | None = None) -> Modality:
        shape = picture("hole", of)
        if mask is None or mask.shape != (*shape[:2], 1):
            got = "nothing" if mask is None else f"{mask.kind} {mask.shape}"
            raise ConfigError(f"transforms/hole: expected of=(picture, mask) with a mask of {shape[:2]}, got {got}")
        return like(of, shape)

    def __call__(self, x: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.where(mask > 0, np.float32(0), x)
