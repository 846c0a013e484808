"""The sweep over temperatures: its cells, of which one training a seed serves every temperature."""

import importlib.util

from tiny import ROOT

from mmgen_jax.results import cells
from mmgen_jax.runs.workdir import changed

FOLDER = ROOT / "experiments" / "captioning_temperature"


def module(name):
    spec = importlib.util.spec_from_file_location(f"temperature_{name}", FOLDER / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_each_curve_has_every_temperature_from_one_training_a_seed(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = cells.load(FOLDER / "sweep.py")
    asked, table = module("sweep"), module("table")
    labels = {asked.label(curve, t) for curve in table.CURVES for t in asked.TEMPERATURES}
    assert {cell.label for cell in found} == labels and len(found) == 3 * len(labels)
    assert len({cell.trained_hash for cell in found}) == len({cell.name for cell in found}) == 2 * 3
    for cell in found:
        assert cell.config.objective.temperature == float(cell.label.split()[-1])
        assert cell.config.objective.get("strength", 1.0) == (0.0 if cell.label.startswith("before") else 1.0)
        if cell.trained:
            changed(cell.trained.config, cell.changes)  # which sampling can change
    of_captioning = {cell.name for cell in cells.load(ROOT / "experiments" / "captioning" / "sweep.py")}
    assert {cell.name for cell in found} <= of_captioning  # so a workdir of captioning serves


def test_rows_are_in_the_order_of_the_temperature():
    rows = "|  | x |\n| --- | ---: |\n| temperature 0.5 | 1 |\n| temperature 0.25 | 2 |\n\nnote\n\nother"
    expected = "|  | x |\n| --- | ---: |\n| temperature 0.25 | 2 |\n| temperature 0.5 | 1 |\n\nnote\n\nother"
    assert module("table").ordered(rows) == expected
