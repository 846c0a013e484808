"""Draws samples.png, what each family makes of the same texts: python experiments/any_to_any/sheet.py WORKDIR [TARGET]

With a TARGET (image, audio or video), the sheets of this target alone: digits_TARGET.png and scenes_TARGET.png, of the
data that have runs in WORKDIR.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

PROMPTS = {
    "digits": ("the number zero", "digit two", "a handwritten 7", "nine"),
    "scenes": ("a small red circle", "a large blue star", "the big yellow ring"),
}
TARGETS = ("image", "audio", "video")
FAMILIES = ("adversarial", "variational", "autoregressive", "diffusion")


def parts(runs, data, targets):
    """`{title: sheet}`, for each target that has runs."""
    made = {}
    for target in targets:
        labels = {family: f"{data}: text to {target}, {family}" for family in FAMILIES}
        if found := {family: runs[label] for family, label in labels.items() if label in runs}:
            made[f"{data}: text to {target}"] = sheets.prompt_sheet(found, PROMPTS[data], num=2)
    return made


if __name__ == "__main__":
    workdir, *targets = sys.argv[1:] or [""]
    if not workdir or len(targets) > 1 or not set(targets) <= set(TARGETS):
        sys.exit(__doc__)
    folder = pathlib.Path(__file__).parent
    runs = sheets.first_runs(folder / "sweep.py", workdir)
    if targets:
        for data in PROMPTS:
            if made := parts(runs, data, targets):
                sheets.save(sheets.stack(made), folder, f"{data}_{targets[0]}")
    else:
        sheets.save(sheets.stack(parts(runs, "digits", TARGETS) | parts(runs, "scenes", TARGETS)), folder, "samples")
