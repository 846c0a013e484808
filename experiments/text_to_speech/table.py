"""Prints the tables of results.jsonl in Markdown: python experiments/text_to_speech/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Text to speech"
ABOUT = """
Sounds drawn for the texts of the test split. *word error rate*: of the transcripts of an outside recogniser
(`pocketsphinx`) with the grammar of the sentences. *by the own recogniser*: of a recogniser that was trained on the
true sounds of the training split. *recognised*: share of the digits that the judge of sounds recognises. *coverage*:
attention of the least attended character of a text. *stopped*: share of the sounds that end before the limit. Flow
matching has durations in place of attention: each character has its own frames. Rows of GRID and rows of digits are not
comparable.
"""
COLUMNS = {
    "word error rate ↓": "test/errors/word_error_rate",
    "by the own recogniser ↓": "test/own_errors/word_error_rate",
    "recognised ↑": "test/accuracy/accuracy",
    "coverage ↑": "test/alignment/coverage",
    "every character covered ↑": "test/alignment/covered",
    "diagonality ↑": "test/alignment/diagonality",
    "stopped ↑": "test/alignment/stopped",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
