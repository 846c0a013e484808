"""Prints the table of results.jsonl in Markdown: python experiments/mnist_likelihood/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Likelihood of MNIST"
ABOUT = """
The log-likelihood of binarised test images in nats, by 5,000 importance samples for each, of models with one layer of
50 latents. A row without a number of epochs has the published 3,280; rows of 33 epochs are measured on 1,000 images,
others on 10,000. *Published, of 60,000 training images, by others*: VAE -86.76 and IWAE -85.54 (Burda et al., 2016);
-87.01 and -85.18 in reproductions.
"""
COLUMNS = {
    "log-likelihood, nats ↑": "test/log_likelihood/log_likelihood",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
