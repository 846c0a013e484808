"""The table of docs/data.md says what the sources give."""

import importlib
import re

import numpy as np
import pytest
from tiny import ROOT

from mmgen_jax.data import local

ROWS = re.findall(r"(?m)^\| (.+) \|$", (ROOT / "docs" / "data.md").read_text())
LOCAL = ("clothing", "emoji", "grid_s1", "sounds", "hymnal")


def documented(name: str) -> dict[str, tuple[str, str, str]]:
    """`{modality: (kind, shape, rate)}` of a set, from the first table."""
    found, current = {}, ""
    for row in ROWS:
        cells = [cell.strip() for cell in row.split("|")]
        current = cells[0].strip("`") or current
        if len(cells) == 7 and current == name:
            for modality in cells[1].split(", "):
                found[modality.strip("`")] = tuple(cells[2:5])
    return found


def given(source) -> dict[str, tuple[str, str, str]]:
    found = {}
    for name, modality in source.modalities.items():
        rate = f"{modality.sample_rate / 1000:g} kHz" if modality.sample_rate else ""
        rate = f"{modality.frame_rate:.3g} frames/s" if modality.frame_rate else rate
        found[name] = (modality.kind, str(list(modality.shape)), rate)
    return found


@pytest.mark.parametrize("name", ["scenes", "digits", "small_digits", "spoken_digits"])
def test_table_of_sets_without_local_files(name):
    assert documented(name) == given(importlib.import_module(f"mmgen_jax.data.{name}").Source())


@pytest.mark.parametrize("name", LOCAL)
def test_table_of_local_sets(mmgen_data, name, monkeypatch):
    monkeypatch.setattr(local.LocalSource, "_decoded", lambda *args: np.zeros(0))  # the clips take a minute
    module = importlib.import_module(f"mmgen_jax.data.{name}")
    assert documented(name) == given(module.Source())
    sizes = [len(module.Source(split=split, names=module.Source.available[:1])) for split in module.Source.splits]
    (row,) = (row for row in ROWS if row.startswith(f"`{name}`") and "validation" in row and row.count("|") == 5)
    assert [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", "|".join(row.split("|")[1:3]))] == sizes


@pytest.mark.parametrize("name", LOCAL)
def test_docstrings_name_home_and_place(name):
    module = importlib.import_module(f"mmgen_jax.data.{name}")
    assert f"$MMGEN_DATA/{name}" in module.__doc__
    homes = re.findall(r"https?://\S+[^\s,.]", module.Source.home)
    assert homes and all(home in module.__doc__ for home in homes)
