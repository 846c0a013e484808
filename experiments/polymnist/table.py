"""Prints the table of results.jsonl in Markdown: python experiments/polymnist/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Five views of a digit"
ABOUT = """
Multimodal VAEs on PolyMNIST of this project, **which is not the published set** (`mmgen_jax/data/polymnist.py`); every
row without a number of epochs has the same dense networks, 32 latents and 3,000 steps of 128. *given k*: the share of
the other views in which a judge finds the digit. *together*: the share of joint draws with one digit in all five views,
by the sampler of the latents. *Published, on the published images, 300 epochs*: given 1, 2, 3, 4 views MoPoE .66, .77,
.81, .83, MVTCAE .69, .77, .83, .86, MMVAE+ .869 on average.
"""
COLUMNS = {f"given {k} ↑": f"test/coherence/given_{k}" for k in range(1, 5)}
COLUMNS |= {
    "together, prior ↑": "test/coherence/joint_prior",
    "mixture of 10 ↑": "test/coherence/joint_gaussian_mixture_10",
    "aggregate posterior ↑": "test/coherence/joint_aggregate_posterior",
    "linear probe ↑": "test/probe/accuracy",
    "log-likelihood, nats ↑": "test/log_likelihood/log_likelihood",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
