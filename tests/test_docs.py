"""What the Markdown files name exists: files, commands, configs, tests."""

import re

import pytest
import tiny
from tiny import ROOT

from mmgen_jax import cli, train
from mmgen_jax.results.report import anchor

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/README.md")])
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TREES = "configs|docs|experiments|mmgen_jax|notebooks|tests"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_what_is_named_exists(page):
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert not [link for link in links if not (page.parent / link).exists()]
    # `configs/X.py`, `experiments/T/…` and `mine.py` stand for what a reader puts there.
    paths = re.findall(rf"(?<![\w/.])(?:{TREES})/[\w./]+\.(?:py|md|ipynb)\b", text)
    paths = [path for path in paths if not re.search(r"/(X|T)\b|/mine\.py$", path)]
    assert not [path for path in paths if not (ROOT / path).exists()]
    assert set(re.findall(r"^\s*mmgen ([\w-]+)", text, re.MULTILINE)) <= set(cli.COMMANDS)


def test_layout_is_the_tree():
    layout = (ROOT / "README.md").read_text().partition("## Layout\n\n```\n")[2].partition("```")[0]
    top, inner = re.findall(r"^(\w+)/", layout, re.MULTILINE), re.findall(r"^  (\w+)/", layout, re.MULTILINE)
    assert set(top) == set(TREES.split("|")) and all((ROOT / name).is_dir() for name in top)
    assert set(inner) == {folder.parent.name for folder in (ROOT / "mmgen_jax").glob("*/__init__.py")}
    files = re.findall(r"\b(\w+\.py)\b", re.sub(r"<\w+>/\{.*|<kind>.*", "", layout))
    assert files and not [name for name in files if not (ROOT / "mmgen_jax" / name).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_links_to_sections_lead_to_headings(page):
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
        other = (page.parent / target if target else page).read_text()
        assert fragment in [anchor(title) for title in re.findall(r"^#+ (.+)$", other, re.MULTILINE)], (
            f"{target}#{fragment}"
        )


@pytest.mark.slow
def test_the_session_of_the_api_page_runs(tmp_path, monkeypatch):
    """Its blocks in their order, with small networks and few steps."""
    from mmgen_jax.api import sources  # imported before the function that it imports is replaced
    from mmgen_jax.config import loading, override

    load = loading.load

    def small(reference):
        config = tiny.shrink(load(reference), num_samples=2)
        measured = {"evaluators.pixels.name": "reconstruction"} if "generator" in config else {}
        return change(config, {"data.image_size": 32, "parallel.num_devices": 1, **measured})

    monkeypatch.setattr(loading, "load", small)
    change = override.override
    for module in (override, sources):
        monkeypatch.setattr(
            module, "override", lambda config, changes, *a, **k: change(config, {**changes, "train.steps": 1}, *a, **k)
        )
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL):
        exec(compile(block, "docs/api.md", "exec"), namespace)
    assert namespace["images"].shape == namespace["again"].shape == (4, 32, 32, 3)
    assert len(namespace["way"]) == len(namespace["between_draws"]) == 8 and len(namespace["vectors"]) == 4
    assert namespace["drawn"].shape == (8, 32, 32, 3) and int(namespace["state"].step) == 10


def test_every_training_of_the_api_page_passes_the_checks_as_it_stands(tmp_path, monkeypatch):
    """The documented configs and changes, not shrunk; nothing is trained."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)
    prepared, prepare = [], train.prepare
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "train", lambda config, workdir: prepared.append(prepare(config)))
    for block in blocks:
        if calls := re.findall(r"^api\.train\(.*", block, re.MULTILINE):
            setup = block.partition(calls[0])[0]
            exec(compile(f"from mmgen_jax import api\n{setup}{calls[0]}", "docs/api.md", "exec"), {})
    assert len(prepared) == 3


def test_every_config_is_in_the_list():
    listed = re.findall(r"^\| `(\w+)`", (ROOT / "docs/running.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(file.stem for file in ROOT.glob("configs/*.py"))


def test_the_readme_can_be_read_at_once():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
