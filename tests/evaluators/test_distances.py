"""Distances, intervals, MS-SSIM and sliced Wasserstein against closed forms and definitions."""

import json

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import ms_ssim, sliced_wasserstein
from mmgen_jax.evaluators.measures import distances, intervals

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
    values = distances.kernel_distance(a, b, subset_size=100)
    assert abs(values.mean()) < values.std()
    assert distances.kernel_distance(a, b + 0.5, subset_size=100).mean() > 5 * values.std()
    np.testing.assert_array_equal(*(distances.kernel_distance(a, b, 100, seed=1) for _ in range(2)))


def test_kernel_distance_of_a_small_set_has_a_deviation():
    a, b = RNG.normal(size=(2, 60, 8))
    values = distances.kernel_distance(a, b)
    assert distances.kernel_subset(60, 60) == 30 and values.std() > 1e-3 and abs(values.mean()) < 3 * values.std()


@pytest.mark.parametrize(
    "metric,smallest",
    [(distances.frechet_distance, 2), (distances.kernel_distance, 4), (distances.precision_recall, 4)],
)
def test_too_few_examples_and_features_that_are_not_finite_are_refused(metric, smallest):
    a, name = RNG.normal(size=(10, 3)), metric.__name__
    with pytest.raises(InputError, match=rf"{name}: expected at least {smallest} examples in each set, got 1"):
        metric(a, a[:1])
    broken = a.copy()
    broken[4, 1], broken[6, 0] = np.nan, np.inf
    for pair in ((a, broken), (broken, a)):
        with pytest.raises(InputError, match=rf"{name}: expected finite features, got 2 of 10 .* the first at 4"):
            metric(*pair)


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
    assert intervals.of_mean(np.array([3.0])) is None and intervals.standard_error(np.array([3.0])) is None


def pictures(num, size=64, channels=1, cell=8):
    """Smooth random pictures in [-1, 1]."""
    coarse = RNG.uniform(-1, 1, (num, size // cell, size // cell, channels))
    return coarse.repeat(cell, axis=1).repeat(cell, axis=2).astype(np.float32)


def test_ms_ssim_is_its_definition():
    import scipy.ndimage
    import skimage.metrics

    a = pictures(2, 96, 3)
    b = np.clip(a + RNG.normal(0, 0.3, a.shape), -1, 1).astype(np.float32)
    x, y = (np.rint((each + 1) * 127.5).astype(np.float64) for each in (a, b))
    expected = np.ones(2)
    for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
        side = x.shape[1]
        window = min(11, side)
        offsets = np.arange(window) - (window - 1) / 2
        kernel = np.exp(-(offsets**2) / (2 * (1.5 * window / 11) ** 2))
        kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
        for i in range(2):
            ssim, contrast = [], []
            for top in range(side - window + 1):
                for left in range(side - window + 1):
                    p, q = (z[i, top : top + window, left : left + window] for z in (x, y))
                    mean_p, mean_q = ((kernel[..., None] * z).sum((0, 1)) for z in (p, q))
                    squares = ((kernel[..., None] * (z - m) ** 2).sum((0, 1)) for z, m in ((p, mean_p), (q, mean_q)))
                    covariance = (kernel[..., None] * (p - mean_p) * (q - mean_q)).sum((0, 1))
                    contrast.append((2 * covariance + 58.5225) / (sum(squares) + 58.5225))
                    ssim.append(contrast[-1] * (2 * mean_p * mean_q + 6.5025) / (mean_p**2 + mean_q**2 + 6.5025))
            expected[i] *= np.maximum(np.mean(ssim if scale == 4 else contrast), 0) ** weight
            if scale == 0:  # one scale is the library's SSIM, there with a border, which is cut off
                fields = {"gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5, "data_range": 255}
                _, seen = skimage.metrics.structural_similarity(x[i], y[i], channel_axis=-1, full=True, **fields)
                assert np.mean(ssim) == pytest.approx(seen[5:-5, 5:-5].mean(), rel=1e-6)
        x, y = (scipy.ndimage.uniform_filter(z, (0, 2, 2, 0), origin=(0, -1, -1, 0))[:, ::2, ::2] for z in (x, y))
    np.testing.assert_allclose(ms_ssim.ms_ssim(a, b), expected, rtol=1e-6)


def test_ms_ssim_is_1_of_copies_and_falls_with_noise():
    a = pictures(150, 28)
    np.testing.assert_allclose(ms_ssim.ms_ssim(a, a), 1)
    noisy = [np.clip(a + RNG.normal(0, s, a.shape), -1, 1).astype(np.float32) for s in (0.1, 0.5)]
    values = [ms_ssim.ms_ssim(a, b).mean() for b in noisy]
    assert 1 > values[0] > values[1] > ms_ssim.ms_ssim(a[:75], a[75:]).mean() >= 0
    with pytest.raises(ValueError, match="sides from 16"):
        ms_ssim.ms_ssim(a[:, :15], a[:, :15])


def test_ms_ssim_tells_a_collapse_from_variety():
    real = pictures(41, 32, 3)
    evaluator = lookup.build("evaluators", {"name": "ms_ssim", "target": "image"})
    batches = [{"image": real[:16]}, {"image": real[16:]}]
    entry = evaluator(lambda batch: {"image": np.repeat(real[:1], len(batch["image"]), 0)}, batches)
    assert entry["ms_ssim"]["value"] > 0.9 > entry["ms_ssim"]["reference"] and entry["ms_ssim"]["n"] == 20
    same = evaluator(lambda batch: batch, batches)["ms_ssim"]
    assert same["value"] == same["reference"] and same["interval"][0] < same["value"] < same["interval"][1]
    json.dumps(same, allow_nan=False)


def test_laplacian_pyramid_is_blurred_by_its_filter_and_adds_up():
    import scipy.ndimage

    images = RNG.normal(size=(2, 64, 64, 3)).astype(np.float32)
    levels = sliced_wasserstein.laplacian_pyramid(images)
    assert [level.shape[1] for level in levels] == [64, 32, 16]
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256

    def smaller(x):
        return scipy.ndimage.convolve(x, kernel, mode="mirror")[:, ::2, ::2]

    def larger(x):
        spread = np.zeros((2, 2 * x.shape[1], 2 * x.shape[2], 3))
        spread[:, ::2, ::2] = x
        return scipy.ndimage.convolve(spread, 4 * kernel, mode="mirror")

    np.testing.assert_allclose(levels[2], smaller(smaller(images)), atol=1e-5)
    np.testing.assert_allclose(levels[0] + larger(levels[1] + larger(levels[2])), images, atol=1e-4)
    assert [level.shape[1] for level in sliced_wasserstein.laplacian_pyramid(images[:, :28, :28])] == [28]


def test_sliced_distance_is_the_mean_wasserstein_distance_of_projections():
    import scipy.stats

    a, b = (RNG.normal(loc, 1, (300, 5)).astype(np.float32) for loc in (0, 1))
    got = sliced_wasserstein._distance(a, b, np.random.default_rng(3))
    directions = np.random.default_rng(3).normal(size=(sliced_wasserstein.DIRECTIONS, 5))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.mean([scipy.stats.wasserstein_distance(a @ d, b @ d) for d in directions])
    assert got == pytest.approx(expected, rel=1e-4)


def test_patches_are_standardised_by_channel_and_cut_from_the_picture():
    rows, columns = np.meshgrid(np.arange(20.0), np.arange(20.0), indexing="ij")
    level = np.broadcast_to(np.stack([rows, 5 * columns + 3], axis=-1), (4, 20, 20, 2)).astype(np.float32)
    patches = sliced_wasserstein._patches(level.copy(), RNG).reshape(-1, 7, 7, 2)
    assert len(patches) == 4 * 128
    np.testing.assert_allclose(patches.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(patches.std((0, 1, 2)), 1, rtol=1e-4)
    steps = np.diff(patches[..., 0], axis=1)
    np.testing.assert_allclose(steps, steps[0, 0, 0], rtol=1e-3)  # neighbours in a patch were neighbours in the picture
    assert len(np.unique(patches[:, 0, 0, 0].round(3))) == 14  # every place where it fits


def test_sliced_wasserstein_sees_at_which_scale_pictures_differ():
    real, same = pictures(30), pictures(30)
    noisy = np.clip(same + RNG.normal(0, 0.3, same.shape), -1, 1).astype(np.float32)
    evaluator = lookup.build("evaluators", {"name": "sliced_wasserstein", "target": "image"})

    def measured(samples):
        return evaluator(lambda batch: {"image": samples}, [{"image": real}])

    alike, different = measured(same), measured(noisy)
    assert set(alike) == {"swd", "swd_64", "swd_32", "swd_16"}
    rise = {name: different[name]["value"] - alike[name]["value"] for name in alike}
    assert rise["swd_64"] > rise["swd_32"] > rise["swd_16"] and rise["swd_64"] > 2 * alike["swd_64"]["value"]
    assert alike["swd_64"]["reference"] < 3 * alike["swd_64"]["value"] and alike["swd"]["n"] == 30
    mean = np.mean([alike[f"swd_{side}"]["value"] for side in (64, 32, 16)])
    assert alike["swd"]["value"] == pytest.approx(mean)
    for entry in alike.values():
        low, high = entry["interval"]
        assert 0 <= low < entry["value"] < high
        assert (entry["resamples"], entry["resample_size"]) == (20, 15)
    assert alike["swd_64"]["interval"][1] < different["swd_64"]["interval"][0]
    json.dumps(alike, allow_nan=False)
