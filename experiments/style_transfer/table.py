"""Prints the table of results.jsonl in Markdown: python experiments/style_transfer/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Style transfer"
ABOUT = """
Photos of clothing in the style of another picture, 200 pairs of test photos and test styles. How much of the Gram
distance to the style is gone, and how near the content stays to the photo, both in features of a classifier of clothing
that no model is trained with.
"""
FOLDER = pathlib.Path(__file__).parent
COLUMNS = {
    "Gram distance, fall ↑": "test/style/gram_fall",
    "cosine to the photo's content ↑": "test/style/content_cosine",
    "training, processor s": "processor_seconds",
}
OF_THE_MODEL = ("interval", "median", "share_80", "baselines")  # fields of an entry that a control has not


def tables() -> str:
    """The first rows are of the photo with the style's colours, and of the two pictures themselves."""
    lines = read(FOLDER / FILE)
    rows = {}
    for cell in cells.load(FOLDER / "sweep.py"):
        rows.setdefault(cell.label, []).append(cell.config_hash)
    hashes = {config_hash for found in rows.values() for config_hash in found}
    measured = [line for line in lines if line["config_hash"] in hashes]
    controls = {} if not measured else dict(controls_of(measured[0]))
    return markdown({name: [name] for name in controls} | rows, [*controls.values(), *measured], COLUMNS)


def controls_of(line):
    """`(row, line)` of what every model is compared with, from the entries of one model's line."""
    fall, cosine = (line["metrics"][f"test/style/{name}"] for name in ("gram_fall", "content_cosine"))
    known = {
        "the photo itself": ({"value": 0.0}, {"value": 1.0}),
        "the photo with the style's colours": [baseline(entry, "recoloured", "baseline") for entry in (fall, cosine)],
        "the style itself": ({"value": 1.0}, baseline(cosine, "style_itself", "style_itself")),
    }
    for name, values in known.items():
        entries = zip(("gram_fall", "content_cosine"), (fall, cosine), values)
        metrics = {
            f"test/style/{metric}": {key: entry[key] for key in entry if key not in OF_THE_MODEL} | beside
            for metric, entry, beside in entries
        }
        yield name, line | {"config_hash": name, "baseline": name, "metrics": metrics}


def baseline(entry, name, old):
    """The fields of a baseline; older lines have its value alone, as the field `old`."""
    return entry["baselines"][name] if "baselines" in entry else {"value": entry[old]}


if __name__ == "__main__":
    print(tables())
