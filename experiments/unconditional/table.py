"""Prints the tables of results.jsonl in Markdown: python experiments/unconditional/table.py"""

import pathlib

from mmgen_jax.results import tables

COLUMNS = {
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "precision ↑": "test/frechet/precision",
    "recall ↑": "test/frechet/recall",
    "PSNR of reconstruction, dB ↑": "test/reconstruction/psnr",
    "ELBO, nats ↑": "test/likelihood/elbo",
    "training, s": "seconds",
}
OF_CLOTHING = {"kernel distance ↓": "test/frechet/kernel_distance"} | {
    name: metric for name, metric in COLUMNS.items() if "ELBO" not in name
}
AT_64 = {
    "MS-SSIM of pairs": "test/ms_ssim/ms_ssim",
    "sliced Wasserstein, thousandths ↓": "test/swd/swd",
    **{f"at {side} px ↓": f"test/swd/swd_{side}" for side in (64, 32, 16)},
    "training, s": "seconds",
}

if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    print(tables.table(folder, COLUMNS, lambda label: "64 px" not in label and "clothing" not in label))
    print("\n" + tables.table(folder, OF_CLOTHING, lambda label: "clothing" in label))
    print("\n" + tables.table(folder, AT_64, lambda label: "64 px" in label))
