"""The sweep that chooses sampling settings of digits: on which split, of which models, and what its rule chooses."""

import importlib.util
import json

import pytest
from tiny import ROOT

from mmgen_jax.results import cells, lines
from mmgen_jax.runs.workdir import changed

FOLDER = ROOT / "experiments" / "text_to_image_selection"


@pytest.fixture
def selection(monkeypatch):
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("selection_table", FOLDER / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, cells.load(FOLDER / "sweep.py")


def test_settings_are_measured_on_validation_by_the_models_of_the_table(selection):
    found = selection[1]
    models = {cell.name for cell in cells.load(ROOT / "experiments" / "text_to_image" / "sweep.py")}
    assert {cell.name for cell in found} <= models and len(found) == 24
    for cell in found:
        assert {tuple(fields.splits) for fields in cell.config.evaluators.values()} == {("validation",)}
        for name, setting in (part.rsplit(" ", 1) for part in cell.label.split(", ")[1:]):
            assert cell.config.objective[name] == float(setting)  # the label, also of the config's own setting
        if cell.trained:
            changed(cell.trained.config, cell.changes)


def test_the_rule_takes_the_lowest_distance_once_all_are_measured(selection, tmp_path, monkeypatch):
    module, found = selection
    own = [cell for cell in found if cell.label.startswith("flow matching")]
    (tmp_path / "sweep.py").write_text((FOLDER / "sweep.py").read_text())
    monkeypatch.setattr(module, "FOLDER", tmp_path)

    def measured(number):
        made = [
            {"config_hash": cell.config_hash, "metrics": {module.FRECHET: {"value": 3.0 + abs(i - 4)}}}
            for i, cell in enumerate(own[:number])
        ]
        (tmp_path / lines.FILE).write_text("".join(json.dumps(line) + "\n" for line in made))
        return module.chosen("flow matching")

    best = own[4].label.removeprefix("flow matching, ")
    assert measured(12) == f"The config has guidance 2.0, sampling_steps 25. The rule chooses {best}."
    assert measured(11).endswith("Not every setting is measured, so none is chosen.")
