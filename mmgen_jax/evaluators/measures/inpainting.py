"""Completion of pictures without a model: biharmonic interpolation, and the mean colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from mmgen_jax.errors import InputError


def biharmonic(pictures: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Pictures `[N, H, W, C]` whose holes are filled by the solution u of the biharmonic equation ΔΔu = 0.

    The known pixels stay as they are (float32), and the values in a hole are not read. Δ is the Laplacian of the four
    neighbours; at the border of the picture, the border's pixels are repeated. Filled values are clipped to
    the range of the known values of their channel (Damelin & Hoang 2018, as scikit-image solves it).

    Args:
      holes: `[N, H, W] bool`, True where a pixel is to be filled in. Pictures with the same hole are solved together.

    Raises:
      InputError: a hole that leaves no pixel, or shapes that do not fit.
    """
    grid = _check(pictures, holes)
    operator = _bilaplacian(grid)
    result = pictures.astype(np.float32).reshape(len(pictures), -1, pictures.shape[-1])
    same: dict[bytes, list[int]] = {}
    for i, hole in enumerate(holes):
        same.setdefault(hole.tobytes(), []).append(i)
    for rows in same.values():
        hole = holes[rows[0]].ravel()
        if not hole.any():
            continue
        inside, known = np.flatnonzero(hole), np.flatnonzero(~hole)
        values = result[rows][:, known].astype(np.float64)  # [R, K, C]
        right = -(operator[inside][:, known] @ values.transpose(1, 0, 2).reshape(len(known), -1))
        factors = scipy.sparse.linalg.splu(operator[inside][:, inside].tocsc())
        filled = factors.solve(right).reshape(len(inside), len(rows), -1).transpose(1, 0, 2)
        low, high = (limit(values, axis=1, keepdims=True) for limit in (np.min, np.max))
        result[np.array(rows)[:, None], inside] = np.clip(filled, low, high)
    return result.reshape(pictures.shape)


def mean_colour(pictures: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Pictures `[N, H, W, C]` whose holes `[N, H, W] bool` have the mean colour of the picture's known pixels.

    Raises:
      InputError: as `biharmonic`.
    """
    _check(pictures, holes)
    means = [picture[~hole].mean(0, dtype=np.float64) for picture, hole in zip(pictures, holes)]
    return np.where(holes[..., None], np.asarray(means, np.float32)[:, None, None], pictures)


def _check(pictures: np.ndarray, holes: np.ndarray) -> tuple[int, int]:
    if pictures.ndim != 4 or holes.shape != pictures.shape[:3] or holes.dtype != bool:
        raise InputError(
            f"inpainting: expected pictures [N, H, W, C] and holes [N, H, W] bool, got {pictures.shape} and "
            f"{holes.dtype} {holes.shape}"
        )
    if (full := holes.all((1, 2))).any():
        raise InputError(f"inpainting: the hole of picture {int(full.argmax())} leaves no pixel to start from")
    return holes.shape[1], holes.shape[2]


def _bilaplacian(grid: tuple[int, int]) -> scipy.sparse.csr_array:
    """`[H W, H W]`: ΔΔ of a picture whose border is repeated."""
    rows, columns = (_second_difference(side) for side in grid)
    laplacian = scipy.sparse.kron(rows, scipy.sparse.eye_array(grid[1]))
    laplacian = (laplacian + scipy.sparse.kron(scipy.sparse.eye_array(grid[0]), columns)).tocsr()
    return laplacian @ laplacian


def _second_difference(side: int) -> scipy.sparse.dia_array:
    """`[side, side]`: u[i - 1] - 2 u[i] + u[i + 1], where the ends are repeated."""
    middle = np.full(side, -2.0)
    middle[0] += 1
    middle[-1] += 1
    diagonals: Any = [np.ones(side - 1), middle, np.ones(side - 1)]
    offsets: Any = [-1, 0, 1]
    return scipy.sparse.diags_array(diagonals, offsets=offsets)
