"""Prints the tables of results.jsonl in Markdown: python experiments/audio_captioning/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Words for sounds"
ABOUT = """
Texts drawn for the sounds of the test split: names of recordings, descriptions of scenes, words of hymns from the first
4 s of their tunes. *nearest sound*: the text of the training sound with the least squared distance of the samples.
*unigram*: independent words of the training texts. *all factors right*: of scenes, shape, colour and size;
a motion that the text states is not judged. *new pairs*: of shape and colour that training never shows. Rows of
different data are not comparable. *Shakespeare*: words of the plays without any sound, the first of two stages; *begins
with Shakespeare*: the decoder starts from the first stage's parameters.
"""
COLUMNS = {
    "BLEU-1 ↑": "test/captions/bleu_1",
    "BLEU-4 ↑": "test/captions/bleu_4",
    "perplexity ↓": "test/likelihood/perplexity",
    "exact ↑": "test/captions/exact",
    "all factors right ↑": "test/factors/all",
    "new pairs: all factors right ↑": "compositional/factors/all",
    "distinct-2": "test/captions/distinct_2",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
