"""Tables of sweep results against closed forms."""

import math

import pytest

from mmgen_jax.results import tables

METRIC = "test/frechet/frechet_distance"


def line(seed, value=None, **fields):
    metrics = {} if value is None else {METRIC: {"value": value, "n": 5000, "judge": "ab12", "judge_accuracy": 0.99}}
    return {
        **{"seed": seed, "config_hash": f"hash{seed}", "commit": "abc1234", "hardware": "CPU, 2 cores"},
        **{"seconds": 60.0 + seed, "steps": 100, "metrics": metrics},
        **fields,
    }


def test_interval_of_two_seeds_is_cauchys():
    # Student's t of one degree of freedom is Cauchy's distribution, whose quantile is tan(pi (p - 1/2)).
    summary = tables.summarise([line(0, 1.0), line(1, 3.0)], METRIC)
    assert (summary.mean, summary.n) == (2.0, 2)
    assert summary.half_width == pytest.approx(math.tan(math.pi * 0.475) * math.sqrt(2) / math.sqrt(2))


def test_interval_of_three_seeds():
    # Of two degrees of freedom the quantile is (2p - 1) sqrt(2 / (4 p (1 - p))); 1, 2, 6 have variance 7.
    summary = tables.summarise([line(0, 1.0), line(1, 2.0), line(2, 6.0)], METRIC)
    assert summary.mean == pytest.approx(3.0)
    assert summary.half_width == pytest.approx(0.95 * math.sqrt(2 / (4 * 0.975 * 0.025)) * math.sqrt(7) / math.sqrt(3))


def test_one_seed_has_no_interval_and_none_no_mean():
    assert tables.summarise([line(0, 1.5)], METRIC) == tables.Summary(1.5, None, 1)
    assert tables.summarise([line(0)], METRIC) is None
    assert tables.summarise([], METRIC) is None


def test_own_fields_are_metrics_too():
    assert tables.summarise([line(0), line(1), line(2)], "seconds").mean == 61.0
    assert tables.summarise([line(0)], "steps").mean == 100
    assert tables.summarise([line(0, baseline="mean_example")], "seconds") is None


def test_a_seed_counts_once():
    with pytest.raises(ValueError, match=r"expected one line per seed, got 2 of seed 1"):
        tables.summarise([line(1, 1.0), line(1, 1.0)], METRIC)


@pytest.mark.parametrize(
    "summary, text",
    [
        (tables.Summary(12.3456, 0.4567, 3), "12.35 ± 0.46"),
        (tables.Summary(1234.5, 230.0, 3), "1234 ± 230"),
        (tables.Summary(0.98765, 0.00123, 3), "0.9877 ± 0.0012"),
        (tables.Summary(-84.21, 1.0, 3), "-84.2 ± 1.0"),
        (tables.Summary(12.3456, None, 1), "12.35"),
        (tables.Summary(123456.0, None, 1), "123456"),
        (tables.Summary(0.0, None, 1), "0"),
        (tables.Summary(2.0, 0.0, 2), "2.000 ± 0.000"),
    ],
)
def test_digits_shown_follow_the_interval(summary, text):
    assert str(summary) == text


def test_markdown():
    rows = {"GAN": ["hash0", "hash1", "hash2"], "VAE": ["hash7"], "never": ["hash8", "hash9"]}
    lines = [line(0, 1.0), line(1, 2.0), line(2, 6.0), line(7), line(5, 99.0)]
    table = tables.markdown(rows, lines, {"distance ↓": METRIC, "s": "seconds"}).split("\n")
    assert table[:5] == [
        "|  | distance ↓ | s | seeds |",
        "| --- | ---: | ---: | ---: |",
        "| GAN | 3.0 ± 6.6 | 61.0 ± 2.5 | 3 of 3 |",
        "| VAE | – | 67.00 | 1 of 1 |",
        "| never | not run | not run | 0 of 2 |",
    ]
    assert "abc1234" in table[6] and "CPU, 2 cores" in table[6] and "99" not in "".join(table)
    assert len(table) == 7  # nothing else to say


def test_a_seed_that_is_missing_or_lacks_a_metric_shows():
    lines = [line(0, 1.0), line(1, 3.0), line(2)]
    rows = {"GAN": [f"hash{seed}" for seed in range(4)]}
    assert "| GAN | 2 ± 13 (n = 2) | 3 of 4 |" in tables.markdown(rows, lines, {"distance": METRIC})


def test_of_two_lines_with_one_hash_the_last_counts():
    lines = [line(0, 1.0), line(0, 2.0)]
    assert "| GAN | 2.000 | 1 of 1 |" in tables.markdown({"GAN": ["hash0"]}, lines, {"distance": METRIC})


def test_measurements_that_do_not_compare_are_told():
    lines = [line(0, 1.0), line(1, 2.0)]
    lines[1]["metrics"][METRIC] |= {"judge": "cd34", "judge_accuracy": 0.98, "interval": [1.0, 3.0]}
    notes = tables.markdown({"GAN": ["hash0", "hash1"]}, lines, {"distance": METRIC}).split("\n\n")[2:]
    assert notes == ["**Not comparable**: distance: `judge` differs: ab12, cd34."]


def test_without_results_nothing_is_claimed():
    table = tables.markdown({"GAN": ["hash0"]}, [], {"distance": METRIC})
    assert table.endswith("| GAN | not run | 0 of 1 |")
