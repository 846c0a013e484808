"""Our steps and samplers beside the same networks in PyTorch: the time of each, on the same machine, in turns.

    PYTHONPATH=. taskset -c 0 python experiments/benchmarks/peers.py --append           # one core
    PYTHONPATH=. python experiments/benchmarks/peers.py --rows=dcgan_28,unet_step       # some rows, not stored

Ours is the compiled step as the config builds it, with its optimizer, moving average and metrics. PyTorch has the same
network with the same parameters (the folder `pytorch`), the same optimizer (fused Adam) and moving average; it runs
eagerly and compiled by `torch.compile`, each with pictures channels-first and channels-last, and the fastest of these
four programs is compared. A sampler that is a loop over tokens runs eagerly.

Before a row is timed, both sides get the same weights, batch and random numbers, and their losses, the norms of their
gradients, or their samples must agree. Then the programs run in turns; times are medians over the rounds. Both sides
have huge pages where the kernel gives them. Augmentation is off. Without PyTorch the script ends with a message.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from mmgen_jax.commands import process

process.prepare(["peers", "train"])  # huge pages; before JAX is loaded

import fixed_draws  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from mmgen_jax.config import loading, override  # noqa: E402
from mmgen_jax.config.system import build_system, open_source  # noqa: E402
from mmgen_jax.networks.layers import randomness  # noqa: E402
from mmgen_jax.results.lines import FILE, append, commit, hardware  # noqa: E402
from mmgen_jax.runs.workdir import create_state  # noqa: E402
from mmgen_jax.train_step import train_step  # noqa: E402
from mmgen_jax.training import parallel  # noqa: E402

FOLDER = pathlib.Path(__file__).parent
NAME = "benchmarks/peers"
VARIANTS = ("eager", "channels-last", "compiled", "compiled channels-last")
TOLERANCE = 2e-3  # relative, of losses and gradient norms
PLAIN = {"augment": None}


@dataclasses.dataclass(frozen=True)
class Row:
    """A config with `changes`, the module and class in `pytorch/`; `check`: further changes, against random draws.

    `method` is `step`, or `sample` with `size` examples.
    """

    config: str
    peer: str
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    check: dict[str, Any] = dataclasses.field(default_factory=dict)
    method: str = "step"
    size: int = 0


WIDE = {"generator.width": 64, "generator.max_width": 256, "discriminator.width": 64}
VIT = {"encoders.image.name": "image.vit", "encoders.image.patch_size": 7}
GREEDY = {"objective.temperature": 0.0}
ROWS = {
    "dcgan_28": Row("dcgan:digits", "images.Gan"),
    "dcgan_32_wide": Row("dcgan:scenes", "images.Gan", WIDE),
    "vae_28": Row("vae:digits", "images.Vae"),
    "transformer_step": Row("text_to_image_autoregressive:digits", "sequences.Transformer"),
    "transformer_sampling": Row(
        "text_to_image_autoregressive:digits", "sequences.Transformer", {}, GREEDY, "sample", 16
    ),
    "captioner": Row("image_captioning:scenes", "sequences.Captioner", {}, {"generator.dropout": 0.0}),
    "unet_step": Row("text_to_image_diffusion:digits", "images.Diffusion"),
    "unet_sampling": Row("text_to_image_diffusion:digits", "images.Diffusion", {}, {}, "sample", 16),
    "cnn_recognition": Row("image_recognition:digits", "recognition.Cnn", PLAIN),
    "vit_recognition": Row("image_recognition:digits", "recognition.Vit", PLAIN | VIT),
    "video_frame_lstm": Row("video_recognition:scenes", "recognition.FrameLstm", PLAIN),
    "video_conv3d": Row("video_recognition:scenes,conv3d", "recognition.Conv3d", PLAIN),
    "quickstart": Row("quickstart", "images.Quickstart", {}, {"fusion.modality_dropout": None}),
    "pix2pix": Row("image_translation", "images.Pix2pix", PLAIN, {"generator.dropout": 0.0}),
    "conv_lstm": Row("video_to_video", "clips.ConvLstm"),
    "wavenet_step": Row("vocoder_wavenet", "sounds.WaveNet"),
    "wavenet_sampling": Row("vocoder_wavenet", "sounds.WaveNet", {}, GREEDY, "sample", 4),
    "tacotron_step": Row("text_to_speech:spoken_digits", "sounds.Tacotron", {}, {"encoders.text.dropout": 0.0}),
}


class Ours:
    """Our side of a row, as the config builds it."""

    def __init__(self, row: Row, **changes):
        self.row = row
        self.config = override.override(loading.load(row.config), row.changes | changes)
        source = open_source(self.config)
        labels = tuple(getattr(source, "label_preserving", ()))
        self.system = build_system(self.config, source.modalities, label_preserving=labels)
        size = row.size or self.config.train.batch_size
        self.batch = source.read(np.arange(size), np.zeros(size, int))
        self.layout = parallel.create("jit", size, num_devices=1)
        self.create = functools.partial(create_state, self.config, self.system)
        self.players = tuple(p for p in self.system.objective.players if p != "tokenizer")

    def state(self):
        """A state whose codebook has codes: that of a tokenizer that has seen nothing has none."""
        state = self.layout.init(self.create)
        if "tokenizer" in state.stats:
            codebook = state.stats["tokenizer"]["codebook"]["quantizer"]
            codebook["usage"] = jnp.ones_like(codebook["usage"])
            codebook["sums"] = jax.random.normal(jax.random.key(1), codebook["sums"].shape)
        return state

    def program(self, state) -> Callable[[], Any]:
        """One step, or one call of the sampler."""
        batch = self.layout.put(self.batch)
        if self.row.method == "sample":
            sample = self.sampler()
            return lambda: jax.block_until_ready(sample(state.params, state.collections, batch, jax.random.key(0)))
        step = functools.partial(
            train_step, objective=self.system.objective, optimizers=self.system.optimizers, seed=self.config.seed
        )
        compiled, held = self.layout.compile_step(step, state), [jax.tree.map(jnp.copy, state)]

        def run():
            held[0], metrics = compiled(held[0], batch, self.players)
            jax.block_until_ready(metrics)

        return run

    def sampler(self):
        targets = self.system.objective.targets

        @jax.jit
        def sample(params, collections, batch, rng):
            given = {name: array for name, array in batch.items() if name.partition("/")[0] not in targets}
            return self.system.objective.sample(params, collections, given, rng)

        return sample

    def check(self, state) -> dict[str, Any]:
        """`{player: (loss, norm of the gradient)}`, or `{"sample": array}`, with the numbers of `fixed`."""
        objective, batch = self.system.objective, jax.tree.map(jnp.asarray, self.batch)
        with mock.patch.multiple(randomness, normal=fixed_draws.normal, uniform=fixed_draws.uniform):
            if self.row.method == "sample":
                (drawn,) = self.sampler()(state.params, state.collections, batch, jax.random.key(0)).values()
                return {"sample": np.asarray(drawn)}
            found = {}
            for player in self.players:

                def loss(own, state, batch, player=player):
                    params = state.params | {player: own}
                    return objective.loss(player, params, state.collections, batch, jax.random.key(0), 10**9)[0]

                value, grads = jax.jit(jax.value_and_grad(loss))(state.params[player], state, batch)
                norm = math.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(grads)))
                found[player] = float(value), norm
        return found


def check(name: str, row: Row) -> dict[str, float]:
    """`{"parameters", "error"}`; SystemExit where the two sides do not compute the same."""
    from pytorch.theirs import Theirs

    ours = Ours(row, **row.check)
    state = ours.state()
    theirs = Theirs(ours, state, "eager")
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    if abs(theirs.num_parameters - count) > 0.01 * count:
        raise SystemExit(f"{name}: we have {count:,} parameters, PyTorch {theirs.num_parameters:,}")
    mine, other = ours.check(state), theirs.check()
    if row.method == "sample":
        wrong = float(np.mean(np.abs(mine["sample"] - other["sample"]) > 1e-2))
        if wrong > 0.01:  # a token that is chosen by a difference of rounding changes those behind it
            raise SystemExit(f"{name}: {wrong:.1%} of the values of the samples differ")
        return {"parameters": count, "error": wrong}
    error = max(abs(a / b - 1) for player in mine for a, b in zip(mine[player], other[player]))
    if not error < TOLERANCE:
        raise SystemExit(f"{name}: losses and norms of gradients, ours {mine}, PyTorch's {other}")
    return {"parameters": count, "error": error}


def measure(programs: dict[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, float]:
    """`{program/wall_ms, program/processor_ms}`, medians over `rounds`; in a round each program runs for `seconds`."""
    repeats = {}
    for name, program in programs.items():
        for _ in range(3):
            program()
        began = time.perf_counter()
        program()
        repeats[name] = max(1, round(seconds / (time.perf_counter() - began)))
    found = {}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.perf_counter(), time.process_time()
            for _ in range(repeats[name]):
                program()
            for kind, begun, clock in zip(("wall", "processor"), start, (time.perf_counter(), time.process_time())):
                found.setdefault(f"{name}/{kind}_ms", []).append(1e3 * (clock - begun) / repeats[name])
    return {key: round(statistics.median(values), 3) for key, values in found.items()}


def row(name: str, rounds: int, seconds: float, variants: tuple[str, ...], checked: bool) -> dict[str, float]:
    from pytorch.theirs import Theirs

    metrics = {} if checked else check(name, ROWS[name])
    ours = Ours(ROWS[name])
    state = ours.state()
    theirs = {variant: Theirs(ours, state, variant) for variant in variants}
    if ROWS[name].method == "sample":
        theirs = {v: peer for v, peer in theirs.items() if peer.peer.sample_pieces or not v.startswith("compiled")}
    metrics["gigaflop"] = round(theirs["eager"].flops() / 1e9, 4)
    programs = {"ours": ours.program(state)} | {f"torch {v}": peer.program() for v, peer in theirs.items()}
    metrics |= measure(programs, rounds, seconds)
    for kind in ("wall", "processor"):
        best = min(metrics[f"torch {variant}/{kind}_ms"] for variant in theirs)
        metrics[f"{kind}_ratio"] = round(best / metrics[f"ours/{kind}_ms"], 3)
    return metrics


def product(rounds: int, seconds: float) -> dict[str, float]:
    """Gigaflops of a matrix product of 2,048 by 2,048 float32: what the machine can do."""
    import torch

    size = 2048
    a, b = jnp.ones((size, size)), torch.ones(size, size)
    multiply = jax.jit(jnp.matmul)
    times = measure({"ours": lambda: multiply(a, a).block_until_ready(), "torch": lambda: b @ b}, rounds, seconds)
    speeds = {
        f"{side}/gigaflops": round(2 * size**3 / 1e6 / times[f"{side}/processor_ms"], 1) for side in ("ours", "torch")
    }
    return times | speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(["product", *ROWS]), help="comma-separated; default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each program in a round")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="of PyTorch")
    parser.add_argument("--check", action="store_true", help="compare the computations, time nothing")
    parser.add_argument("--checked", action="store_true", help="the computations were compared before; only time")
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    args = parser.parse_args()
    if unknown := set(args.rows.split(",")) - {"product", *ROWS}:
        parser.error(f"--rows: expected some of product, {', '.join(ROWS)}, got {min(unknown)!r}")
    try:
        import torch
    except ImportError:
        sys.exit("peers.py: PyTorch is not installed; pip install 'mmgen_jax[bench]'")
    sys.path.insert(0, str(FOLDER))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for name in args.rows.split(","):
        began = time.monotonic()
        if args.check:
            print(name, check(name, ROWS[name]), flush=True)
            continue
        with contextlib.suppress(AttributeError):
            torch._dynamo.reset()
        if name == "product":
            metrics = product(args.rounds, args.seconds)
        else:
            metrics = row(name, args.rounds, args.seconds, tuple(args.variants.split(",")), args.checked)
        metrics["load_average"] = round(os.getloadavg()[0], 2)
        print(name, metrics, flush=True)
        line = {"experiment": NAME, "config": name, "overrides": {}, "seed": 0, "commit": commit()}
        line |= {"hardware": f"{hardware()}, jax {jax.__version__}, torch {torch.__version__}"}
        line |= {"seconds": round(time.monotonic() - began, 1), "steps": args.rounds}
        if args.append:
            append(FOLDER / FILE, line | {"metrics": metrics})
        jax.clear_caches()


if __name__ == "__main__":
    main()
