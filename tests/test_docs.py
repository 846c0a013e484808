"""What the Markdown files name exists: files, commands, configs, tests."""

import re

import pytest
from tiny import ROOT

from mmgen_jax import cli
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


def test_the_readme_can_be_read_at_once():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
