"""evaluators/distances.py and intervals.py against closed forms and direct definitions."""

import numpy as np
import pytest

from mmgen_jax.evaluators import distances, intervals

RNG = np.random.default_rng(0)


def covariance(size, rank=None):
    factor = RNG.normal(size=(size, rank or 2 * size))
    return factor @ factor.T / size


def test_frechet_of_one_dimension_is_the_closed_form():
    got = distances.frechet_gaussians(np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[9.0]]))
    assert got == pytest.approx((1 + 2) ** 2 + (2 - 3) ** 2, rel=1e-12)


def test_frechet_of_commuting_covariances_is_the_closed_form():
    basis = np.linalg.qr(RNG.normal(size=(20, 20)))[0]
    a, b = RNG.uniform(0, 4, (2, 20))
    a[:5] = 0  # singular
    mean_a, mean_b = RNG.normal(size=(2, 20))
    got = distances.frechet_gaussians(mean_a, basis * a @ basis.T, mean_b, basis * b @ basis.T)
    assert got == pytest.approx(np.sum((mean_a - mean_b) ** 2) + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2), rel=1e-9)


def test_frechet_of_any_covariances_has_the_trace_of_the_matrix_root():
    import scipy.linalg

    a, b, zero = covariance(12), covariance(12), np.zeros(12)
    cross = np.trace(scipy.linalg.sqrtm(a @ b)).real
    expected = np.trace(a) + np.trace(b) - 2 * cross
    assert distances.frechet_gaussians(zero, a, zero, b) == pytest.approx(expected, rel=1e-9)
    assert distances.frechet_gaussians(zero, b, zero, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_samples_nears_that_of_their_gaussians():
    cov = covariance(4)
    a = RNG.multivariate_normal(np.zeros(4), cov, 40_000).astype(np.float32)
    b = RNG.multivariate_normal(np.ones(4), 4 * cov, 40_000).astype(np.float32)
    assert distances.frechet_distance(a, b) == pytest.approx(4 + np.trace(cov), rel=0.03)
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    low_rank = RNG.normal(size=(50, 3)) @ RNG.normal(size=(3, 30))  # fewer directions than dimensions
    assert distances.frechet_distance(low_rank, low_rank) == pytest.approx(0, abs=1e-6)
    assert distances.frechet_distance(low_rank, low_rank + 1) == pytest.approx(30, rel=1e-9)


def test_squared_mmd_is_its_definition():
    x, y = RNG.normal(size=(2, 7, 5))

    def kernel(p, q):
        return (p @ q / 5 + 1) ** 3

    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    within = np.mean([kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs])
    across = np.mean([kernel(p, q) for p in x for q in y])
    assert distances.squared_mmd(x, y) == pytest.approx(within - 2 * across, rel=1e-10)


def test_kernel_distance_is_unbiased_and_sees_a_shift():
    a, b = RNG.normal(size=(2, 3000, 8))
    value, deviation = distances.kernel_distance(a, b, subset_size=100)
    assert abs(value) < deviation
    assert distances.kernel_distance(a, b + 0.5, subset_size=100)[0] > 5 * deviation
    assert distances.kernel_distance(a, b, 100, seed=1) == distances.kernel_distance(a, b, 100, seed=1)


def test_precision_and_recall_tell_a_collapse_from_noise():
    real = RNG.normal(size=(2500, 4))  # more than one block of rows
    same, narrow, far = RNG.normal(size=(1500, 4)), 0.1 * RNG.normal(size=(1500, 4)), 9 + RNG.normal(size=(1500, 4))
    shares = [tuple(x.mean() for x in distances.precision_recall(real, fake)) for fake in (same, narrow, far)]
    assert shares[0] > (0.8, 0.8) and shares[0][1] > 0.8
    assert shares[1][0] > 0.95 and shares[1][1] < 0.05
    assert shares[2] == (0, 0)


def test_precision_is_its_definition():
    real, fake = RNG.normal(size=(2, 40, 3))
    precision, recall = distances.precision_recall(real, fake, k=2)
    radii = [sorted(np.linalg.norm(real - point, axis=1))[2] for point in real]
    expected = [any(np.linalg.norm(real[i] - point) <= radii[i] for i in range(40)) for point in fake]
    assert precision.tolist() == expected and recall.shape == (40,)


@pytest.mark.parametrize(("k", "low", "high"), [(0, 0.0, 0.2775), (5, 0.2366, 0.7634), (10, 0.7225, 1)])
def test_wilson_has_its_published_values(k, low, high):
    assert intervals.wilson(k, 10) == pytest.approx([low, high], abs=1e-4)
    assert all(intervals.wilson(k, n)[0] <= k / n <= intervals.wilson(k, n)[1] for n in (10, 33, 120))


def test_wilson_holds_its_share_at_both_ends():
    assert all(intervals.wilson(0, n)[0] == 0 and intervals.wilson(n, n)[1] == 1 for n in range(1, 300))


def test_interval_of_a_mean_covers_it():
    covered = [low <= 1 <= high for low, high in (intervals.of_mean(RNG.normal(1, 2, 100)) for _ in range(1000))]
    assert 0.92 < np.mean(covered) < 0.97
    assert intervals.of_mean(np.array([3.0])) == [3.0, 3.0]
