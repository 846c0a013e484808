"""The rule for which axes of a grid each stage halves, the same for all encoders and decoders of grids.

Every stage halves the axes of a sequence or an image, and the height and width of a clip. The first stages (from the
finest grid) also halve the time axis of a clip, as long as the number of frames is even and at least `SMALLEST` frames
remain: in three stages `8 x 32 x 32` becomes `4 x 16 x 16`, `4 x 8 x 8` and `4 x 4 x 4`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmgen_jax.errors import ConfigError

SMALLEST = 4

Strides = tuple[int, ...]  # one stride per axis of a grid, each 1 or 2


def check_rank(where: str, grid: Sequence[int]) -> None:
    """Raises ConfigError, with the prefix `where`, unless `grid` is that of a sequence, an image or a clip."""
    if not 1 <= len(grid) <= 3:
        raise ConfigError(
            f"{where}: works on [T, C], [H, W, C] or [T, H, W, C], got a grid of {len(grid)} axes {tuple(grid)}"
        )


def sides(grid: Sequence[int]) -> tuple[int, ...]:
    """The axes that every stage halves: all axes but the time of a clip."""
    return tuple(grid[-2:])


def num_halvings(grid: Sequence[int]) -> int:
    """How often the sides can be halved before a side is odd or would be shorter than `SMALLEST`: 2 for 28 x 28."""
    return min(map(_halvings, sides(grid)))


def stage_strides(grid: Sequence[int], num_stages: int) -> list[Strides]:
    """The strides of each stage, from the finest grid to the coarsest."""
    if len(grid) < 3:
        return [(2,) * len(grid)] * num_stages
    time = _halvings(grid[0])
    return [(2 if stage < time else 1, 2, 2) for stage in range(num_stages)]


def coarse_grid(grid: Sequence[int], strides: Sequence[Strides]) -> tuple[int, ...]:
    """The grid that remains after stages with these strides; each division is rounded up."""
    for stage in strides:
        grid = tuple(-(-size // stride) for size, stride in zip(grid, stage, strict=True))
    return tuple(grid)


def kernel_sizes(strides: Strides) -> tuple[int, ...]:
    """4 for a stride of 2, so that kernels overlap evenly (no checkerboard, Odena et al., 2016); 3 for a stride 1."""
    return tuple(4 if stride == 2 else 3 for stride in strides)


def patch_sizes(where: str, patch_size: int | Strides, shape: Sequence[int], num_grids: int = 1) -> tuple[int, ...]:
    """The patch size of each axis of an input of `shape`, `[B, *grid, C]`.

    Args:
      where: prefix of the errors.
      patch_size: an int applies to all axes but the time of a clip; a tuple has one size for each axis.
      num_grids: number of grids of a network, the finest of which has one cell for each patch.

    Raises:
      ConfigError: the patches, or the grids, do not divide the input, or its grid has another rank.
    """
    grid = shape[1:-1]
    check_rank(where, grid)
    if isinstance(patch_size, int):
        patch = (patch_size,) * len(grid) if len(grid) < 3 else (1, patch_size, patch_size)
    else:
        patch = tuple(patch_size)
    if len(patch) != len(grid):
        raise ConfigError(f"{where}: expected a patch_size for each axis of {list(shape)}, got {patch}")
    factors = [size << (num_grids - 1) for size in sides(patch)]
    if any(side % factor for side, factor in zip(sides(grid), factors)):
        factor = factors[0] if len(set(factors)) == 1 else tuple(factors)
        grids = f" and {num_grids} grids" if num_grids > 1 else ""
        raise ConfigError(
            f"{where}: expected an input [B, *grid, C] with sides that are multiples of {factor} (from patch_size "
            f"{patch_size}{grids}), got {list(shape)}; change patch_size{' or the number of channels' * bool(grids)}"
        )
    if grid[0] % patch[0]:
        raise ConfigError(f"{where}: patch_size: expected a divisor of the {grid[0]} frames, got {patch[0]}")
    return patch


def _halvings(size: int) -> int:
    count = 0
    while size % 2 == 0 and size >= 2 * SMALLEST:
        size, count = size // 2, count + 1
    return count
