"""Prints the tables of results.jsonl in Markdown: python experiments/video_to_image/table.py"""

import pathlib

from mmgen_jax.results.tables import with_baselines

TITLE = "A sharp picture from a clip"
ABOUT = """
The middle frame of a clip, restored from all frames of the clip at half its size with noise: PSNR in dB and SSIM, means
over the test pictures. Under each model stand pictures without a model, from the same clips: a frame, enlarged by
bicubic resampling, and the mean and the median of all frames.
"""
COLUMNS = {
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return with_baselines(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
