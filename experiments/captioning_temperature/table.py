"""Prints the tables of results.jsonl in Markdown: python experiments/captioning_temperature/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Captions: quality and variety over the temperature"
ABOUT = """
Captions of 1,000 test scenes, drawn at several temperatures from one training of each model and seed. *before the
adversary*: the captioner that the adversarial phase of the same run starts from. Quality: *all factors right* and
CIDEr-D. Variety: distinct-2 (higher is more varied) and self-BLEU (lower is more varied). A model is more varied only
where it has more variety at the same quality.
"""
CURVES = ("likelihood", "before the adversary", "adversarial")
COLUMNS = {
    "all factors right ↑": "test/factors/all",
    "CIDEr-D ↑": "test/captions/cider_d",
    "BLEU-4 ↑": "test/captions/bleu_4",
    "distinct-2": "test/captions/distinct_2",
    "self-BLEU": "test/captions/self_bleu",
    "all, compositional ↑": "compositional/factors/all",
    "grammatical, compositional ↑": "compositional/factors/grammatical",
}


def tables() -> str:
    """A table for each curve, its rows in the order of the temperature."""
    folder = pathlib.Path(__file__).parent
    parts = []
    for curve in CURVES:
        shown = table(folder, COLUMNS, lambda label, curve=curve: label.startswith(f"{curve}, "))
        parts.append(f"**{curve}**\n\n" + ordered(shown.replace(f"| {curve}, temperature", "| temperature")))
    return "\n\n".join(parts)


def ordered(text: str) -> str:
    """The table with its rows sorted by temperature; the sweep lists the trained temperature first."""
    rows, *notes = text.split("\n\n")
    heading, rule, *body = rows.split("\n")
    body.sort(key=lambda row: float(row.split("|")[1].split()[-1]))
    return "\n\n".join(["\n".join([heading, rule, *body]), *notes])


if __name__ == "__main__":
    print(tables())
