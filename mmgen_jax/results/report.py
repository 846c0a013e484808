"""The pages that are made of configs and results lines: `docs/results.md`, the matrix in README.md, every table.

An experiment is a folder with a `table.py` that defines

    TITLE: str           the heading of its section
    ABOUT: str           the sentences that a reader of the tables needs: what a column is, which judge or split
    tables() -> str      its tables in Markdown, with where their numbers come from
"""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import re
from collections.abc import Iterable, Mapping

from mmgen_jax.config import loading
from mmgen_jax.errors import ReportError
from mmgen_jax.results import cells, lines

RESULTS, README, DATA = "docs/results.md", "README.md", "docs/data.md"
# The sections of the results in this order; the others follow by name.
FIRST = ("quickstart", "unconditional", "text_to_image", "text_to_image_scenes", "text_to_image_families")
FIRST += ("text_to_image_emoji", "captioning", "recognition", "retrieval")
INTRODUCTION = """\
Written by `mmgen report` from `experiments/*/results.jsonl`. A number stands here only with its line there, which has
config, seed, commit and hardware. *seeds*: the runs that have a line, of those that the sweep asks for. *training, s*:
the time of the steps. How an experiment was run, and what its numbers do and do not say, is in its README."""
SUPPORT = ("<!-- support: written by mmgen report -->", "<!-- end of support -->")
# What each family is meant to make in the end. A cell outside of it that no config fills is empty, not planned.
ORDER = ("text", "image", "audio", "video", "vector", "label", "any")  # of the kinds in the matrix
CONTINUOUS = ("image", "audio", "video")
OUTPUTS = {
    **dict.fromkeys(("adversarial", "variational", "reconstruction", "diffusion"), CONTINUOUS),
    **dict.fromkeys(("autoregressive", "contrastive"), ("text", *CONTINUOUS)),
    "adversarial_text": ("text",),
    "recognition": ("label",),
}
NEED_INPUT = ("contrastive", "recognition", "adversarial_text")
NO_INPUT = ("reconstruction",)  # it encodes its target
PLANNED = {"image": "image", "audio": "any", "video": "any"}  # output: input, rows that stand until a config fills them


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A folder of `experiments/` with its tables."""

    folder: pathlib.Path
    title: str
    about: str
    tables: str

    @property
    def link(self) -> str:
        """To its section of the results, from the root."""
        return f"{RESULTS}#{anchor(self.title)}"


@dataclasses.dataclass(frozen=True)
class Task:
    """What a config makes from what: kinds of modalities, not their names."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' + '.join(self.inputs) or 'nothing'} → {' + '.join(self.outputs)}"

    @property
    def rank(self) -> list:
        return [[ORDER.index(kind) for kind in kinds] for kinds in (self.outputs, self.inputs)]


def pages(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Every page that is made of configs and results lines, as it should be: `{path: text}`.

    Relative paths of configs in sweep files are of the working directory, which has to be `root`.

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
    """The page of all results."""
    found = list(found)
    contents = [f"- [{experiment.title}](#{anchor(experiment.title)})" for experiment in found]
    parts = ["# Results", INTRODUCTION, "\n".join(contents)]
    for experiment in found:
        readme = f"[experiments/{experiment.folder.name}](../experiments/{experiment.folder.name}/{README})"
        parts += [f"## {experiment.title}", f"{experiment.about}\nMore: {readme}.", experiment.tables]
    return "\n\n".join(parts) + "\n"


def anchor(title: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def between(text: str, begin: str, end: str, new: str, where: str) -> str:
    """The text with `new` between two markers in it."""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ReportError(f"{where}: expected one line {begin!r} and, behind it, one line {end!r}")
    return f"{text.partition(begin)[0]}{begin}\n\n{new}\n\n{end}{text.partition(end)[2]}"


def with_tables(text: str, tables: str) -> str:
    """A page with the tables as its section `## Results`; as it is where it has no such section."""
    before, heading, rest = text.partition("## Results\n")
    following = re.search(r"^## ", rest, re.MULTILINE)
    return (
        f"{before}{heading}\n{tables}\n" + (f"\n{rest[following.start() :]}" if following else "") if heading else text
    )


def support(root: pathlib.Path, found: Iterable[Experiment]) -> str:
    """The matrix of input and output by family: measured with its link, trains, planned, or empty."""
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
    for task in sorted(tasks, key=lambda task: task.rank):
        rows.append([str(task), *(_cell(task, family, trains, measured) for family in families)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(task: Task, family: str, trains, measured: Mapping[tuple[Task, str], str]) -> str:
    if (task, family) in measured:
        return f"[measured]({measured[task, family]})"
    if (task, family) in trains:
        return "trains"
    unfit = NO_INPUT if task.inputs else NEED_INPUT
    return "planned" if set(task.outputs) <= set(OUTPUTS.get(family, ())) and family not in unfit else ""


def _measured(folder: pathlib.Path) -> list:
    """The configs of an experiment's trained runs that have a line."""
    if not (folder / "sweep.py").is_file():
        return []
    hashes = {line.get("config_hash") for line in lines.read(folder / lines.FILE)}
    return [cell.config for cell in cells.load(folder / "sweep.py") if cell.config_hash in hashes and not cell.baseline]


def references(root: pathlib.Path) -> list[str]:
    """Every config with every argument that its `ARGUMENTS` lists; not those that take a folder of the user's."""
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
    """What a config makes from what, and by which family."""

    def kind(name: str) -> str:
        found = documented.get((config.data.name, name), name)
        if found not in ORDER:
            raise ReportError(f"{DATA}: no row for {name!r} of {config.data.name!r}, which {config.reference} reads")
        return found

    inputs = [encoder.get("modality") or name for name, encoder in config.encoders.items()]
    inputs += [aligned] if isinstance(aligned := config.get("aligned", ()), str) else aligned
    targets = config.objective.get("targets") or (config.objective.target,)
    kinds = [tuple(sorted(set(map(kind, names)), key=ORDER.index)) for names in (inputs, targets)]
    return Task(kinds[0], kinds[1]), config.objective.name


def kinds(root: pathlib.Path) -> dict[tuple[str, str], str]:
    """`{(set, modality): kind}`, of the table of data sets; it needs none of their files."""
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
