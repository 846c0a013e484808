"""The large sizes of configs: parameters and memory are counted from shapes, nothing is compiled or allocated."""

import functools
import math

import jax
import pytest
from tiny import ROOT, config_module

from mmgen_jax.config import loading, presets
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.data import local
from mmgen_jax.errors import ConfigError
from mmgen_jax.runs import workdir
from mmgen_jax.train_step import train_step
from mmgen_jax.training.optimizers import check_schedule
from mmgen_jax.training.state import averaged

FILES = sorted((ROOT / "configs").glob("*.py"))
NAMES = [file.stem for file in FILES if "large" in getattr(config_module(file), "ARGUMENTS", ())]
# Beside `large`, those of other networks.
OTHERS = ("dcgan:digits64", "text_to_image_diffusion:scenes", "image_captioning:scenes_transformer")
OTHERS += ("image_captioning:scenes_vit",)
PAIRS = [(f"{name}.py", f"{name}.py:large") for name in NAMES]
PAIRS += [(other.replace(":", ".py:"), other.replace(":", ".py:") + "_large") for other in OTHERS]
LOCAL = ("clothing", "emoji", "grid_s1", "sounds", "hymnal", "unpaired")
FIRST = {loading.load(f"{ROOT}/configs/{large}").objective.name: (small, large) for small, large in reversed(PAIRS)}
SLOW = ("ctc", "style_transfer", "tacotron")  # more than 5 seconds
QUICK = [pair for family, pair in FIRST.items() if family not in SLOW]  # one of each family
PUBLISHED = {"num_moving": 2}  # Moving MNIST has two digits
SMALLEST_ACCELERATOR = 16e9  # bytes


@pytest.fixture(autouse=True)
def without_clips(monkeypatch):
    """No clip is decoded: shapes do not depend on what clips show."""
    decoded = local.LocalSource._decoded
    monkeypatch.setattr(
        local.LocalSource,
        "_decoded",
        lambda self, name, *how: (None, name) if name == "video" else decoded(self, name, *how),
    )


def load(reference):
    return loading.load(f"{ROOT}/configs/{reference}")


def fields(reference):
    """The config, but for where it was loaded from."""
    return load(reference).to_dict() | {"reference": ""}


def arguments(name):
    return [argument for argument in config_module(ROOT / f"configs/{name}.py").ARGUMENTS if argument != "large"]


def built(reference, request):
    """`(config, system, shapes of the training state)`."""
    config = load(reference)
    if config.data.name in LOCAL:  # those whose shapes or sizes are in their files
        request.getfixturevalue("mmgen_data")
    system = build_system(config, open_source(config).modalities)
    return config, system, jax.eval_shape(functools.partial(workdir.create_state, config, system))


def total(tree, of=lambda leaf: 1):
    return sum(math.prod(leaf.shape) * of(leaf) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("small", "large"),
    [pytest.param(*pair, id=pair[1], marks=[] if pair in QUICK else pytest.mark.slow) for pair in PAIRS],
)
def test_large_is_larger_and_its_state_leaves_room_on_one_accelerator(small, large, request):
    config, system, state = built(large, request)
    _, _, default = built(small, request)
    check_schedule(config, system.optimizers, system.objective.stages)
    frames = [modality.shape[-3:-1] for modality in system.modalities.values() if modality.kind in ("image", "video")]
    if presets.shows_pictures(config):
        assert max(frames) == (64, 64)  # a source may be smaller
    parameters = total(state.params)
    assert 4 * total(default.params) <= parameters < 150e6
    # Parameters, Adam's moments, averages and gradients; three quarters are left to what the examples need.
    size = total((state, state.params), lambda leaf: leaf.dtype.itemsize)
    assert 12 * parameters < size < SMALLEST_ACCELERATOR / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_the_large_size_fits_together(name, request):
    """Traced in its full size: shapes and dtypes of every loss, gradient and update."""
    config, system, state = built(f"{name}.py:large", request)
    batch = {
        key: jax.ShapeDtypeStruct((config.train.batch_size, *modality.shape), modality.dtype)
        for key, modality in system.modalities.items()
    }
    step = functools.partial(
        train_step,
        objective=system.objective,
        optimizers=system.optimizers,
        seed=0,
        players=system.objective.players,
        augment=system.augment,
    )
    after, metrics = jax.eval_shape(step, state, batch)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert {f"{player}/loss" for player in system.objective.players} <= set(metrics)
    assert all(metric.shape == () and metric.dtype == "float32" for metric in metrics.values())


def enlarged(data):
    """`config.data` at 64 px."""
    if "sets" in data:
        return data | {"sets": {name: enlarged(fields) for name, fields in data["sets"].items()}}
    if data["name"] == "digits" and "image" not in data.get("names", (data.get("of", "image"),)):
        return data | {"video_size": 64}
    more = {"digits": {"image_fit": "resize"}, "small_digits": {"border": 9}}
    return data | {"image_size": max(64, data.get("image_size", 0))} | more.get(data["name"], {})


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_has_a_large_size(name):
    for argument in arguments(name):
        small, large = fields(f"{name}.py:{argument}"), fields(f"{name}.py:{argument}_large")
        pictures = presets.shows_pictures(load(f"{name}.py:{argument}"))
        more = PUBLISHED if argument.startswith("moving_mnist") else {}
        assert (enlarged(small["data"]) if pictures else small["data"]) | more == large["data"]
        assert large["train"]["steps"] >= small["train"]["steps"]
        assert large["evaluators"] == small["evaluators"]


@pytest.mark.parametrize("name", NAMES)
def test_large_alone_is_of_the_default_data(name):
    first = arguments(name)[0]
    assert fields(f"{name}.py") == fields(f"{name}.py:{first}")
    assert fields(f"{name}.py:large") == fields(f"{name}.py:{first}_large")


@pytest.mark.parametrize("argument", ["cifar_large", "large_large", "digits_large_large", "large,digits", "_large"])
def test_a_large_size_that_does_not_exist_is_refused(argument):
    with pytest.raises(ConfigError, match=f"one of scenes, digits, clothing, got '{argument}'"):
        load(f"vae.py:{argument}")


METHODS = ("jmvae", "mvae", "mmvae", "mopoe", "mvtcae", "mmvae_plus", "attention")


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[] if m == "mmvae_plus" else pytest.mark.slow) for m in METHODS]
)
def test_every_multimodal_vae_has_its_size_of_300_epochs(method, request):
    """Convolutions and latents of the published sizes; the loss is traced on a whole batch."""
    config, system, state = built(f"multimodal_vae.py:polymnist,method={method},size=large", request)
    check_schedule(config, system.optimizers, system.objective.stages)
    assert config.train.steps == 300 * 214 and config.train.batch_size == 256
    assert system.objective.latent_dim + system.objective.private_dim == (64 if method == "mmvae_plus" else 512)
    size = config.train.batch_size
    batch = {key: jax.ShapeDtypeStruct((size, *of.shape), of.dtype) for key, of in system.modalities.items()}
    loss, _ = jax.eval_shape(
        functools.partial(system.objective.loss, "generator"), *averaged(state), batch, jax.random.key(0), 0
    )
    assert loss.shape == () and loss.dtype == "float32"
