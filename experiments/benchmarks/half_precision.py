"""Does a family train in bfloat16 as in float32? The losses of a small copy of one config of each family, side by side.

    PYTHONPATH=.:tests python experiments/benchmarks/half_precision.py --append

Parameters, optimizer state, statistics and losses are float32 in both (`tests/config/test_large_configs.py`). The
number of a family is the largest difference of the two loss curves of its players, each a mean of five steps, relative
to the largest absolute loss. Ends with an error where a loss is not finite. Configs of real data need `MMGEN_DATA`.
"""

from __future__ import annotations

import argparse
import pathlib
import time

import jax
import numpy as np
import tiny

from mmgen_jax.config import loading
from mmgen_jax.results.lines import FILE, append, commit, hardware

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/half_precision"
WINDOW = 5  # steps
FAMILIES = {
    "adversarial": "dcgan:scenes",
    "variational": "vae:scenes",
    "reconstruction": "cae",
    "diffusion": "text_to_image_diffusion:scenes",
    "autoregressive": "image_captioning:scenes",
    "recognition": "video_recognition:scenes",
    "contrastive": "image_text_retrieval",
    "multimodal_vae": "multimodal_vae:captioned_shapes",
    "ctc": "speech_recognition",
    "tacotron": "text_to_speech",
    "cycle_adversarial": "image_translation_unpaired",
    "flow": "vocoder_flow",
}


def curves(reference: str, dtype: str, steps: int) -> dict[str, np.ndarray]:
    """`{player: losses, a mean for each WINDOW}`."""
    config = tiny.shrink(loading.load(reference))
    with config.unlocked():
        config.dtype, config.parallel.num_devices = dtype, 1
    _, metrics = tiny.Training(config).run(steps)
    losses = {name: np.array(values) for name, values in metrics.items() if name.endswith("/loss")}
    if wrong := [name for name, values in losses.items() if not np.isfinite(values).all()]:
        raise SystemExit(f"{reference} in {dtype}: {wrong[0]} is not finite")
    return {name: values.reshape(-1, WINDOW).mean(axis=1) for name, values in losses.items()}


def difference(reference: str, steps: int) -> float:
    full, half = (curves(reference, dtype, steps) for dtype in ("float32", "bfloat16"))
    return max(float(np.abs(half[name] - full[name]).max() / np.abs(full[name]).max()) for name in full)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40, help=f"a multiple of {WINDOW}")
    parser.add_argument("--families", default=",".join(FAMILIES), help="comma-separated; default: all")
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    args = parser.parse_args()
    for family in args.families.split(","):
        began = time.monotonic()
        found = difference(FAMILIES[family], args.steps)
        print(f"{family} ({FAMILIES[family]}): {found:.4f}", flush=True)
        line = {"experiment": NAME, "config": FAMILIES[family], "overrides": {}, "seed": 0, "commit": commit()}
        line |= {"hardware": hardware(), "seconds": round(time.monotonic() - began, 1), "steps": args.steps}
        if args.append:
            append(FOLDER / FILE, line | {"metrics": {"family": family, "difference": round(found, 5)}})
        jax.clear_caches()


if __name__ == "__main__":
    main()
