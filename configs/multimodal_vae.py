"""Multimodal VAEs: one latent of several modalities, any of them given, the others drawn.

    mmgen train --config=configs/multimodal_vae.py:polymnist,method=mopoe --workdir=runs/mopoe
    mmgen train --config=configs/multimodal_vae.py:mnist_label,method=jmvae --workdir=runs/jmvae
    mmgen train --config=configs/multimodal_vae.py:captioned_shapes,level=5 --workdir=runs/shapes
    mmgen sample --workdir=runs/jmvae --given.digit=7 --out=out
    mmgen train --config=configs/multimodal_vae.py:vectors,names=pose+touch,npz=FILE --workdir=runs/vectors

Argument: the data, and, separated by commas, in any order:

    captioned_shapes   a picture and its caption at one of five levels, built in (the default)
    mnist_label        an MNIST image and its class
    polymnist          five views of a digit: not the published images, see `data/polymnist.py`
    vectors            numbers of your own, `[N, D]` each, of a folder or an .npz file: the fields `names=left+right`
    method=mvae        jmvae, mvae, mmvae, mopoe, mvtcae, mmvae_plus or attention
    level=5            of captioned_shapes, 1 to 5
    missing=0.5        of polymnist: the share of views that training examples lack; `discard` behind it, as
                       `missing=0.5,discard`, leaves incomplete examples out; with `not_at_random`, it depends on the
                       digit
    size=large         of polymnist, for one accelerator: convolutions, latents of 512 (MMVAE+: 32 and 32), 300 epochs

`mnist_label` has the setting of Suzuki et al. (2017) and Wu & Goodman (2018): z of 64, layers of 512, batches of 100,
500 epochs of this project's 55,000 training images, a KL weight that rises for 200 epochs, and 1,000 importance samples
for the joint log-likelihood. Published for 60,000 training images: JMVAE -86.86, MVAE -86.26. On `polymnist`, beta of
MVTCAE is its paper's, beta of the others is 1, and all have one small architecture. MMVAE+ is trained by the ELBO with
the KL's bound by convexity; `--config.objective.bound=dreg` has the mixture's own density, as in its paper.

Hardware: one CPU core; time and numbers are in `experiments/polymnist`, `experiments/mnist_label`,
`experiments/missing_modalities` and `experiments/captioned_shapes`; other settings are not run.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.errors import ConfigError

DATA = ("captioned_shapes", "mnist_label", "polymnist", "vectors")
ARGUMENTS = ("captioned_shapes", "captioned_shapes,method=jmvae", "mnist_label", "polymnist,method=mmvae_plus")
VIEWS = tuple(f"view_{i}" for i in range(5))
METHODS = {
    "jmvae": {"posterior": "joint", "unimodal_kl": 0.1},
    "mvae": {"posterior": "product", "subsampled": True},
    "mmvae": {"posterior": "mixture", "bound": "dreg", "importance_samples": 3},
    "mopoe": {"posterior": "mixture_of_products"},
    "mvtcae": {"posterior": "product_of_experts", "total_correlation": 5 / 6, "beta": 2.5},
    "mmvae_plus": {"posterior": "mixture", "private_dim": 16, "latent_dim": 16},
    "attention": {"posterior": "attention"},
}
FLAGS = ("discard", "not_at_random")
STEPS_OF_EPOCH = {"mnist_label": 550, "polymnist": 214}  # 55,000 examples in batches of 100 and 256


def get_config(arg="captioned_shapes"):
    data, fields, flags = read(arg)
    method = fields.get("method", "mvae")
    presets.choose(method, METHODS, "multimodal_vae")
    config = schema.base()
    config.objective = {"name": "multimodal_vae", "latent_dim": 32} | METHODS[method]
    config.optimizers = {"generator": {"lr": 1e-3, "clip_norm": 100.0}}
    {"captioned_shapes": captioned_shapes, "mnist_label": mnist_label, "polymnist": polymnist, "vectors": vectors}[
        data
    ](config, fields, flags)
    return config


def captioned_shapes(config, fields, flags):
    level = int(fields.get("level", 5))
    config.data = presets.source("captioned_shapes", "text", "image", level=level)
    config.objective.update(targets=("image", "text"), scales={"image": 0.2})
    config.target_encoder = {
        "image": {"name": "image.cnn", "features": 32, "channels": (32, 64, 64)},
        "text": {"name": "text.embedding", "features": 64},
    }
    config.generator = {
        "image": {"name": "conv", "width": 32, "max_width": 64, "norm": "group"},
        "text": {"name": "mlp", "width": 256},
    }
    # A picture has 3,072 values, a caption 9 words.
    config.objective.weights = {"text": 10.0}
    coherence = {"name": "captioned_shapes_coherence"}
    config.evaluators = {
        "image_from_text": coherence | {"target": "image", "joint": True},
        "text_from_image": coherence | {"target": "text"},
    }
    config.train.steps = 5000


def mnist_label(config, fields, flags):
    config.data = presets.source("digits", "image", "digit")
    config.objective.update(targets=("image", "digit"), latent_dim=64, likelihoods={"image": "bernoulli"})
    dense = {"name": "image.mlp", "features": 512, "hidden": 512, "num_layers": 2, "norm": "none"}
    relu = {"activation": "relu", "activate_output": True}
    # One vector for each class is as general as any network of a class.
    config.target_encoder = {"image": dense | relu, "digit": {"name": "label", "features": 512}}
    decoder = {"name": "mlp", "width": 512, "num_layers": 2, "norm": "none", "activation": "relu"}
    config.generator = {"image": decoder, "digit": decoder}
    epoch = STEPS_OF_EPOCH["mnist_label"]
    if config.objective.get("bound", "elbo") == "elbo":
        config.objective.warmup_steps = 200 * epoch
    config.train.update(
        steps=500 * epoch, batch_size=100, steps_per_call=50, log_steps=epoch, checkpoint_steps=epoch * 10
    )
    config.train.sample_steps = 50 * epoch
    config.evaluators = {
        "log_likelihood": {"name": "importance_likelihood", "num_examples": 10_000, "chunk": 50},
        "coherence": {"name": "view_coherence", "views": ("image", "digit")},
    }


def polymnist(config, fields, flags):
    source = {"name": "polymnist", "names": VIEWS}
    config.data = source
    if rate := float(fields.get("missing", 0)):
        mechanism = {"mechanism": "label", "label": "digit"} if "not_at_random" in flags else {}
        config.data = {
            "name": "incomplete",
            "of": {"name": "polymnist"},
            "targets": VIEWS,
            "rate": rate,
            "names": VIEWS,
        }
        config.data.update(mechanism | ({"keep": False} if "discard" in flags else {}))
    config.objective.update(
        targets=VIEWS, likelihoods=dict.fromkeys(VIEWS, "laplace"), scales=dict.fromkeys(VIEWS, 1.5)
    )
    config.target_encoder = {"name": "image.mlp", "features": 256, "hidden": 256, "norm": "none"}
    config.generator = {"name": "mlp", "width": 256, "norm": "none"}
    config.train.update(steps=3000, batch_size=128, steps_per_call=10)
    config.evaluators = {
        "coherence": {
            "name": "view_coherence",
            "data": {"name": "polymnist"},
            "views": VIEWS,
            "judged_as": "view",
            "max_subsets": 5,
        },
        "log_likelihood": {"name": "importance_likelihood", "num_examples": 200, "num_samples": 200},
        "probe": {"name": "latent_probe", "data": {"name": "polymnist"}},
    }
    if fields.get("size") == "large":
        private = bool(config.objective.get("private_dim"))
        config.objective.update({"latent_dim": 32, "private_dim": 32} if private else {"latent_dim": 512})
        config.target_encoder = {"name": "image.cnn", "features": 128, "channels": (32, 64, 128)}
        config.generator = {"name": "conv", "width": 64, "max_width": 256, "norm": "none"}
        config.train.update(steps=300 * STEPS_OF_EPOCH["polymnist"], batch_size=256)
        config.evaluators.log_likelihood.update(num_examples=10_000, num_samples=1000)
        config.evaluators.coherence.update(max_subsets=0, num_examples=10_000)


def vectors(config, fields, flags):
    """Vectors of any lengths; values should have a standard deviation of about 1."""
    names = tuple(fields.get("names", "left+right").split("+"))
    config.data = {"name": "npz", "file": "", "names": names}
    config.objective.update(targets=names, scales=dict.fromkeys(names, 0.5))
    config.target_encoder = {"name": "vector.mlp", "features": 128, "hidden": 128}
    config.generator = {name: {"name": "mlp", "width": 128, "norm": "none"} for name in names}
    config.train.update(steps=3000, batch_size=128)
    config.evaluators = {"log_likelihood": {"name": "importance_likelihood", "num_examples": 200, "num_samples": 200}}


def read(arg):
    """`(data, {field: value}, flags)` of an argument; raises ConfigError for a part that does not exist."""
    parts = [part for part in arg.split(",") if part]
    flags = tuple(part for part in parts if part in FLAGS)
    named = [part for part in parts if "=" not in part and part not in FLAGS] or [DATA[0]]
    for part in named:
        presets.choose(part, dict.fromkeys(DATA), "multimodal_vae")
    if len(named) > 1:
        raise ConfigError(
            f"configs/multimodal_vae.py:{arg}: expected one of {', '.join(DATA)}, got {' and '.join(named)}"
        )
    fields = dict(part.split("=", 1) for part in parts if "=" in part)
    own = {"captioned_shapes": ("level",), "polymnist": ("missing", "size"), "vectors": ("names",)}.get(named[0], ())
    for name in fields:
        presets.choose(name, dict.fromkeys(("method", *own)), "multimodal_vae")
    if flags and "missing" not in fields:
        raise ConfigError(f"configs/multimodal_vae.py:{arg}: {flags[0]} expected missing=RATE beside it")
    if fields.get("size", "large") != "large":
        raise ConfigError(f"configs/multimodal_vae.py:{arg}: size: expected large, got {fields['size']!r}")
    for name, number in (("level", int), ("missing", float)):
        try:
            number(fields.get(name, 1))
        except ValueError:
            raise ConfigError(f"configs/multimodal_vae.py:{arg}: {name}: expected a number") from None
    return named[0], fields, flags
