"""Tables of sweep results against closed forms."""

import math
import types

import pytest

from mmgen_jax.results import tables

METRIC = "test/frechet/frechet_distance"


def line(seed, value=None, **fields):
    metrics = {} if value is None else {METRIC: {"value": value, "n": 5000, "judge": "ab12", "judge_accuracy": 0.99}}
    return {
        **{"seed": seed, "config_hash": f"hash{seed}", "commit": "abc1234", "hardware": "CPU, 2 cores"},
        **{"seconds": 60.0 + seed, "processor_seconds": 90.0 + seed, "steps": 100, "metrics": metrics},
        **fields,
    }


def own(seed, value, low, high):
    """A line whose value has an interval over its examples."""
    found = line(seed, value)
    found["metrics"][METRIC]["interval"] = [low, high]
    return found


def summary(*values, intervals=None):
    return tables.Summary(values, intervals or (None,) * len(values))


def test_two_seeds_show_both_values_and_no_interval_over_seeds():
    """Of a recall of 0.476 and 0.585, the interval over seeds would be 0.53 ± 0.69."""
    assert str(tables.summarise([line(0, 0.476), line(1, 0.585)], METRIC)) == "0.4760, 0.5850"
    both = tables.summarise([own(0, 0.476, 0.462, 0.490), own(1, 0.585, 0.571, 0.599)], METRIC)
    assert str(both) == "0.476 [0.462, 0.490], 0.585 [0.571, 0.599]" and both.half_width is None
    one = tables.summarise([own(0, 0.476, 0.462, 0.490), line(1, 0.585)], METRIC)
    assert str(one) == "0.476 [0.462, 0.490], 0.5850"


def test_interval_of_three_seeds():
    # Of two degrees of freedom the quantile is (2p - 1) sqrt(2 / (4 p (1 - p))); 1, 2, 6 have variance 7.
    summary = tables.summarise([line(0, 1.0), line(1, 2.0), line(2, 6.0)], METRIC)
    assert summary.mean == pytest.approx(3.0)
    assert summary.half_width == pytest.approx(0.95 * math.sqrt(2 / (4 * 0.975 * 0.025)) * math.sqrt(7) / math.sqrt(3))


def test_one_seed_has_the_interval_of_its_line_and_none_no_mean():
    assert str(tables.summarise([own(0, 0.98, 0.97, 0.99)], METRIC)) == "0.980 [0.970, 0.990]"
    assert str(tables.summarise([own(0, 0.0, 0.0, 0.0077)], METRIC)) == "0.0000 [0.0000, 0.0077]"
    single = line(0, 1.5)
    single["metrics"][METRIC]["interval"] = None  # measured on one example
    assert tables.summarise([single], METRIC) == tables.summarise([line(0, 1.5)], METRIC) == summary(1.5)
    assert tables.summarise([line(0)], METRIC) is None
    assert tables.summarise([], METRIC) is None


def test_own_fields_are_metrics_too():
    assert tables.summarise([line(0), line(1), line(2)], tables.PROCESSOR).mean == 91.0
    assert tables.summarise([line(0)], "steps").mean == 100
    assert tables.summarise([line(0, baseline="mean_example")], tables.PROCESSOR) is None


def test_the_time_is_processor_time_and_no_column_where_no_line_has_it():
    new, old = line(0, 1.0), line(1, 2.0)
    del old["processor_seconds"]
    columns = {"distance": METRIC, "processor s": tables.PROCESSOR}
    rows = {"old": ["hash1"], "new": ["hash0"]}
    shown = tables.markdown(rows, [new, old], columns)
    assert "| old | 2.000 | – | 1 of 1 |" in shown and "| new | 1.000 | 90.00 | 1 of 1 |" in shown
    alone = tables.markdown({"old": ["hash1"]}, [old], columns)
    assert alone.startswith("|  | distance | seeds |") and "61" not in alone


def test_a_seed_counts_once():
    with pytest.raises(ValueError, match=r"expected one line per seed, got 2 of seed 1"):
        tables.summarise([line(1, 1.0), line(1, 1.0)], METRIC)


@pytest.mark.parametrize(
    "values, text",
    [
        ((12.1456, 12.3456, 12.5456), "12.35 ± 0.50"),
        ((1134.5, 1234.5, 1334.5), "1234 ± 248"),
        ((0.98715, 0.98765, 0.98815), "0.9877 ± 0.0012"),
        ((-84.61, -84.21, -83.81), "-84.21 ± 0.99"),
        ((12.3456,), "12.35"),
        ((123456.0,), "123456"),
        ((0.0,), "0"),
        ((2.0, 2.0, 2.0), "2.000 ± 0.000"),
    ],
)
def test_digits_shown_follow_the_interval(values, text):
    assert str(summary(*values)) == text


def test_markdown():
    rows = {"GAN": ["hash0", "hash1", "hash2"], "VAE": ["hash7"], "never": ["hash8", "hash9"]}
    lines = [line(0, 1.0), line(1, 2.0), line(2, 6.0), line(7), line(5, 99.0)]
    table = tables.markdown(rows, lines, {"distance ↓": METRIC, "s": tables.PROCESSOR}).split("\n")
    assert table[:5] == [
        "|  | distance ↓ | s | seeds |",
        "| --- | ---: | ---: | ---: |",
        "| GAN | 3.0 ± 6.6 | 91.0 ± 2.5 | 3 of 3 |",
        "| VAE | – | 97.00 | 1 of 1 |",
        "| never | not run | not run | 0 of 2 |",
    ]
    assert "abc1234" in table[6] and "CPU, 2 cores" in table[6] and "99" not in "".join(table)
    assert len(table) == 7  # nothing else to say


def test_a_seed_that_is_missing_or_lacks_a_metric_shows():
    lines = [line(0, 1.0), line(1, 3.0), line(2)]
    rows = {"GAN": [f"hash{seed}" for seed in range(4)]}
    assert "| GAN | 1.000, 3.000 (n = 2) | 3 of 4 |" in tables.markdown(rows, lines, {"distance": METRIC})


def test_of_two_lines_with_one_hash_the_last_counts():
    lines = [line(0, 1.0), line(0, 2.0)]
    assert "| GAN | 2.000 | 1 of 1 |" in tables.markdown({"GAN": ["hash0"]}, lines, {"distance": METRIC})


def test_measurements_that_do_not_compare_are_told():
    lines = [line(0, 1.0), line(1, 2.0)]
    lines[1]["metrics"][METRIC] |= {"judge": "cd34", "judge_accuracy": 0.98, "interval": [1.0, 3.0]}
    notes = tables.markdown({"GAN": ["hash0", "hash1"]}, lines, {"distance": METRIC}).split("\n\n")[2:]
    assert notes == ["**Not comparable**: distance: `judge` differs: ab12, cd34."]


def test_an_older_choice_of_examples_does_not_compare_with_the_random_one():
    lines = [line(0, 1.0), line(1, 2.0)]
    rows = {"GAN": ["hash0", "hash1"]}
    assert "Not comparable" not in tables.markdown(rows, lines, {"distance": METRIC})
    lines[1]["metrics"][METRIC] |= {"examples": "random, seed 0"}
    notes = tables.markdown(rows, lines, {"distance": METRIC}).split("\n\n")[2:]
    assert notes == ["**Not comparable**: distance: `examples` differs: the first of the split, random, seed 0."]


def test_without_results_nothing_is_claimed():
    table = tables.markdown({"GAN": ["hash0"]}, [], {"distance": METRIC})
    assert table.endswith("| GAN | not run | 0 of 1 |")


def controlled(seed, value, better, **controls):
    """A line whose metric has controls."""
    found = line(seed, value)
    found["metrics"][METRIC] |= {"better": better, "controls": controls, "features": "of a judge"}
    return found


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_a_number_that_spoilt_real_examples_surpass_is_marked(better, sign):
    lines = [
        controlled(i, sign * x, better, real=sign * 0.9, blur=0.0, mean=sign * 0.675) for i, x in enumerate([0.6, 0.7])
    ]
    table, *notes = tables.markdown({"GAN": ["hash0"], "VAE": ["hash1"]}, lines, {"precision": METRIC}).split("\n\n")
    mean = f"{sign * 0.675:.4g}"
    assert f"| GAN | {sign * 0.6:.4f} † | 1 of 1 |" in table and f"| VAE | {sign * 0.7:.4f} | 1 of 1 |" in table
    expected = f"† Not shown as quality. precision: the control `mean`, {mean}, is better than GAN."
    values = f"Controls, precision: real {sign * 0.9:.3g}, blur 0, mean {sign * 0.675:.3g}."
    assert notes[1:] == [expected, values]


def test_a_judge_that_shares_examples_with_the_model_is_told():
    lines = [line(0, 1.0), line(1, 2.0)]
    rows, columns = {"GAN": ["hash0"], "VAE": ["hash1"]}, {"distance": METRIC}
    told = "**Judge and model share training examples** in lines of: distance."
    for share, said in ((None, False), (False, False), (True, True)):
        lines[1]["metrics"][METRIC]["shares_training_items"] = share
        assert (told in tables.markdown(rows, lines, columns)) == said


def test_lines_without_controls_are_told():
    old, new = line(0, 1.0), controlled(1, 1.0, "lower", blur=2.0)
    old["metrics"][METRIC]["features"] = "of a judge"
    rows = {"old": ["hash0"], "new": ["hash1"]}
    assert "**Without controls** in some lines" in tables.markdown(rows, [old, new], {"distance": METRIC})
    assert "Without controls" not in tables.markdown(rows, [new], {"distance": METRIC})


@pytest.mark.parametrize(("value", "marked"), [(0.30, True), (0.16, False), (0.14, False), (0.02, True)])
def test_where_a_reference_is_the_best_the_nearer_control_marks(value, marked):
    found = controlled(0, value, "reference", real=0.15, blur=0.25, noise=0.05)
    found["metrics"][METRIC]["reference"] = 0.15
    assert ("†" in tables.markdown({"GAN": ["hash0"]}, [found], {"MS-SSIM": METRIC})) is marked


@pytest.mark.parametrize(
    ("metric", "heading", "value", "noted"),
    [
        ("test/retrieval/recall@5", "recall@5 ↑", 0.6, True),
        ("test/retrieval/recall@5", "recall@5 ↑", 0.4, False),
        ("test/frechet/frechet_distance", "distance ↓", 0.4, True),
        ("test/frechet/frechet_distance", "distance ↓", 0.6, False),
        ("test/captions/distinct_2", "distinct-2", 0.6, False),  # neither higher nor lower is better
    ],
)
def test_what_a_number_beyond_its_reference_means_is_said(metric, heading, value, noted):
    found = line(0)
    found["metrics"][metric] = {"value": value, "reference": 0.5, "n": 60, "controls": {}}
    notes = tables.markdown({"GAN": ["hash0"]}, [found], {heading: metric}).split("\n\n")[2:]
    assert [note.startswith(f"**Better than the real examples**, {heading}: GAN. It means: ") for note in notes] == (
        [True] if noted else []
    )


@pytest.mark.parametrize("metric", ["test/swd/swd_64", "test/ms_ssim/ms_ssim"])
def test_lines_of_pixel_metrics_without_controls_are_told(metric):
    old, new = line(0), line(1)
    entry = {"value": 1.0, "n": 9} | ({"patches": 128} if "swd" in metric else {})
    old["metrics"][metric], new["metrics"][metric] = entry, entry | {"controls": {"blur": 2.0}, "better": "lower"}
    rows = {"old": ["hash0"], "new": ["hash1"]}
    assert "**Without controls** in some lines" in tables.markdown(rows, [old, new], {"distance": metric})
    assert "Without controls" not in tables.markdown(rows, [new], {"distance": metric})


def test_a_baseline_that_no_seed_changes_has_one_line(monkeypatch):
    """Its interval over examples is shown, not one of width 0 over seeds."""

    def line(seed, value):
        baselines = {
            "bicubic": {"value": 20.0, "interval": [19.0, 21.0]},
            "drawn": {"value": value - 9, "interval": None},
        }
        entry = {"value": value, "interval": [value - 1, value + 1], "n": 9, "baselines": baselines}
        return {
            "config_hash": f"h{seed}",
            "commit": "c",
            "hardware": "x",
            "seed": seed,
            "metrics": {"test/psnr": entry},
        }

    made = [types.SimpleNamespace(label="model", config_hash=f"h{seed}", seed=seed) for seed in range(3)]
    monkeypatch.setattr("mmgen_jax.results.cells.load", lambda path: made)
    monkeypatch.setattr("mmgen_jax.results.lines.read", lambda path: [line(seed, 25.0 + seed) for seed in range(3)])
    text = tables.with_baselines("experiments/any", {"PSNR ↑": "test/psnr"})
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| model")}
    assert "[19.0, 21.0]" in rows["model: bicubic"] and "±" not in rows["model: bicubic"]
    assert "±" in rows["model: drawn"] and "±" in rows["model"]
