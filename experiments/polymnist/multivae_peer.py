"""The library `multivae` on the same views, networks, initial weights and number of steps, beside our models.

    pip install multivae
    python experiments/polymnist/multivae_peer.py --method=mvtcae --seed=0 --append   # trains and measures coherence
    python experiments/polymnist/multivae_peer.py --throughput --append               # examples a second, side by side

A line of `multivae.jsonl` is one training, or the throughput of one method. Coherence is measured by the evaluator of
our rows, with its judge. multivae's own trainer runs the training; the loss of each model is the library's, with the
settings of `MODELS`. It clips no gradients, and has no `steps`: 7 epochs of 429 batches are 3,003 steps.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import pathlib
import statistics
import tempfile
import time

import jax
import numpy as np
import torch
from multivae import models
from multivae.data.datasets.base import MultimodalBaseDataset
from multivae.models.base import BaseDecoder, BaseEncoder, ModelOutput
from multivae.trainers import BaseTrainer, BaseTrainerConfig

from mmgen_jax import lookup, train
from mmgen_jax.config import loading, override
from mmgen_jax.config.system import open_source
from mmgen_jax.results import lines
from mmgen_jax.train_step import steps, train_step

FILE = pathlib.Path(__file__).with_name("multivae.jsonl")
CONFIG = str(pathlib.Path(__file__).parents[2] / "configs" / "multimodal_vae.py")
EPOCHS, ROUNDS, TIMED_STEPS = 7, 5, 40
NORMAL = {"prior_and_posterior_dist": "normal", "loss": "dreg_looser"}
MODELS = {
    "mvae": ("MVAE", {"warmup": 0}),
    "mmvae": ("MMVAE", NORMAL | {"K": 3, "learn_prior": False}),
    "mopoe": ("MoPoE", {}),
    "mvtcae": ("MVTCAE", {"alpha": 5 / 6, "beta": 2.5}),
    "mmvae_plus": ("MMVAEPlus", NORMAL | {"K": 1, "modalities_specific_dim": 16}),
}


class Dense(torch.nn.Module):
    """Dense layers with SiLU between those of `activated`; weights from a tree of Flax's."""

    def __init__(self, layers, activated: int):
        super().__init__()
        self.layers = torch.nn.ModuleList()
        for layer in layers:
            kernel, bias = (torch.tensor(np.asarray(layer[name])) for name in ("kernel", "bias"))
            own = torch.nn.Linear(*kernel.shape)
            own.weight.data, own.bias.data = kernel.T.contiguous(), bias
            self.layers.append(own)
        self.activated = activated

    def forward(self, x):
        for number, layer in enumerate(self.layers):
            x = layer(x)
            x = torch.nn.functional.silu(x) if number < self.activated else x
        return x


class Encoder(BaseEncoder):
    def __init__(self, params, view: str, latent_dim: int, private_dim: int):
        super().__init__()
        own = params[f"encoders_{view}"]
        self.net = Dense([own["Dense_0"], own["Dense_1"], params[f"heads_{view}"]], activated=1)
        self.latent_dim, self.style_dim = latent_dim, private_dim

    def forward(self, x):
        mean, log_var = self.net(x.flatten(1)).chunk(2, dim=-1)
        size = self.latent_dim
        out = ModelOutput(embedding=mean[:, :size], log_covariance=log_var[:, :size])
        if self.style_dim:
            out["style_embedding"], out["style_log_covariance"] = mean[:, size:], log_var[:, size:]
        return out


class Decoder(BaseDecoder):
    def __init__(self, params, view: str, latent_dim: int):
        super().__init__()
        own = params[f"decoders_{view}"]
        self.net = Dense([own["Dense_0"], own["Dense_1"], own["output"]], activated=2)
        self.latent_dim = latent_dim

    def forward(self, z):
        return ModelOutput(reconstruction=self.net(z).reshape(*z.shape[:-1], 28, 28, 3))


def config_of(method: str, seed: int):
    return override.override(loading.load(f"{CONFIG}:polymnist,method={method}"), {"seed": seed})


def peer_of(method: str, config, params):
    name, fields = MODELS[method]
    views = tuple(config.objective.targets)
    private, latent = config.objective.get("private_dim", 0), config.objective.latent_dim
    given = {
        "n_modalities": len(views),
        "latent_dim": latent,
        "input_dims": {view: (28, 28, 3) for view in views},
        "decoders_dist": dict.fromkeys(views, "laplace"),
        "decoder_dist_params": {view: {"scale": 1.5} for view in views},
    }
    made = getattr(models, name)(
        getattr(models, f"{name}Config")(**given, **fields),
        {view: Encoder(params, view, latent, private) for view in views},
        {view: Decoder(params, view, latent + private) for view in views},
    )
    ours = sum(
        leaf.size for key, tree in params.items() if key != "auxiliary_log_scale" for leaf in jax.tree.leaves(tree)
    )
    theirs = sum(p.numel() for part in (made.encoders, made.decoders) for p in part.parameters())
    assert ours == theirs, (ours, theirs)
    return made


def arrays(source, views, size=None) -> dict[str, torch.Tensor]:
    order = np.arange(size or len(source))
    parts = [source.read(part, np.zeros_like(part)) for part in np.array_split(order, -(-len(order) // 1000))]
    return {view: torch.from_numpy(np.concatenate([part[view] for part in parts])) for view in views}


def trainer_of(model, data, seed: int, folder: str) -> BaseTrainer:
    fields = {"num_epochs": EPOCHS, "per_device_train_batch_size": 128, "learning_rate": 1e-3, "drop_last": True}
    settings = BaseTrainerConfig(output_dir=folder, seed=seed, no_cuda=True, **fields)
    return BaseTrainer(model, MultimodalBaseDataset(data), training_config=settings)


class Drawn:
    """A trained model of multivae, as the evaluator calls ours."""

    def __init__(self, model, views):
        self.model, self.views = model, views

    def __call__(self, batch, given=()):
        data = MultimodalBaseDataset({view: torch.from_numpy(np.array(batch[view])) for view in self.views})
        with torch.no_grad():
            out = self.model.predict(data, cond_mod=list(given), gen_mod="all")
        return {view: out[view].numpy().reshape(-1, 28, 28, 3).clip(-1, 1) for view in self.views}


def coherence(method: str, seed: int) -> dict:
    config = config_of(method, seed)
    ready = train.prepare(config)
    params = ready.layout.init(ready.create).params["generator"]
    torch.manual_seed(seed)
    views = tuple(config.objective.targets)
    model = peer_of(method, config, params)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(model, arrays(ready.source, views), seed, folder)
        before = time.process_time()
        for epoch in range(1, EPOCHS + 1):
            loss, _ = trainer.train_step(epoch)
            print(
                f"epoch {epoch} of {EPOCHS}: loss {loss:.1f}, {time.process_time() - before:.0f} processor s",
                flush=True,
            )
        seconds = time.process_time() - before
    fields = config.evaluators.coherence.to_dict() | {"samplers": ()}
    evaluator = lookup.build("evaluators", fields, target=views[0])
    test = open_source(config, "test", (*views, "digit"))
    batches = (test.read(part, np.zeros_like(part)) for part in np.array_split(np.arange(1000), 10))
    entries = evaluator(Drawn(trainer.model, views), batches)
    return {
        "kind": "coherence",
        "method": method,
        "seed": seed,
        "processor_seconds": round(seconds, 1),
        "metrics": entries,
    }


def throughput(method: str) -> dict:
    """Examples a second of both trainings, data included, in turn; medians of `ROUNDS` rounds after one to warm up."""
    config = config_of(method, 0)
    ready = train.prepare(config)
    state = ready.layout.init(ready.create)
    model = peer_of(method, config, jax.device_get(state.params["generator"]))
    batch, per_call = config.train.batch_size, config.train.steps_per_call
    rates = {"ours": [], "multivae": []}
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        batches = train.make_batches(ready.source, config, ready.layout, stack)
        objective, optimizers = ready.system.objective, ready.system.optimizers
        step = functools.partial(train_step, objective=objective, optimizers=optimizers, seed=0, augment=None)
        compiled = ready.layout.compile_step(step, state, per_call)
        loop = steps(
            compiled, state, batches, stop=10**9, per_call=per_call, players=lambda _: ready.system.objective.players
        )
        trainer = trainer_of(model, arrays(ready.source, config.objective.targets, batch * TIMED_STEPS), 0, folder)
        next(loop)
        for number in range(ROUNDS + 1):
            for side in rates:
                began = time.monotonic()
                if side == "ours":
                    for _ in range(TIMED_STEPS // per_call):
                        _, state, metrics = next(loop)
                    jax.block_until_ready((state, metrics))
                else:
                    trainer.train_step(number + 1)
                if number:
                    rates[side].append(batch * TIMED_STEPS / (time.monotonic() - began))
        loop.close()
    medians = {side: round(statistics.median(values), 1) for side, values in rates.items()}
    ratio = [a / b for a, b in zip(rates["ours"], rates["multivae"])]
    return {"kind": "throughput", "method": method, "examples_per_second": medians, "ratio": statistics.median(ratio)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=MODELS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--append", action="store_true", help="append lines to multivae.jsonl")
    asked = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    about = {"commit": lines.commit(), "hardware": lines.hardware(), "torch": torch.__version__}
    for method in asked.method or MODELS:
        line = (throughput(method) if asked.throughput else coherence(method, asked.seed)) | about
        print(line)
        if asked.append:
            lines.append(FILE, line)


if __name__ == "__main__":
    main()
