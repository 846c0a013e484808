"""Every notebook runs from its first cell to its last, made small, and shows what it promises."""

import os
import re

import nbclient
import nbformat
import pytest
from tiny import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def outputs(notebook) -> list:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_kept_without_outputs(file):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert not outputs(notebook)
    assert not [cell for cell in notebook.cells if cell.get("execution_count")]


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """`name -> (what is displayed, what is printed)` of a notebook, run in 52 steps, of which the warm-up takes 50."""

    def execute(name):
        monkeypatch.setenv("MMGEN_NOTEBOOK_STEPS", "52")
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"))
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        resources = {"metadata": {"path": str(ROOT / "notebooks")}}
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
        shown = [output.data for output in outputs(notebook) if output.output_type == "display_data"]
        printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
        return shown, printed

    return execute


def test_quickstart(executed):
    shown, printed = executed("quickstart")
    assert sum("image/png" in data for data in shown) == 2  # by prompt, and beside the true images
    assert sum("<audio" in data.get("text/html", "") for data in shown) == 4
    assert "test/coherence/shape" in printed and "compositional/coherence/color" in printed


@pytest.mark.slow
def test_inspect_model(executed):
    shown, printed = executed("inspect_model")
    assert sum("image/png" in data for data in shown) == 4  # pictures, reconstructed, the way, the one that was found
    first, last = map(float, re.search(r"distance ([\d.]+) at first, ([\d.]+) at last", printed).groups())
    assert last < first and "(4, 6)" in printed
