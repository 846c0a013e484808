"""The pages that are made of configs and results lines, and `mmgen report`, which makes them."""

import json

import pytest
from tiny import ROOT, mmgen

from mmgen_jax import report as verb
from mmgen_jax.errors import ReportError
from mmgen_jax.results import cells, report
from mmgen_jax.results.report import Task

TABLE = """
import pathlib
from mmgen_jax.results.tables import table
TITLE = "Small & new"
ABOUT = "What the column is."
def tables():
    return table(pathlib.Path(__file__).parent, {"all": "test/coherence/all"})
"""
CONFIG = """
from mmgen_jax.config import schema
ARGUMENTS = ("vae", "audio")
def get_config(arg="vae"):
    config = schema.base()
    config.data = {"name": "scenes", "names": ("text", "image", "audio")}
    config.encoders = {"caption": {"name": "text.embedding", "modality": "text"}}
    if arg == "audio":
        config.encoders.audio = {"name": "audio.log_mel_cnn"}
    config.objective = {"name": "variational" if arg == "vae" else "diffusion", "target": "image"}
    return config
"""
DATA = """
| set | modality | kind | shape | rate | what it is | fields that change it |
|---|---|---|---|---|---|---|
| `scenes` | `text` | text | [16] | | caption | |
| | `image`, `audio` | image | [1] | | | |
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """One experiment, of which nothing was run, one config with two arguments, and the pages that are to be written."""
    for folder in ("experiments/new", "configs", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "README.md").write_text("before\n{}\nold\n{}\nafter\n".format(*report.SUPPORT))
    (tmp_path / "docs/data.md").write_text(DATA)
    (tmp_path / "configs/small.py").write_text(CONFIG)
    folder = tmp_path / "experiments/new"
    (folder / "table.py").write_text(TABLE)
    (folder / "README.md").write_text("# New\n\n## Results\n\nold\n\n## How to read it\n\nkept\n")
    entries = [{"label": "VAE", "config": "configs/small.py:vae", "seeds": [0]}]
    (folder / "sweep.py").write_text(f"def cells():\n    return {entries}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finish_the_run(repository, value):
    folder = repository / "experiments/new"
    line = {
        "config_hash": cells.load(folder / "sweep.py")[0].config_hash,
        "seed": 0,
        "commit": "abc",
        "hardware": "CPU",
    }
    line |= {"metrics": {"test/coherence/all": {"value": value}}}
    (folder / "results.jsonl").write_text(json.dumps(line) + "\n")


def rows(repository):
    text = (repository / "README.md").read_text()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(table[0][1:], row[1:])) for row in table[2:]}


@pytest.fixture(scope="module")
def built():
    """`(the pages of this repository, the folders whose sweep their tables have loaded)`."""
    load, folders = cells.load, set()

    def noted(file):
        folders.add((ROOT / file).resolve().parent)
        return load(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(cells, "load", noted)
        return report.pages(ROOT), folders


def test_the_pages_of_this_repository_are_current(built):
    for page, text in built[0].items():
        assert page.read_text() == text, f"{page}: run mmgen report"


def test_every_experiment_has_a_section_and_a_sweep_that_loads(built):
    pages, loaded = built
    folders = {file.parent for file in (ROOT / "experiments").glob("*/README.md")}
    assert {page.parent for page in pages if page.parent.parent == ROOT / "experiments"} == folders
    assert loaded == {file.parent for file in (ROOT / "experiments").glob("*/sweep.py")} != set()


def test_a_run_without_a_line_trains_and_one_with_a_line_is_measured(repository):
    verb.report(repository)
    assert rows(repository) == {
        "`variational` (VAE)": {"→ image": "`text`"},
        "`diffusion` (flow matching)": {"→ image": "`text + image`"},
    }
    assert "| VAE | not run | 0 of 1 |" in (repository / "docs/results.md").read_text()
    finish_the_run(repository, 0.75)
    verb.report(repository)
    assert rows(repository)["`variational` (VAE)"] == {"→ image": "[text](docs/results.md#small--new)"}
    for page in ("docs/results.md", "experiments/new/README.md"):
        assert "| VAE | 0.7500 | 1 of 1 |" in (repository / page).read_text()


def test_kinds_are_of_the_data_and_not_of_the_names(repository):
    # The set of this test calls a picture `audio`.
    verb.report(repository)
    assert rows(repository)["`diffusion` (flow matching)"]["→ image"] == "`text + image`"


def test_each_of_several_targets_is_drawn_from_the_others(repository):
    config = CONFIG.replace('"target": "image"', '"targets": ("text", "image")')
    config = config.replace('config.encoders = {"caption": {"name": "text.embedding", "modality": "text"}}', "")
    (repository / "configs/small.py").write_text(config.replace('("vae", "audio")', '("vae",)'))
    verb.report(repository)
    # `variational` is listed as a family of continuous targets; a text is one of this config's.
    assert rows(repository)["`variational` (VAE)"] == {"→ text": "`image`", "→ image": "`text`"}


def test_a_target_that_a_family_could_have_is_planned(repository):
    (repository / "docs/data.md").write_text(DATA.replace("`image`, `audio` | image |", "`audio` | audio |"))
    (repository / "configs/small.py").write_text(
        CONFIG.replace('"target": "image"', '"target": arg.replace("vae", "text")')
    )
    verb.report(repository)
    assert rows(repository)["`variational` (VAE)"] == {"→ text": "`text`", "→ audio": "*planned*"}


def test_what_is_written_by_hand_stays(repository):
    verb.report(repository)
    readme = (repository / "README.md").read_text()
    assert readme.startswith("before\n") and readme.endswith("\nafter\n") and "old" not in readme
    page = (repository / "experiments/new/README.md").read_text()
    assert page.startswith("# New\n\n## Results\n\n|") and page.endswith("\n\n## How to read it\n\nkept\n")
    assert "old" not in page


def test_written_once_nothing_is_left_to_write(repository):
    assert len(verb.report(repository)) == 3
    assert verb.report(repository) == []


def test_the_command_checks_with_one_line(repository):
    code, _, errors = mmgen("report", "--check")
    assert code == 1 and errors.count("\n") == 1 and "docs/results.md" in errors and "run mmgen report" in errors
    assert not (repository / "docs/results.md").exists()
    code, out, _ = mmgen("report")
    assert code == 0 and "docs/results.md" in out
    assert mmgen("report", "--check") == (0, "", "")
    finish_the_run(repository, 0.5)
    assert mmgen("report", "--check")[0] == 1


def test_a_modality_that_no_page_describes_is_refused(repository):
    (repository / "docs/data.md").write_text(DATA.replace("`scenes`", "`other`").replace("`text`", "`words`"))
    config = (repository / "configs/small.py").read_text()
    (repository / "configs/small.py").write_text(config.replace('"modality": "text"', '"modality": "shape"'))
    with pytest.raises(ReportError, match=r"docs/data\.md: no row for 'shape' of 'scenes'"):
        verb.report(repository)


@pytest.mark.parametrize("text", ["no markers", "{1}\n{0}\n", "{0}\n{1}\n{0}\n{1}\n"])
def test_a_page_without_its_markers_is_refused(text):
    with pytest.raises(ReportError, match=r"README.md: expected one line"):
        report.between(text.format(*report.SUPPORT), *report.SUPPORT, "new", "README.md")


def test_elsewhere_it_says_where_to_run_it(tmp_path):
    with pytest.raises(ReportError, match="in the folder of the repository"):
        report.pages(tmp_path)


def test_a_table_without_its_heading_is_refused(repository):
    (repository / "experiments/new/table.py").write_text('TITLE = "New"\n')
    with pytest.raises(
        ReportError, match=r"table\.py: expected TITLE, ABOUT and a function tables\(\), it has no ABOUT"
    ):
        verb.report(repository)


def test_what_a_task_is_given():
    assert Task((), "image").given == "nothing" and Task(("text", "audio"), "image").given == "text + audio"
