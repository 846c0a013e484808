"""Every notebook runs from its first cell to its last, made small, and shows what it promises."""

import os

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


def test_quickstart(tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_NOTEBOOK_STEPS", "20")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"))
    notebook = nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", as_version=4)
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()

    shown = [output.data for output in outputs(notebook) if output.output_type == "display_data"]
    assert sum("image/png" in data for data in shown) == 2  # by prompt, and beside the true images
    assert sum("<audio" in data.get("text/html", "") for data in shown) == 4
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    assert "test/coherence/shape" in printed and "compositional/coherence/color" in printed
