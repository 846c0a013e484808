"""Times the lowerings of convolutions: single layers (forward and backward) and a whole DCGAN training step.

All programs of a comparison are measured in one process, one after the other in every round, after a warm-up; a number
is the median over the rounds. Wall time depends on the other work of the machine, so the processor time of all threads
is measured too. With PyTorch installed, the same step is also measured in PyTorch.

    python experiments/benchmarks/convolution.py [--rounds=9] [--append] [--only=dcgan]
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mmgen_jax.networks.layers import convolution
from mmgen_jax.networks.layers.blocks import norm
from mmgen_jax.networks.layers.convolution import LOWERINGS

RESULTS = pathlib.Path(__file__).parent / "results.jsonl"
BATCH, WIDTH, LATENT = 64, 64, 100

# transposed, batch, spatial, in, out, kernel, strides
LAYERS = {
    "conv 16x16 64-128 k4 s2": (False, 64, (16, 16), 64, 128, (4, 4), (2, 2)),
    "conv 16x16 16-32 k4 s2": (False, 256, (16, 16), 16, 32, (4, 4), (2, 2)),
    "conv 4096 32-64 k25 s4": (False, 16, (4096,), 32, 64, (25,), (4,)),
    "conv 32x32 64-64 k3 s1": (False, 64, (32, 32), 64, 64, (3, 3), (1, 1)),
    "conv 16x16 64-128 k1 s1": (False, 64, (16, 16), 64, 128, (1, 1), (1, 1)),
    "conv 32x32 64-32 k1 s1": (False, 64, (32, 32), 64, 32, (1, 1), (1, 1)),
    "conv 8x8 256-256 k1 s1": (False, 64, (8, 8), 256, 256, (1, 1), (1, 1)),
    "transposed 4x4 256-128 k4 s2": (True, 64, (4, 4), 256, 128, (4, 4), (2, 2)),
    "transposed 8x8 128-64 k4 s2": (True, 64, (8, 8), 128, 64, (4, 4), (2, 2)),
    "transposed 16x16 64-3 k4 s2": (True, 64, (16, 16), 64, 3, (4, 4), (2, 2)),
    "conv 4096 1-32 k25 s4": (False, 16, (4096,), 1, 32, (25,), (4,)),
    "transposed 256 64-32 k25 s4": (True, 16, (256,), 64, 32, (25,), (4,)),
    "conv 8x16x16 32-64 k4 s2": (False, 8, (8, 16, 16), 32, 64, (4, 4, 4), (2, 2, 2)),
    "conv 8x16x16 32-64 k3 s1": (False, 8, (8, 16, 16), 32, 64, (3, 3, 3), (1, 1, 1)),
    "conv 8x16x16 32-32 k3 s1": (False, 8, (8, 16, 16), 32, 32, (3, 3, 3), (1, 1, 1)),
    "conv 4x8x8 128-128 k3 s1": (False, 8, (4, 8, 8), 128, 128, (3, 3, 3), (1, 1, 1)),
    "conv 8x32x32 3-16 k3 s1": (False, 8, (8, 32, 32), 3, 16, (3, 3, 3), (1, 1, 1)),
    "transposed 4x8x8 64-32 k4 s2": (True, 8, (4, 8, 8), 64, 32, (4, 4, 4), (2, 2, 2)),
}
STEPS = {"dcgan 32x32x3": (4, 3, 3), "dcgan 28x28x1": (7, 2, 1)}  # coarsest size, doublings, channels


def lowerings(rank: int) -> list[str]:
    """Those that run a grid of this rank."""
    return [lowering for lowering in LOWERINGS if lowering != "frames" or rank == 3]


class Generator(nn.Module):
    """DCGAN generator (Radford et al. 2016): `WIDTH` channels before the last layer, twice as many at half the size."""

    low: int
    doublings: int
    channels: int
    lowering: str

    @nn.compact
    def __call__(self, z):
        width = WIDTH << (self.doublings - 1)
        x = nn.Dense(self.low**2 * width)(z).reshape(-1, self.low, self.low, width)
        x = nn.relu(norm("batch", train=True)(x))
        for i in reversed(range(self.doublings - 1)):
            x = convolution.ConvTranspose(WIDTH << i, use_bias=False, lowering=self.lowering)(x)
            x = nn.relu(norm("batch", train=True)(x))
        return jnp.tanh(convolution.ConvTranspose(self.channels, lowering=self.lowering)(x))


class Discriminator(nn.Module):
    doublings: int
    lowering: str

    @nn.compact
    def __call__(self, x):
        for i in range(self.doublings):
            x = convolution.Conv(WIDTH << i, 4, 2, use_bias=i == 0, lowering=self.lowering)(x)
            x = nn.leaky_relu(norm("batch", train=True)(x) if i else x, 0.2)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def jax_step(low: int, doublings: int, channels: int, lowering: str) -> Callable:
    """One update of the discriminator and one of the generator, on the same fake batch."""
    generator, discriminator = Generator(low, doublings, channels, lowering), Discriminator(doublings, lowering)
    optimizer = optax.adam(2e-4, b1=0.5)
    size = low << doublings
    real, z = jax.random.normal(jax.random.key(0), (BATCH, size, size, channels)), jnp.zeros((BATCH, LATENT))

    def update(loss, variables, opt):
        (_, stats), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, opt = optimizer.update(gradient, opt)
        return {"params": optax.apply_updates(variables["params"], updates), **stats}, opt

    def step(state, key):
        (g, d), (g_opt, d_opt) = state
        z = jax.random.normal(key, (BATCH, LATENT))

        def generate(params):
            return generator.apply({**g, "params": params}, z, mutable=["batch_stats"])

        def d_loss(params):
            d_now = {**d, "params": params}
            on_real, stats = discriminator.apply(d_now, real, mutable=["batch_stats"])
            on_fake, _ = discriminator.apply(d_now, generate(g["params"])[0], mutable=["batch_stats"])
            return jnp.mean(nn.softplus(-on_real) + nn.softplus(on_fake)), stats

        d, d_opt = update(d_loss, d, d_opt)

        def g_loss(params):
            fake, stats = generate(params)
            return jnp.mean(nn.softplus(-discriminator.apply(d, fake, mutable=["batch_stats"])[0])), stats

        g, g_opt = update(g_loss, g, g_opt)
        return (g, d), (g_opt, d_opt)

    variables = generator.init(jax.random.key(1), z), discriminator.init(jax.random.key(2), real)
    state = variables, tuple(optimizer.init(v["params"]) for v in variables)
    compiled, key = jax.jit(step).lower(state, jax.random.key(3)).compile(), jax.random.key(3)
    return lambda: jax.block_until_ready(compiled(state, key))


def torch_step(low: int, doublings: int, channels: int, channels_last: bool) -> Callable:
    """The step of `jax_step` in PyTorch, in eager mode."""
    import torch
    import torch.nn.functional as F

    width = WIDTH << (doublings - 1)
    blocks = [torch.nn.Linear(LATENT, low**2 * width), torch.nn.Unflatten(1, (width, low, low))]
    blocks += [torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
    for i in reversed(range(doublings - 1)):
        blocks += [torch.nn.ConvTranspose2d(WIDTH << (i + 1), WIDTH << i, 4, 2, 1, bias=False)]
        blocks += [torch.nn.BatchNorm2d(WIDTH << i), torch.nn.ReLU()]
    blocks += [torch.nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1), torch.nn.Tanh()]
    generator = torch.nn.Sequential(*blocks)
    blocks = []
    for i in range(doublings):
        blocks += [torch.nn.Conv2d(WIDTH << (i - 1) if i else channels, WIDTH << i, 4, 2, 1, bias=i == 0)]
        blocks += [torch.nn.BatchNorm2d(WIDTH << i)] if i else []
        blocks += [torch.nn.LeakyReLU(0.2)]
    discriminator = torch.nn.Sequential(*blocks, torch.nn.Flatten(), torch.nn.Linear(low**2 * width, 1))
    size = low << doublings
    real = torch.randn(BATCH, channels, size, size)
    if channels_last:
        generator, discriminator = (m.to(memory_format=torch.channels_last) for m in (generator, discriminator))
        real = real.to(memory_format=torch.channels_last)
    g_opt = torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.5, 0.999))
    d_opt = torch.optim.Adam(discriminator.parameters(), 2e-4, betas=(0.5, 0.999))

    def step():
        fake = generator(torch.randn(BATCH, LATENT))
        d_opt.zero_grad()
        (F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()).backward()
        d_opt.step()
        discriminator.requires_grad_(False)
        g_opt.zero_grad()
        F.softplus(-discriminator(fake)).mean().backward()
        g_opt.step()
        discriminator.requires_grad_(True)

    return step


def layer_gradients(transposed, batch, spatial, in_features, out_features, kernel, strides, lowering) -> Callable:
    """A program that computes a layer's output and the gradients of its input, kernel and bias."""
    layer = (convolution.ConvTranspose if transposed else convolution.Conv)(
        out_features, kernel, strides, lowering=lowering
    )
    x = jax.random.normal(jax.random.key(0), (batch, *spatial, in_features))
    variables = layer.init(jax.random.key(1), x)

    @jax.jit
    def evaluate(variables, x):
        y, pullback = jax.vjp(layer.apply, variables, x)
        return y, pullback(jnp.ones_like(y))

    return lambda: jax.block_until_ready(evaluate(variables, x))


def measure(programs: dict[str, Callable], rounds: int) -> dict[str, tuple[float, float]]:
    """`{program: (wall, processor)}`, medians over the rounds in ms; each round runs every program once."""
    for program in programs.values():
        program(), program()
    wall, processor = {name: [] for name in programs}, {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.perf_counter(), time.process_time()
            program()
            wall[name].append(1e3 * (time.perf_counter() - start[0]))
            processor[name].append(1e3 * (time.process_time() - start[1]))
    return {name: (statistics.median(wall[name]), statistics.median(processor[name])) for name in programs}


def has_torch() -> bool:
    try:
        import torch
    except ImportError:
        return False
    torch.set_num_threads(cores())
    return True


def cores() -> int:
    """The number of cores that this process may use; with `taskset -c 0 python …` it is 1."""
    return len(os.sched_getaffinity(0))


def hardware() -> str:
    if jax.default_backend() != "cpu":
        return f"{jax.device_count()} x {jax.devices()[0].device_kind}, jax {jax.__version__}"
    cpu = pathlib.Path("/proc/cpuinfo")
    model = [line for line in cpu.read_text().splitlines() if "model name" in line] if cpu.exists() else []
    name = model[0].split(":")[1].strip() if model else platform.processor()
    return f"{cores()} cores {name}, jax {jax.__version__}"


def commit() -> str:
    folder = pathlib.Path(__file__).parent
    run = lambda *words: subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True).stdout.strip()  # noqa: E731
    return run("rev-parse", "--short", "HEAD") or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="measure those whose name contains this: dcgan, transposed, k1, …")
    parser.add_argument("--append", action="store_true", help=f"append to {RESULTS.name}")
    args = parser.parse_args()
    measured = commit()
    tables = {}
    for name, shape in STEPS.items():
        if args.only in name:
            tables[name] = {lowering: jax_step(*shape, lowering) for lowering in lowerings(2)}
            if has_torch():
                tables[name] |= {"torch": torch_step(*shape, False), "torch channels-last": torch_step(*shape, True)}
    for name, case in LAYERS.items():
        if args.only in name:
            tables[name] = {lowering: layer_gradients(*case, lowering) for lowering in lowerings(len(case[2]))}
    print(f"{hardware()}; batch {BATCH}, width {WIDTH}; wall ms (processor ms) [ratio of processor time to xla]")
    for name, programs in tables.items():
        start, load = time.time(), os.getloadavg()[0]
        times = measure(programs, args.rounds)
        base = times["xla"][1]
        cells = [f"{p} {wall:.1f} ({cpu:.1f}) [{cpu / base:.2f}]" for p, (wall, cpu) in times.items()]
        print(f"{name}, load {load:.1f}: " + " | ".join(cells), flush=True)
        metrics = {"load_average": round(load, 2)}
        for p, (wall, cpu) in times.items():
            metrics |= {f"{p}/wall_ms": round(wall, 2), f"{p}/processor_ms": round(cpu, 2)}
        if args.append:
            line = {
                "experiment": "benchmarks/convolution",
                "config": name,
                "overrides": {},
                "seed": 0,
                "commit": measured,
            }
            line |= {"hardware": hardware(), "seconds": round(time.time() - start, 1), "steps": args.rounds}
            with RESULTS.open("a") as file:
                file.write(json.dumps({**line, "metrics": metrics}) + "\n")


if __name__ == "__main__":
    main()
