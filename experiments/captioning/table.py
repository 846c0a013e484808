"""Prints the table of results.jsonl in Markdown: python experiments/captioning/table.py"""

import pathlib

from mmgen_jax import tables

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

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
