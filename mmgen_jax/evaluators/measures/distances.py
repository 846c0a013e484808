"""Distances between two sets of feature vectors, in float64; pure functions of NumPy arrays `[N, D]` and `[M, D]`."""

from __future__ import annotations

import numpy as np

from mmgen_jax.errors import InputError

ROWS = 1000  # rows of a distance matrix in memory at once


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets `[N, D]`, `[M, D]` (Fréchet 1957; Heusel et al. 2017, eq. 6).

    The squared 2-Wasserstein distance of the two Gaussians fitted to the sets:

        |mean_a - mean_b|² + tr(cov_a + cov_b - 2 (cov_a cov_b)^½)

    Covariances are the unbiased estimates (division by N - 1). The distance is biased upwards for finite N: compare
    numbers of equal N only.

    Raises:
      InputError: fewer than 2 examples in a set.
    """
    return _frechet(*_fit(a), *_fit(b))


def frechet_gaussians(mean_a, covariance_a, mean_b, covariance_b) -> float:
    """Fréchet distance of two Gaussians with means `[D]` and covariances `[D, D]`, which may be singular."""
    return _frechet(mean_a, _factor(covariance_a), mean_b, _factor(covariance_b))


def frechet_of_subset(a: np.ndarray, b: np.ndarray, indices: np.ndarray) -> float:
    """`frechet_distance` of the rows `indices` of two float64 sets, by eigenvalues of products of covariances.

    It takes a tenth of the time of `frechet_distance`. Where covariances are singular, only half of the digits are
    right, which is enough for intervals.
    """
    (mean_a, cov_a), (mean_b, cov_b) = ((x[indices].mean(0), np.cov(x[indices], rowvar=False)) for x in (a, b))
    factor = _factor(cov_a)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(factor @ cov_b @ factor.T), 0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _frechet(mean_a, factor_a, mean_b, factor_b) -> float:
    """The distance from means `[D]` and factors `[K, D]`, where covariance = factorᵀ factor.

    tr (cov_a cov_b)^½ is the sum of the singular values of factor_a factor_bᵀ. So no square root of a matrix is needed,
    which would be inaccurate for singular covariances.
    """
    cross = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(factor_a**2) + np.sum(factor_b**2) - 2 * cross
    return float(max(distance, 0.0))


def _fit(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[D]`, and factor `[min(N, D), D]` of the covariance, of `features [N, D]`."""
    features = checked("frechet_distance", features, 2)
    mean = features.mean(0)
    factor = np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="r")
    return mean, factor  # pyright: ignore[reportReturnType] NumPy's stubs give the type of the other modes


def _factor(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    rounding = values.max() * len(values) * np.finfo(np.float64).eps
    return (vectors * np.sqrt(np.where(values > rounding, values, 0))).T


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subset_size: int = 1000, num_subsets: int = 50, seed: int = 0
) -> np.ndarray:
    """Unbiased squared MMD with the kernel (x·y / D + 1)³ (Bińkowski et al. 2018, the kernel inception distance).

    Returns the values `[num_subsets]` of random subsets, each of at most `subset_size` examples of either set, and of
    at most half of the smaller set: subsets that are the whole set would all be the same. The distance is the mean of
    the values; it may be slightly negative, because the estimate is unbiased.

    Raises:
      InputError: fewer than 4 examples in a set, or features that are not finite.
    """
    a, b = (checked("kernel_distance", features, 4) for features in (a, b))
    rng = np.random.default_rng(seed)
    size = kernel_subset(len(a), len(b), subset_size)
    draws = (
        [features[rng.choice(len(features), size, replace=False)] for features in (a, b)] for _ in range(num_subsets)
    )
    return np.array([squared_mmd(*draw) for draw in draws])


def kernel_subset(num_a: int, num_b: int, subset_size: int = 1000) -> int:
    """How many examples of each set are in a subset of `kernel_distance`."""
    return min(subset_size, num_a // 2, num_b // 2)


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate of the squared MMD (Gretton et al. 2012, eq. 3) with the cubic kernel, of two `[n, D]`."""
    n = len(x)
    xx, yy, xy = (_cubic(p, q) for p, q in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
    return float(within - 2 * xy.mean())


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kernel = x @ y.T / x.shape[1] + 1
    return kernel * kernel * kernel  # several times faster than ** 3


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Improved precision and recall (Kynkäänniemi et al. 2019) of `real [N, D]` and `generated [M, D]`, per example.

    Returns `[M] bool`, whether each generated example is on the manifold of the real ones, and `[N] bool`, whether each
    real example is on the manifold of the generated ones. Precision and recall are the means of the two arrays. The
    manifold of a set is the union of balls around its examples; the radius is the distance to the k-th nearest other
    example of the set.

    Raises:
      InputError: fewer than k + 1 examples in a set, or features that are not finite.
    """
    real, generated = (checked("precision_recall", features, k + 1) for features in (real, generated))
    return _inside(real, generated, k), _inside(generated, real, k)


def density_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Density and coverage (Naeem et al. 2020, eq. 4 and 5) of `real [N, D]` and `generated [M, D]`, per example.

    The ball of a real example is open; its radius is the distance to the k-th nearest other real example.
    Returns `[M] float`, the number of balls that hold each generated example, divided by k; and `[N] bool`, whether the
    ball of each real example holds a generated example. Density and coverage are the means of the two arrays. Where
    both sets are of one distribution, the expected density is 1, and the expected coverage is

        1 - (N - 1) … (N - k) / ((M + N - 1) … (M + N - k))

    Density is above 1 where the generated examples concentrate on places where real examples are dense.

    Raises:
      InputError: fewer than k + 1 real examples or no generated example, or features that are not finite.
    """
    real, generated = checked("density_coverage", real, k + 1), checked("density_coverage", generated, 1)
    radii = _radii(real, k)
    density, covered = [], np.zeros(len(real), bool)
    for block in _squared_distances(generated, real):
        inside = block < radii
        density.append(inside.sum(axis=1) / k)
        covered |= inside.any(axis=0)
    return np.concatenate(density), covered


def _radii(support: np.ndarray, k: int) -> np.ndarray:
    """`[N]`: the squared distance of each point of a set `[N, D]` to its k-th nearest other point."""
    # The nearest point of a point's own set is the point itself, at distance 0; so index k is the k-th other point.
    return np.concatenate([np.partition(block, k, axis=1)[:, k] for block in _squared_distances(support, support)])


def _inside(support: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    radii = _radii(support, k)
    return np.concatenate([(block <= radii).any(axis=1) for block in _squared_distances(queries, support)])


def checked(metric: str, features: np.ndarray, smallest: int) -> np.ndarray:
    """The features in float64. Raises InputError where there are too few, or where values are not finite."""
    if len(features) < smallest:
        raise InputError(f"{metric}: expected at least {smallest} examples in each set, got {len(features)}")
    features = features.astype(np.float64)
    if not (finite := np.isfinite(features).all(axis=1)).all():
        raise InputError(
            f"{metric}: expected finite features, got {np.sum(~finite)} of {len(features)} examples with NaN or "
            f"infinity, the first at {np.argmin(finite)}"
        )
    return features


def _squared_distances(x: np.ndarray, y: np.ndarray):
    """Blocks `[ROWS, M]` of the squared distances between the rows of two sets."""
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        distances = (block**2).sum(1)[:, None] + (y**2).sum(1) - 2 * block @ y.T
        yield np.maximum(distances, 0)
