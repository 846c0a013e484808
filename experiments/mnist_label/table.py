"""Prints the table of results.jsonl in Markdown: python experiments/mnist_label/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Image and label of MNIST"
ABOUT = """
The joint log-likelihood of binarised test images and their labels in nats, by 1,000 importance samples, of 500 epochs
where a row names no number. *Published, of 60,000 training images, by others*: JMVAE -86.86, MVAE -86.26 (other
libraries: -86.85 ± .03, -86.31 ± .08). *one from the other*: the share of labels drawn from images, and of images drawn
from labels in which a judge finds the label.
"""
COLUMNS = {
    "joint log-likelihood, nats ↑": "test/log_likelihood/log_likelihood",
    "one from the other ↑": "test/coherence/given_1",
    "together, prior ↑": "test/coherence/joint_prior",
    "together, mixture of 10 ↑": "test/coherence/joint_gaussian_mixture_10",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
