"""Distances between two sets of feature vectors, in float64; pure functions of NumPy arrays `[N, D]` and `[M, D]`."""

from __future__ import annotations

import numpy as np

from mmgen_jax.errors import InputError

ROWS = 1000  # of a distance matrix that are in memory at once


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two sets (Fréchet 1957; Heusel et al. 2017, eq. 6).

        |mean_a - mean_b|² + tr(cov_a + cov_b - 2 (cov_a cov_b)^½)

    Covariances are unbiased (N - 1). With finite N it is biased upwards: compare equal N only.
    """
    return _frechet(*_fit(a), *_fit(b))


def frechet_gaussians(mean_a, covariance_a, mean_b, covariance_b) -> float:
    """`frechet_distance` of two Gaussians, whose covariances may be singular."""
    return _frechet(mean_a, _factor(covariance_a), mean_b, _factor(covariance_b))


def _frechet(mean_a, factor_a, mean_b, factor_b) -> float:
    """With cov = factorᵀ factor, tr (cov_a cov_b)^½ is the sum of the singular values of factor_a factor_bᵀ.

    So no matrix root is taken, and no root of a rounding error where a covariance is singular.
    """
    cross = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(factor_a**2) + np.sum(factor_b**2) - 2 * cross
    return float(max(distance, 0.0))


def _fit(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[D]` and factor `[min(N, D), D]` of the covariance."""
    if len(features) < 2:
        raise InputError(f"frechet_distance: expected at least 2 examples to fit a Gaussian to, got {len(features)}")
    features = features.astype(np.float64)
    mean = features.mean(0)
    factor = np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="r")
    return mean, factor  # pyright: ignore[reportReturnType] NumPy's stubs give the type of the other modes


def _factor(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    rounding = values.max() * len(values) * np.finfo(np.float64).eps
    return (vectors * np.sqrt(np.where(values > rounding, values, 0))).T


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subset_size: int = 1000, num_subsets: int = 50, seed: int = 0
) -> tuple[float, float]:
    """Unbiased squared MMD with the kernel (x·y / D + 1)³ (Bińkowski et al. 2018, the kernel inception distance).

    The mean over random subsets of both sets, and the standard deviation over the subsets. May be slightly negative.
    """
    rng = np.random.default_rng(seed)
    size = min(subset_size, len(a), len(b))
    values = []
    for _ in range(num_subsets):
        x, y = (f[rng.choice(len(f), size, replace=False)].astype(np.float64) for f in (a, b))
        values.append(squared_mmd(x, y))
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate (Gretton et al. 2012, eq. 3) with the cubic kernel, for sets of equal size."""
    n = len(x)
    xx, yy, xy = (_cubic(p, q) for p, q in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
    return float(within - 2 * xy.mean())


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kernel = x @ y.T / x.shape[1] + 1
    return kernel * kernel * kernel  # several times faster than ** 3


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Improved precision and recall (Kynkäänniemi et al. 2019), as who is inside: `[M] bool` and `[N] bool`.

    A generated example counts for precision where it is within the distance of some real example to that example's
    k-th nearest other real one; recall swaps the two sets. The means of the two arrays are the two numbers.
    """
    return _inside(real, generated, k), _inside(generated, real, k)


def _inside(support: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    support, queries = support.astype(np.float64), queries.astype(np.float64)
    # Column 0 of the sorted distances of a point to its own set is the point itself.
    radii = np.concatenate([np.partition(block, k, axis=1)[:, k] for block in _squared_distances(support, support)])
    return np.concatenate([(block <= radii).any(axis=1) for block in _squared_distances(queries, support)])


def _squared_distances(x: np.ndarray, y: np.ndarray):
    """Blocks `[ROWS, M]` of the squared distances between the rows of two sets."""
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        distances = (block**2).sum(1)[:, None] + (y**2).sum(1) - 2 * block @ y.T
        yield np.maximum(distances, 0)
