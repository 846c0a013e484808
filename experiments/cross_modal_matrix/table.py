"""Prints one matrix for each family from results.jsonl in Markdown: python experiments/cross_modal_matrix/table.py"""

import itertools
import pathlib

from mmgen_jax.results import lines
from mmgen_jax.results.cells import load

TITLE = "Any subset to any other modality"
ABOUT = """
Digits. Rows are the modalities given, columns the modality drawn; one model for each column, trained with a random
subset of the other three. A cell has the share of samples in which a judge recognises the digit, and its 95 % interval
(Wilson); of texts, the share that is one of the true captions. The judges are classifiers trained on MNIST, on spoken
digits and on moving digits; `real` is their share on the true targets. Texts are drawn by the LSTM of `autoregressive`
in every matrix. `mean` and `worst` are of the cells of a matrix. One seed.
"""
KINDS = ("text", "image", "audio", "video")
FAMILIES = ("diffusion", "autoregressive", "variational", "adversarial")
NOT_RUN = "not run"


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    by_hash = {line["config_hash"]: line for line in lines.read(folder / lines.FILE)}
    found = {cell.label: by_hash.get(cell.config_hash) for cell in load(folder / "sweep.py")}
    run = {label.partition(", ")[2] for label, line in found.items() if line}
    parts = [
        f"{family.capitalize()}\n\n{matrix(found, family) if family in run else 'Not run.'}" for family in FAMILIES
    ]
    shown = [line for line in found.values() if line]
    commits, machines = (", ".join(dict.fromkeys(str(line[key]) for line in shown)) for key in ("commit", "hardware"))
    return "\n\n".join([*parts, f"Commit: {commits}. Hardware: {machines}." if shown else "No run yet."])


def matrix(found, family: str) -> str:
    columns = {kind: found[f"{kind}, {family if kind != 'text' else 'autoregressive'}"] for kind in KINDS}
    rows, values = [["", *KINDS], ["---", *["---:"] * len(KINDS)]], []
    for size in (1, 2, 3):
        for given in itertools.combinations(KINDS, size):
            row = [f"from {' + '.join(given)}"]
            for kind in KINDS:
                entry = None if kind in given else entry_of(columns[kind], kind, given)
                values += [entry["value"]] if entry else []
                row.append("–" if kind in given else shown(entry))
            rows.append(row)
    rows.append(["real", *(f"{reference:.3f}" if reference else "–" for reference in map(real, columns.values()))])
    every = sum(4 - size for size in (1, 2, 3) for _ in itertools.combinations(KINDS, size))
    whole = f"Mean {sum(values) / len(values):.3f}, worst {min(values):.3f}, of " if values else "Of "
    body = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"{body}\n\n{whole}{len(values)} of {every} cells."


def entry_of(line, kind: str, given: tuple[str, ...]):
    name = f"test/captions/{'+'.join(given)}/exact" if kind == "text" else f"test/accuracy/{'+'.join(given)}/accuracy"
    return line["metrics"][name] if line else None


def shown(entry) -> str:
    return f"{entry['value']:.3f} [{entry['interval'][0]:.3f}, {entry['interval'][1]:.3f}]" if entry else NOT_RUN


def real(line) -> float | None:
    metrics = line["metrics"] if line else {}
    shares = (entry for name, entry in metrics.items() if name.endswith(("/exact", "/accuracy")))
    return next((entry["reference"] for entry in shares if "reference" in entry), None)


if __name__ == "__main__":
    print(tables())
