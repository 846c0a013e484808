"""Prints the table of results.jsonl in Markdown: python experiments/missing_modalities/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Training with missing views"
ABOUT = """
MVTCAE, in the last rows MoPoE and MMVAE+, on PolyMNIST of this project (not the published set), where training examples
lack views: completely at random, or more often for the later digits. *kept*: incomplete examples are trained on;
*discarded*: they are not. Test examples are complete. *given k*: the share of the other views in which a judge finds
the digit.
"""
COLUMNS = {f"given {k} ↑": f"test/coherence/given_{k}" for k in range(1, 5)}
COLUMNS |= {
    "log-likelihood, nats ↑": "test/log_likelihood/log_likelihood",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
