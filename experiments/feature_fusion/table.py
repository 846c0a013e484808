"""Prints the table of results.jsonl in Markdown: python experiments/feature_fusion/table.py"""

import pathlib

from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import table

TITLE = "Fusing features of clothing"
ABOUT = """
Five features of a photo, each alone, and all five fused in eleven ways: test accuracy, and image-to-image retrieval
among the 372 test photos. The best single feature, texture, has a mean accuracy of 0.684. The mean of every fusion
is 2 to 5 points higher, but the intervals of six of the eleven fusions overlap the interval of texture.
"""
COLUMNS = {
    "accuracy ↑": "test/accuracy/accuracy",
    "recall@1 ↑": "test/retrieval/recall@1",
    "recall@5 ↑": "test/retrieval/recall@5",
    "recall@10 ↑": "test/retrieval/recall@10",
    "training, processor s": "processor_seconds",
}


def chance(lines) -> str:
    """The scores without a model: accuracy of the most frequent class, and recall of random neighbours."""
    metrics = next((line["metrics"] for line in lines if "test/accuracy/accuracy" in line["metrics"]), None)
    if metrics is None:
        return "Without a model: not run"
    recalls = {name: entry["chance"] for name, entry in metrics.items() if "chance" in entry}
    recalls = ", ".join(f"{name.rsplit('/')[-1]} {value:.4f}" for name, value in recalls.items())
    constant = metrics["test/accuracy/accuracy"]["baseline"]
    return (
        f"Without a model: the split's commonest class has accuracy {constant:.4f}; random neighbours have {recalls}."
    )


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    return f"{table(folder, COLUMNS)}\n\n{chance(read(folder / FILE))}"


if __name__ == "__main__":
    print(tables())
