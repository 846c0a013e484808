"""The generated pages: `docs/results.md`, the matrix in README.md, the tables in the READMEs of the experiments.

The pages are generated from the configs and from the lines of `results.jsonl`. An experiment is a folder with a
`table.py` that defines

    TITLE: str           the heading of its section
    ABOUT: str           facts that a reader of the tables must know: the columns, the judge, the split
    tables() -> str      the tables in Markdown, each with the commits and the hardware of its numbers
"""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import re
from collections.abc import Iterable, Mapping

from mmgen_jax import lookup
from mmgen_jax.config import loading
from mmgen_jax.errors import ReportError
from mmgen_jax.results import cells, lines

RESULTS, README, DATA = "docs/results.md", "README.md", "docs/data.md"
# The order of the sections of the results; other experiments follow, by name.
FIRST = (
    "quickstart",
    "unconditional",
    "text_to_image",
    "text_to_image_selection",
    "text_to_image_scenes",
    "text_to_image_families",
)
FIRST += ("text_to_image_emoji", "captioning", "captioning_temperature", "recognition", "retrieval")
INTRODUCTION = """\
Written by `mmgen report` from `experiments/*/results.jsonl`. A number stands here only with its line there, which has
config, seed, commit and hardware. *seeds*: the runs that have a line, of those that the sweep asks for. *training,
processor s*: the processor time of the steps, over all cores, which other work on the machine changes little; a table
has this column where a line has the time. How an experiment was run, and what its numbers do and do not say, is in its
README."""
SUPPORT = ("<!-- support: written by mmgen report -->", "<!-- end of support -->")
ORDER = ("text", "image", "audio", "video", "vector", "label", "any")  # of the kinds in the matrix
CONTINUOUS = ("image", "audio", "video")
# The kinds that each family can have as target in principle. A cell without a config is "planned" for these kinds, and
# empty for other kinds.
OUTPUTS = {
    **dict.fromkeys(("adversarial", "variational", "reconstruction", "diffusion", "regression"), CONTINUOUS),
    "flow": ("audio",),
    **dict.fromkeys(("autoregressive", "contrastive"), ("text", *CONTINUOUS)),
    "adversarial_text": ("text",),
    "recognition": ("label",),
}
NEED_INPUT = ("contrastive", "recognition", "adversarial_text", "regression")
NO_INPUT = ("reconstruction",)  # an autoencoder: its input is its target
PLANNED = {"image": "image", "audio": "any", "video": "any"}  # output to input: rows of the matrix without any config


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A folder of `experiments/` with its tables."""

    folder: pathlib.Path
    title: str
    about: str
    tables: str

    @property
    def link(self) -> str:
        """The link to its section of `docs/results.md`, relative to the root of the repository."""
        return f"{RESULTS}#{anchor(self.title)}"


@dataclasses.dataclass(frozen=True)
class Task:
    """The inputs and outputs of a config, as kinds of modalities: a row of the matrix."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def given(self) -> str:
        return " + ".join(self.inputs) or "nothing"

    @property
    def rank(self) -> list:
        return [[ORDER.index(kind) for kind in kinds] for kinds in (self.outputs, self.inputs)]


def pages(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """The current text of every generated page: `{path: text}`; nothing is written.

    The working directory must be `root`, because sweep files name configs by paths relative to it.

    Raises:
      ReportError, ConfigError, SweepError, ResultsError: a table, config, sweep or page that cannot be read.
    """
    found = experiments(root)
    texts = {root / RESULTS: results(found)}
    readme = (root / README).read_text(encoding="utf-8")
    texts[root / README] = between(readme, *SUPPORT, support(root, found), README)
    for experiment in found:
        page = experiment.folder / README
        texts[page] = with_tables(page.read_text(encoding="utf-8"), experiment.tables)
    return texts


def experiments(root: pathlib.Path) -> list[Experiment]:
    """The experiments that have a `table.py`, in the order of the report."""
    files = {file.parent.name: file for file in (root / "experiments").glob("*/table.py")}
    if not files:
        raise ReportError("no experiments/*/table.py here; run mmgen report in the folder of the repository")
    names = [name for name in FIRST if name in files] + sorted(set(files) - set(FIRST))
    return [_experiment(files[name]) for name in names]


def _experiment(file: pathlib.Path) -> Experiment:
    module = _module(file, f"table_{file.parent.name}")
    if missing := [name for name in ("TITLE", "ABOUT", "tables") if not hasattr(module, name)]:
        raise ReportError(f"{file}: expected TITLE, ABOUT and a function tables(), it has no {missing[0]}")
    return Experiment(file.parent, module.TITLE, module.ABOUT.strip(), module.tables().strip())


def results(found: Iterable[Experiment]) -> str:
    """The text of `docs/results.md`."""
    found = list(found)
    contents = [f"- [{experiment.title}](#{anchor(experiment.title)})" for experiment in found]
    parts = ["# Results", INTRODUCTION, "\n".join(contents)]
    for experiment in found:
        readme = f"[experiments/{experiment.folder.name}](../experiments/{experiment.folder.name}/{README})"
        parts += [f"## {experiment.title}", f"{experiment.about}\nMore: {readme}.", experiment.tables]
    return "\n\n".join(parts) + "\n"


def anchor(title: str) -> str:
    """The URL fragment that GitHub derives from a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def between(text: str, begin: str, end: str, new: str, where: str) -> str:
    """`text`, where everything between the markers `begin` and `end` is replaced by `new`.

    Raises:
      ReportError: a marker is missing, repeated, or the two are in the wrong order; the message names the page `where`.
    """
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ReportError(f"{where}: expected one line {begin!r} and, behind it, one line {end!r}")
    return f"{text.partition(begin)[0]}{begin}\n\n{new}\n\n{end}{text.partition(end)[2]}"


def with_tables(text: str, tables: str) -> str:
    """A page whose section `## Results` holds `tables`; a page without such a section is returned unchanged."""
    before, heading, rest = text.partition("## Results\n")
    following = re.search(r"^## ", rest, re.MULTILINE)
    return (
        f"{before}{heading}\n{tables}\n" + (f"\n{rest[following.start() :]}" if following else "") if heading else text
    )


def support(root: pathlib.Path, found: Iterable[Experiment]) -> str:
    """The matrix of outputs and families; a cell lists the inputs, see `_cell`."""
    documented = kinds(root)
    trains = {task_of(loading.load(reference), documented) for reference in references(root)}
    measured: dict[tuple[Task, str], str] = {}
    for experiment in found:
        for config in _measured(experiment.folder):
            measured.setdefault(task_of(config, documented), experiment.link)
    trains |= set(measured)
    families = [name for name in OUTPUTS if any(name == family for _, family in trains)]
    families += sorted({family for _, family in trains} - set(families))
    tasks = {task for task, _ in trains}
    for output, source in PLANNED.items():
        if not any(output in task.outputs and (source == "any" or source in task.inputs) for task in tasks):
            tasks.add(Task((source,), (output,)))
    rows = [["", *(f"`{family}`" for family in families)], ["---"] * (len(families) + 1)]
    ordered = sorted(tasks, key=lambda task: task.rank)
    for outputs in dict.fromkeys(task.outputs for task in ordered):
        of = [task for task in ordered if task.outputs == outputs]
        cells_of = (", ".join(filter(None, (_cell(t, family, trains, measured) for t in of))) for family in families)
        rows.append([f"→ {' + '.join(outputs)}", *cells_of])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(task: Task, family: str, trains, measured: Mapping[tuple[Task, str], str]) -> str:
    """The inputs of a task: a link to their results, `inputs` where a config trains, *inputs* where it is planned."""
    if (task, family) in measured:
        return f"[{task.given}]({measured[task, family]})"
    if (task, family) in trains:
        return f"`{task.given}`"
    unfit = NO_INPUT if task.inputs else NEED_INPUT
    fits = set(task.outputs) <= set(OUTPUTS.get(family, ())) and family not in unfit
    return f"*{task.given}*" if fits else ""


def _measured(folder: pathlib.Path) -> list:
    """The configs of an experiment's trained runs that have a line."""
    if not (folder / "sweep.py").is_file():
        return []
    hashes = {line.get("config_hash") for line in lines.read(folder / lines.FILE)}
    return [cell.config for cell in cells.load(folder / "sweep.py") if cell.config_hash in hashes and not cell.baseline]


def references(root: pathlib.Path) -> list[str]:
    """Every config with every argument of its `ARGUMENTS`, as `configs/X.py:argument`.

    A config whose `ARGUMENTS` is empty, because its argument is a folder of the user, is left out.
    """
    found = []
    for file in sorted((root / "configs").glob("*.py")):
        for argument in getattr(_module(file, f"config_{file.stem}"), "ARGUMENTS", ("",)):
            found.append(f"{file}:{argument}" if argument else str(file))
    return found


def _module(file: pathlib.Path, name: str):
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader, file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def task_of(config, documented: Mapping[tuple[str, str], str]) -> tuple[Task, str]:
    """The task of a config (kinds of its inputs and outputs), and its family.

    Raises:
      ReportError: a modality that `docs/data.md` has no row for.
    """

    def kind(name: str, drawn: bool = False) -> str:
        entry = config.get("derived", {}).get(name, {})
        if of := entry.get("of"):  # an input counts as what it is computed from: a frame of a clip is a part of a clip
            gives = getattr(lookup.find("transforms", entry.name), "gives", "") if drawn else ""
            return gives or kind(of if isinstance(of, str) else of[0], drawn)
        own = config.data.get("sets", {}).get(name)  # of `unpaired`
        source = config.data.of if config.data.name == "incomplete" else config.data
        found = documented.get((own.name, own.of) if own else (source.name, name), name)
        if found not in ORDER:
            raise ReportError(f"{DATA}: no row for {name!r} of {config.data.name!r}, which {config.reference} reads")
        return found

    inputs = [encoder.get("modality") or name for name, encoder in config.encoders.items()]
    inputs += [aligned] if isinstance(aligned := config.get("aligned", ()), str) else aligned
    inputs += [config.objective.known] if config.objective.get("known") else []
    targets = config.objective.get("targets") or (config.objective.target,)
    given, drawn = {kind(name) for name in inputs}, {kind(name, drawn=True) for name in targets}
    return Task(*(tuple(sorted(names, key=ORDER.index)) for names in (given, drawn))), config.objective.name


def kinds(root: pathlib.Path) -> dict[tuple[str, str], str]:
    """`{(data set, modality): kind}` from the table in `docs/data.md`, so that no data set must be present.

    Raises:
      ReportError: the page has no such table.
    """
    found, current = {}, ""
    for row in re.findall(r"(?m)^\| (.+) \|$", (root / DATA).read_text(encoding="utf-8")):
        columns = [column.strip() for column in row.split("|")]
        if len(columns) != 7 or columns[0] == "set" or set(columns[0]) == {"-"}:
            continue
        current = columns[0].strip("`") or current
        for name in columns[1].split(", "):
            found[current, name.strip("`")] = columns[2]
    if not found:
        raise ReportError(f"{DATA}: expected the table of data sets, with columns set, modality, kind")
    return found
