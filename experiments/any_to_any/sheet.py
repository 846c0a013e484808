"""Draws samples.png, what each family makes of the same texts: python experiments/any_to_any/sheet.py WORKDIR [TARGET]

With a TARGET (image, audio or video), the sheet of this target alone, as TARGET.png.
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


def sheet(workdir, targets=TARGETS):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    parts = {}
    for data, prompts in PROMPTS.items():
        for target in targets:
            labels = {family: f"{data}: text to {target}, {family}" for family in FAMILIES}
            found = {family: runs[label] for family, label in labels.items() if label in runs}
            if found:
                parts[f"{data}: text to {target}"] = sheets.prompt_sheet(found, prompts, num=2)
    return sheets.stack(parts)


if __name__ == "__main__":
    workdir, *targets = sys.argv[1:] or [""]
    if not workdir or len(targets) > 1 or not set(targets) <= set(TARGETS):
        sys.exit(__doc__)
    name = targets[0] if targets else "samples"
    sheets.save(sheet(workdir, targets or TARGETS), pathlib.Path(__file__).parent, name)
