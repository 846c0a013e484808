"""Prints the tables of results.jsonl in Markdown: python experiments/text_to_image_selection/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import table, value

TITLE = "Sampling settings of text to image on digits"
ABOUT = """
Settings of sampling, measured on the validation split with one training of each model. The rule: of a model's settings,
the one with the lowest Fréchet distance is taken over into its config, which is then measured on the test split.
"""
FRECHET = "validation/frechet/frechet_distance"
COLUMNS = {
    "asked digit recognised ↑": "validation/accuracy/accuracy",
    "Fréchet distance ↓": FRECHET,
    "precision ↑": "validation/frechet/precision",
    "recall ↑": "validation/frechet/recall",
}
FOLDER = pathlib.Path(__file__).parent


def tables() -> str:
    """A table for each model, and what the rule chooses."""
    parts = []
    for model in dict.fromkeys(cell.label.split(", ")[0] for cell in cells.load(FOLDER / "sweep.py")):
        shown = table(FOLDER, COLUMNS, lambda label, model=model: label.startswith(f"{model}, "))
        parts.append(f"**{model}**\n\n{shown.replace(f'| {model}, ', '| ')}\n\n{chosen(model)}")
    return "\n\n".join(parts)


def chosen(model: str) -> str:
    """The setting with the lowest Fréchet distance, and that of the config; of all settings or of none."""
    lines = {line["config_hash"]: line for line in read(FOLDER / FILE)}
    own = [cell for cell in cells.load(FOLDER / "sweep.py") if cell.label.startswith(f"{model}, ")]
    now = next(cell for cell in own if not cell.trained)
    found = {cell.label: value(lines[cell.config_hash], FRECHET) for cell in own if cell.config_hash in lines}
    of_config = f"The config has {now.label.removeprefix(f'{model}, ')}."
    if len(found) < len(own) or None in found.values():
        return f"{of_config} Not every setting is measured, so none is chosen."
    best = min(found, key=lambda label: found[label])
    return f"{of_config} The rule chooses {best.removeprefix(f'{model}, ')}."


if __name__ == "__main__":
    print(tables())
