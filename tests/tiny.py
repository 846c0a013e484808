"""Configs made small enough for a test, and the systems that several tests train."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import io
import json
import pathlib
from unittest import mock

import jax
import numpy as np
from absl.testing import flagsaver

from mmgen_jax import cli, lookup
from mmgen_jax.config import networks, schema
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.data import pipeline
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.networks.layers.mapped import mapped
from mmgen_jax.runs.workdir import create_state
from mmgen_jax.train_step import active_players, steps, train_step
from mmgen_jax.training import parallel

ROOT = pathlib.Path(__file__).parent.parent
PARTS = {"fusion": "fusion", "generator": "generators", "discriminator": "discriminators", "objective": "objectives"}
PARTS |= {"target_encoder": "encoders"}
# The largest value that a field of a component or a data source keeps. All widths get the same, so those that had to be
# equal still are, and 16 is divided by every usual number of heads. A tuple keeps its length: it may set the depth.
MAX_VALUE = {
    **dict.fromkeys(
        ("features", "width", "max_width", "hidden", "hidden_features", "channels", "latent_dim", "private_dim"), 16
    ),
    **dict.fromkeys(("num_layers", "space_layers", "time_layers", "num_blocks", "num_queries", "num_bottlenecks"), 2),
    **{"num_train": 64, "num_test": 16, "num_compositional": 16, "num_frames": 4, "audio_seconds": 0.25},
    "segment": 1024,
}


def shrink(config, **train):
    """The config with small networks and examples, batches of 8 and `train` fields as given; any config will do."""
    small = config.copy_and_resolve_references()
    with small.unlocked():
        for part, package in PARTS.items():
            for fields in networks.groups(small, part).values():
                _shrink(fields, lookup.find(package, fields.name))
        _shrink_representation(small.get("representation"))
        for encoder in small.encoders.values():
            _shrink(encoder, lookup.find("encoders", encoder.name))
        source = lookup.find("data", small.data.name)
        _shrink(small.data, source)
        if small.data.name == "scenes":
            small.data.image_size = 16
        small.train.update({"steps": 1, "batch_size": 8, "log_steps": 1, "checkpoint_steps": 1, "sample_steps": 0})
        small.train.update({"eval_steps": 0, "steps_per_call": 1, "num_samples": 4} | train)
        small.evaluators = {}
        for optimizer in small.optimizers.values():  # every player in every step, at its rate
            optimizer.update(dict.fromkeys(("start_step", "stop_step", "warmup_steps", "hold_steps"), 0))
    return small.lock()


def _shrink_representation(fields) -> None:
    if not fields:
        return
    _shrink(fields, lookup.find("representations", fields.name))
    for part, package in schema.REPRESENTATION_PACKAGES.items():
        if part in fields:
            _shrink(fields[part], lookup.find(package, fields[part].name))
    _shrink_representation(fields.get("of"))


def _shrink(fields, cls) -> None:
    for field in dataclasses.fields(cls):
        largest, value = MAX_VALUE.get(field.name), fields.get(field.name, field.default)
        if largest is None or value is dataclasses.MISSING or value is None:
            continue
        fields[field.name] = tuple(min(v, largest) for v in value) if isinstance(value, tuple) else min(value, largest)


def references() -> list[str]:
    """Every config of the project with every argument that its `ARGUMENTS` lists."""
    found = []
    for file in sorted((ROOT / "configs").glob("*.py")):
        arguments = getattr(config_module(file), "ARGUMENTS", ("",))
        found += [f"configs/{file.name}" + (f":{argument}" if argument else "") for argument in arguments]
    return found


def config_module(file: pathlib.Path):
    spec = importlib.util.spec_from_file_location(f"config_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config(family: str, **train):
    """A system on scenes: `gan` (BatchNorm, spectral normalisation, EMA), `vae` or `autoencoder`."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("text", "image")}
    config.generator = {"name": "conv", "norm": "batch"}
    config.target_encoder = {"name": "image.cnn", "norm": "batch", "channels": (16, 16)}
    config.optimizers = {"generator": {"lr": 1e-3, "ema_decay": 0.9}}
    if family != "autoencoder":
        config.encoders = {"text": {"name": "text.embedding"}}
        config.fusion = {"name": "concat"}
    match family:
        case "gan":
            del config.target_encoder
            config.discriminator = {"name": "projection", "spectral_norm": True}
            config.objective = {"name": "adversarial", "target": "image", "loss_type": "non_saturating"}
            config.optimizers.discriminator = {"lr": 1e-3, "b1": 0.0}
        case "vae":
            config.objective = {"name": "variational", "target": "image"}
        case "autoencoder":
            config.objective = {"name": "reconstruction", "target": "image"}
    return shrink(config.lock(), **train)


@dataclasses.dataclass
class Training:
    """What `train` makes of a config, without its files: for tests that take a few steps."""

    config: object

    @functools.cached_property
    def source(self):
        return open_source(self.config)

    @functools.cached_property
    def system(self):
        label_preserving = tuple(getattr(self.source, "label_preserving", ()))
        return build_system(self.config, self.source.modalities, label_preserving=label_preserving)

    @functools.cached_property
    def layout(self):
        fields = self.config.parallel
        return parallel.create(fields.mode, self.config.train.batch_size, fields.fsdp, fields.num_devices)

    @property
    def objective(self):
        return self.system.objective

    def batches(self):
        size, steps = self.config.train.batch_size, self.config.train.steps_per_call
        for batch in pipeline.batches(self.source, batch_size=size * steps, seed=self.config.seed, num_threads=0):
            yield {k: v.reshape(steps, size, *v.shape[1:]) for k, v in batch.items()} if steps > 1 else batch

    def init(self):
        return self.layout.init(functools.partial(create_state, self.config, self.system))

    def run(self, num_steps: int, batches=None):
        """`(state, metrics)` after `num_steps` on the config's batches or `batches`; a metric is a list over steps."""
        state, per_call = self.init(), self.config.train.steps_per_call
        step = functools.partial(
            train_step,
            objective=self.objective,
            optimizers=self.system.optimizers,
            seed=self.config.seed,
            augment=self.system.augment,
        )
        on_devices = (self.layout.put(batch, steps_axis=per_call > 1) for batch in batches or self.batches())
        collected = {}
        loop = steps(
            self.layout.compile_step(step, state, per_call),
            state,
            on_devices,
            stop=num_steps,
            per_call=per_call,
            players=lambda number: active_players(number, self.system.optimizers, self.objective.players),
        )
        for _, last, metrics in loop:
            state = last
            for name, value in jax.device_get(metrics or {}).items():
                collected.setdefault(name, []).extend(np.atleast_1d(value).tolist())
        return state, collected


def mapped_by(transform, function):
    """`function` of arrays with a device axis, by `jax.pmap` or `jax.vmap`: averages are of the global batch in it."""

    def inside(*arguments):
        with mapped("data"):
            return function(*arguments)

    return transform(inside, axis_name="data")


def assert_sample(array: np.ndarray, modality: Modality, num: int) -> None:
    """The sample has the modality's shape, dtype and range, and is finite."""
    check_batch({"sample": np.asarray(array)}, {"sample": modality})
    assert len(array) == num


def metrics_lines(workdir: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def mmgen(*arguments: str) -> tuple[int, str, str]:
    """`(exit code, stdout, stderr)` of the command, run in this process."""
    import grain  # noqa: F401  (its flags would be lost, where the command is the first to import it)

    out, errors, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch("sys.argv", ["mmgen", *arguments]),
        # absl's own `run` installs handlers and ends the process.
        mock.patch.object(cli.app, "run", lambda main, argv, flags_parser: main(flags_parser(argv))),
        flagsaver.flagsaver(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            cli.run()
        except SystemExit as stopped:
            code = stopped.code or 0
    return code, out.getvalue(), errors.getvalue()
