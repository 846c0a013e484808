"""One model for all labels, and a separate model for each label."""

SEEDS = (0, 1, 2)
LABELS = {
    "scenes": ("shape", "color", "size", "motion"),
    "grid_s1": ("command", "color", "preposition", "letter", "digit", "adverb"),
}


def cells():
    for dataset, labels in LABELS.items():
        yield {"label": f"{dataset}, all", "config": f"configs/multi_task.py:{dataset}", "seeds": SEEDS}
        for label in labels:
            yield {
                "label": f"{dataset}, {label} alone",
                "config": f"configs/multi_task.py:{dataset},{label}",
                "seeds": SEEDS,
            }
