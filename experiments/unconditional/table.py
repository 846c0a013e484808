"""Prints the tables of results.jsonl in Markdown: python experiments/unconditional/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Unconditional digits and garments"
ABOUT = """
Three families on digits and on garments, then a GAN on digits
of 64 px. *real training images* are the floor: the distance of a perfect model, which would draw from the data itself;
of garments, whose test split has other class shares, the floor is *classes as in the test split*. *mean training image*
is the trivial predictor. The Fréchet and kernel distances are in the features of a classifier of the same data set;
compare them only within one column and one judge. The row *classes as in the test split* has another judge than the
other rows of garments.
"""
COLUMNS = {
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "precision ↑": "test/frechet/precision",
    "recall ↑": "test/frechet/recall",
    "PSNR of reconstruction, dB ↑": "test/reconstruction/psnr",
    "ELBO, nats ↑": "test/likelihood/elbo",
    "training, processor s": "processor_seconds",
}
OF_CLOTHING = {"kernel distance ↓": "test/frechet/kernel_distance"} | {
    name: metric for name, metric in COLUMNS.items() if "ELBO" not in name
}
AT_64 = {
    "MS-SSIM of pairs": "test/ms_ssim/ms_ssim",
    "sliced Wasserstein, thousandths ↓": "test/swd/swd",
    **{f"at {side} px ↓": f"test/swd/swd_{side}" for side in (64, 32, 16)},
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    """The tables of digits, of garments, and of digits at 64 px."""
    folder = pathlib.Path(__file__).parent
    digits = table(folder, COLUMNS, lambda label: "64 px" not in label and "clothing" not in label)
    garments = table(folder, OF_CLOTHING, lambda label: "clothing" in label)
    return "\n\n".join([digits, garments, table(folder, AT_64, lambda label: "64 px" in label)])


if __name__ == "__main__":
    print(tables())
