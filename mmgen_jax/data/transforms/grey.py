"""A picture without its colours: the luma of BT.601, `0.299 R + 0.587 G + 0.114 B`."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.data.transforms.pictures import like, picture
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.picture import LUMA


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to `[H, W, 1]`, in [-1, 1]."""

    def modality(self, of: Modality) -> Modality:
        height, width, _ = picture("grey", of)
        return like(of, (height, width, 1))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x if x.shape[-1] == 1 else np.clip(x @ LUMA, -1, 1).astype(np.float32)[..., None]
