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
from mmgen_jax.modalities import kinds
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
Written by `mmgen report` from the lines in `experiments/*`. A number stands here only with its line there, which has
config, seed, commit and hardware. *seeds*: the runs that have a line, of those that the sweep asks for. *training,
processor s*: the processor time of the steps, over all cores, which other work on the machine changes little; a table
has this column where a line has the time. How an experiment was run, and what its numbers do and do not say, is in its
README."""
SUPPORT = ("<!-- support: written by mmgen report -->", "<!-- end of support -->")
ORDER = ("text", "image", "audio", "video", "vector", "label", "any")  # of the kinds in the matrix; others follow
CONTINUOUS = ("image", "audio", "video")
# The kinds that each family can have as target in principle: *planned*, where no config has such a target. Other
# families are in the matrix with their configs alone.
OUTPUTS = {
    **dict.fromkeys(("adversarial", "variational", "reconstruction", "diffusion", "regression"), CONTINUOUS),
    "flow": ("audio",),
    "autoregressive": ("text", *CONTINUOUS),
    "contrastive": ("text",),
    "adversarial_text": ("text",),
    "recognition": ("label",),
}
KNOWN_AS = {
    "adversarial": "GAN",
    "variational": "VAE",
    "reconstruction": "autoencoder",
    "diffusion": "flow matching",
    "regression": "by the error",
    "autoregressive": "transformer, LSTM",
    "contrastive": "retrieval",
    "adversarial_text": "captions by a GAN",
    "cycle_adversarial": "CycleGAN",
    "cycle_semantic": "CycleGAN with labels",
    "style_transfer": "AdaIN, Gram matrices",
    "recognition": "classes",
    "flow": "normalising flow",
    "matcha": "flow matching, durations",
    "multimodal_vae": "MVAE, MoPoE, …",
}


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
    """A task of a config: the kinds of its inputs and the kind of its output; an entry of the matrix."""

    inputs: tuple[str, ...]
    output: str

    @property
    def given(self) -> str:
        return " + ".join(self.inputs) or "nothing"


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
    """The matrix of families and outputs; a cell lists the inputs, see `_cell`."""
    documented = documented_kinds(root)
    trains: set[tuple[Task, str]] = set()
    for reference in references(root):
        trains |= tasks_of(loading.load(reference), documented)
    measured: dict[tuple[Task, str], str] = {}
    for experiment in found:
        for config in _measured(experiment.folder):
            for entry in tasks_of(config, documented):
                measured.setdefault(entry, experiment.link)
    trains |= set(measured)
    of = {name: [task for task, family in trains if family == name] for name in {family for _, family in trains}}
    outputs = sorted({task.output for task, _ in trains}, key=_place)
    rows = [["", *(f"→ {output}" for output in outputs)], ["---"] * (len(outputs) + 1)]
    for family in [name for name in (*OUTPUTS, *sorted(set(of) - set(OUTPUTS))) if name in of]:
        known = f" ({KNOWN_AS[family]})" if family in KNOWN_AS else ""
        rows.append([f"`{family}`{known}", *(_cell(family, output, of[family], measured) for output in outputs)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _place(kind: str) -> tuple[int, str]:
    """A key that sorts kinds as in `ORDER`, and those that are not in `ORDER` behind them, by name."""
    return (ORDER.index(kind) if kind in ORDER else len(ORDER)), kind


def _cell(family: str, output: str, tasks: Iterable[Task], measured: Mapping[tuple[Task, str], str]) -> str:
    """The inputs from which a family draws an output: a link to their results, `inputs` where a config trains only."""
    drawn = sorted((t for t in tasks if t.output == output), key=lambda t: [_place(kind) for kind in t.inputs])
    inputs = [f"[{t.given}]({measured[t, family]})" if (t, family) in measured else f"`{t.given}`" for t in drawn]
    return ", ".join(inputs) or ("*planned*" if output in OUTPUTS.get(family, ()) else "")


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


def tasks_of(config, documented: Mapping[tuple[str, str], str]) -> set[tuple[Task, str]]:
    """The tasks of a config, each with the config's family: one task for each target. The inputs are the conditions
    and, in a family with several targets, the other targets.

    Raises:
      ReportError: a modality that `docs/data.md` has no row for.
    """

    def kind(name: str, drawn: bool = False) -> str:
        entry = config.get("derived", {}).get(name, {})
        if of := entry.get("of"):  # a computed input has the kind of its source: a frame of a clip is a part of a clip
            gives = getattr(lookup.find("transforms", entry.name), "gives", "") if drawn else ""
            return gives or kind(of if isinstance(of, str) else of[0], drawn)
        own = config.data.get("sets", {}).get(name)  # of `unpaired`
        source = config.data.of if config.data.name == "incomplete" else config.data
        found = documented.get((own.name, own.of) if own else (source.name, name), name)
        if found not in (*ORDER, *kinds.names()):
            raise ReportError(f"{DATA}: no row for {name!r} of {config.data.name!r}, which {config.reference} reads")
        return found

    inputs = [encoder.get("modality") or name for name, encoder in config.encoders.items()]
    inputs += [aligned] if isinstance(aligned := config.get("aligned", ()), str) else aligned
    inputs += [config.objective.known] if config.objective.get("known") else []
    targets = config.objective.get("targets") or (config.objective.target,)
    given = {target: [*inputs, *(other for other in targets if other != target)] for target in targets}
    return {
        (
            Task(tuple(sorted(set(map(kind, given[target])), key=_place)), kind(target, drawn=True)),
            config.objective.name,
        )
        for target in targets
    }


def documented_kinds(root: pathlib.Path) -> dict[tuple[str, str], str]:
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
