"""Prints the table of results.jsonl in Markdown: python experiments/captioning/table.py"""

import pathlib

from mmgen_jax import results, tables

COLUMNS = {
    "BLEU-4 ↑": "test/captions/bleu_4",
    "CIDEr-D ↑": "test/captions/cider_d",
    "exact ↑": "test/captions/exact",
    "all factors right ↑": "test/factors/all",
    "all, compositional ↑": "compositional/factors/all",
    "distinct-2": "test/captions/distinct_2",
    "self-BLEU": "test/captions/self_bleu",
    "training, s": "seconds",
}


def nearest(lines) -> str:
    """What the caption of the nearest training picture scores, on each data set."""
    measured = {line["config"].split(":")[1].split("_")[0]: line["metrics"] for line in lines}
    parts = []
    for dataset, metrics in measured.items():
        scores = [
            f"{heading.removesuffix(' ↑')} {metrics[metric]['baseline']:.4g}"
            for heading, metric in COLUMNS.items()
            if "baseline" in metrics.get(metric, {})
        ]
        parts.append(f"{dataset}: {', '.join(scores)}")
    return f"The caption of the nearest training picture instead: {'; '.join(parts)}." if parts else ""


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    print(tables.table(folder, COLUMNS), nearest(results.read(folder / results.FILE)), sep="\n\n")
