"""Which axes of a grid are halved, and at which stage: one rule for whatever encodes a grid and whatever decodes it.

The axes of a sequence or an image, and the sides of a clip's pictures, are halved together at every stage. The time
axis of a clip goes with them, from the finest grid on, as long as its frames are an even number and at least
`SMALLEST` of them remain: in three stages `8 x 32 x 32` becomes `4 x 16 x 16`, `4 x 8 x 8` and `4 x 4 x 4`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmgen_jax.errors import ConfigError

SMALLEST = 4

Strides = tuple[int, ...]  # one per axis of a grid, each 1 or 2


def check_rank(where: str, grid: Sequence[int]) -> None:
    """Raises ConfigError unless it is the grid of a sequence, an image or a clip."""
    if not 1 <= len(grid) <= 3:
        raise ConfigError(
            f"{where}: works on [T, C], [H, W, C] or [T, H, W, C], got a grid of {len(grid)} axes {tuple(grid)}"
        )


def sides(grid: Sequence[int]) -> tuple[int, ...]:
    """The axes that every stage halves: all of them, but a clip's time."""
    return tuple(grid[-2:])


def num_halvings(grid: Sequence[int]) -> int:
    """How often the sides are halved until one is odd or would be shorter than `SMALLEST`: 2 for 28 x 28."""
    return min(map(_halvings, sides(grid)))


def stage_strides(grid: Sequence[int], num_stages: int) -> list[Strides]:
    """The strides of each stage, the finest grid's first."""
    if len(grid) < 3:
        return [(2,) * len(grid)] * num_stages
    time = _halvings(grid[0])
    return [(2 if stage < time else 1, 2, 2) for stage in range(num_stages)]


def coarse_grid(grid: Sequence[int], strides: Sequence[Strides]) -> tuple[int, ...]:
    """What the stages leave of a grid, each side rounded up."""
    for stage in strides:
        grid = tuple(-(-size // stride) for size, stride in zip(grid, stage, strict=True))
    return tuple(grid)


def kernel_sizes(strides: Strides) -> tuple[int, ...]:
    """4 where an axis is halved or doubled, so that kernels overlap evenly (Odena et al., 2016), else 3."""
    return tuple(4 if stride == 2 else 3 for stride in strides)


def _halvings(size: int) -> int:
    count = 0
    while size % 2 == 0 and size >= 2 * SMALLEST:
        size, count = size // 2, count + 1
    return count
