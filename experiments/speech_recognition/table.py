"""Prints the tables of results.jsonl in Markdown: python experiments/speech_recognition/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Speech recognition"
ABOUT = """
Words of sounds of the test split. *word error rate*: edits per reference word, over all sentences. *exact*: the share
of sentences without an error; of spoken digits, the accuracy. The first rows are controls on the same examples: an
outside recogniser with the sentences' grammar (`pocketsphinx`), the model's transcripts against the sentences of other
examples, and the most frequent training sentence for every example.
"""
FOLDER = pathlib.Path(__file__).parent
COLUMNS = {
    "word error rate ↓": "test/errors/word_error_rate",
    "character error rate ↓": "test/errors/character_error_rate",
    "exact ↑": "test/errors/exact",
    "training, processor s": "processor_seconds",
}
CONTROLS = {
    "pocketsphinx": "outside",
    "CTC, shuffled sentences": "shuffled",
    "most frequent sentence": "baseline",
}


def tables() -> str:
    """A table for each data set; its first rows are controls, from the first model's line."""
    lines, rows = read(FOLDER / FILE), {}
    for cell in cells.load(FOLDER / "sweep.py"):
        dataset, _, model = cell.label.partition(", ")
        rows.setdefault(dataset, {}).setdefault(model, []).append(cell.config_hash)
    shown = []
    for dataset, models in rows.items():
        hashes = {config_hash for found in models.values() for config_hash in found}
        measured = [line for line in lines if line["config_hash"] in hashes]
        controls, first = control_lines(measured), {}
        for line in controls:
            first.setdefault(line["baseline"], []).append(line["config_hash"])
        shown.append(f"**{dataset}**\n\n" + markdown(first | models, [*controls, *measured], COLUMNS))
    return "\n\n".join(shown)


def control_lines(measured):
    """Lines of the controls, made from their values in the first measured line."""
    found = []
    for label, field in CONTROLS.items():
        for line in measured[:1]:
            entries = {name: entry for name, entry in line["metrics"].items() if entry.get(field) is not None}
            values = {
                name: {"value": entry[field], "n": entry["n"], "examples": entry["examples"]}
                for name, entry in entries.items()
            }
            if values:
                found.append(line | {"config_hash": f"{label} 0", "baseline": label, "metrics": values})
    return found


if __name__ == "__main__":
    print(tables())
