"""Any modality from any other modalities, by every family that applies; the argument names data, target and family.

    mmgen train --config=configs/any_to_any.py:digits,target=audio,family=diffusion --workdir=runs/digits_speech
    mmgen sample --workdir=runs/digits_speech --text="the number seven" --out=out
    mmgen train --config=configs/any_to_any.py:scenes,family=variational,conditions=text+audio --workdir=runs/scenes
    mmgen train --config=configs/any_to_any.py:target=audio,folder=PATH --workdir=runs/sounds

Argument: `digits` (MNIST, spoken digits, moving digits and captions, joined by class) or `scenes` (built in; the
default), and, separated by commas, all in any order:

    target=image          the modality to draw: text, image, audio or video
    family=adversarial    adversarial, variational, reconstruction, autoregressive or diffusion
    conditions=text       the conditions, joined by `+`; default: text, or image where the target is text
    size=default          default, or large: 64 px and three times the widths, for one accelerator; not measured

The values above are the defaults; `conditions=` with nothing behind it is a model without conditions.
Any of several conditions may be missing: training drops each with a probability of one half, and evaluation measures
every subset. `--config.fusion.name=gated`, for example, fuses them in another way. A sound is modelled as its log-mel
spectrogram and decoded by Griffin-Lim. `autoregressive` models codes of the target, `diffusion` latents of a sound or
of each frame of a clip; the VQ-VAE or KL autoencoder is trained in the first stage. Refused: a text target for
`variational`, `reconstruction` and `diffusion`, which model continuous values (with a text target, `adversarial` is the
adversarial captioner), and conditions for `reconstruction`, which encodes its target.

Expected for `digits` from text, seed 0: the share of 1,000 samples in which the digit is recognised, each column by one
judge, and minutes of processor time on one core (clips by diffusion: of two cores, which took 18 minutes).

    target   adversarial    variational    autoregressive   diffusion
    image    0.999, 4       0.948, 2       0.996, 8         0.990, 7
    audio    0.557, 2       0.728, 1       0.926, 6         0.987, 12
    video    0.173, 12      0.565, 7       0.667, 19        0.995, 33

Other sources, and scenes: `experiments/any_to_any`.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError

KINDS = ("text", "image", "audio", "video")
FAMILIES = ("adversarial", "variational", "reconstruction", "autoregressive", "diffusion")
# Fields of the data, small enough for a CPU core.
DATA = {"scenes": {"num_frames": 8}, "digits": {"video_size": 32, "num_frames": 8}}
LARGE = {
    "scenes": {"image": {"image_size": 64}, "video": {"image_size": 64}},
    "digits": {"image": presets.DIGITS_64, "video": {"video_size": 64}},
}
NETWORKS = ("encoders", "fusion", "generator", "discriminator", "target_encoder", "representation")
CELLS = [
    f"{data},target={target},family={family}"
    for data in ("scenes", "digits")
    for target in KINDS
    for family in FAMILIES
    if target != "text" or family in ("adversarial", "autoregressive")
]
ARGUMENTS = (
    *[cell for cell in CELLS if cell.startswith("scenes")],
    "digits,target=audio,family=diffusion",
    "digits,target=video,family=adversarial",
    "digits,target=image,family=variational,conditions=text+audio",
    "scenes,target=audio,family=autoregressive,conditions=image+video",
)
ENCODERS = {
    "text": {"name": "text.embedding", "features": 64},
    "image": {"name": "image.cnn", "features": 64, "channels": (32, 64)},
    "audio": {"name": "audio.log_mel_cnn", "features": 64, "channels": (16, 32)},
    "video": {"name": "video.frame_lstm", "features": 64, "channels": (16, 32)},
}
PLAN = {"text": 3000, "image": 6000, "audio": 5000, "video": 3000}  # steps of a run with one stage
# Channels of the finest grid: fewer for clips, whose grid is large; many for the sounds of scenes, whose overtones lie
# in bands of their own.
WIDTH = {"image": 32, "audio": 32, "video": 16, "sound of scenes": 128}
CODES = {"image": (128, 8, 1500), "audio": (512, 16, 2500), "video": (512, 8, 2000)}  # size, length, tokenizer's steps
# Of the encoder to codes or latents: the channels of its stages, and the residual blocks of each stage. Codes are of a
# whole clip, latents of each frame.
STAGES = {"image": ((32, 64), 1), "audio": ((128,), 2), "video": ((16, 32, 64), 0), "frame": ((16, 32, 64), 1)}


def get_config(arg="scenes"):
    config = schema.base()
    data, target, family, conditions, size = read(arg)
    config.data = {"name": data, "names": tuple(dict.fromkeys((*conditions, target))), **DATA[data]}
    if data == "scenes" and target == "text":
        config.data.tell_motion = "video" in conditions or "audio" in conditions  # an image does not show the motion
    if conditions:
        config.encoders = {name: ENCODERS[name] for name in conditions}
        config.fusion = {"name": "concat", "features": 64}
    if len(conditions) > 1:
        config.fusion.modality_dropout = 0.5  # any of them may be missing
    if target == "audio":
        config.representation = {"name": "log_mel"}
    config.objective = {"target": target}
    config.train.batch_size = 32
    config.train.steps = PLAN[target]
    {
        "adversarial": adversarial_text if target == "text" else adversarial,
        "variational": variational,
        "reconstruction": reconstruction,
        "autoregressive": autoregressive,
        "diffusion": diffusion,
    }[family](config, data, target)
    config.evaluators = presets.target_judges(data, target, conditions)
    if len(conditions) > 1:
        for name in [name for name in config.evaluators if name != "controls"]:
            measure = config.evaluators[name].to_dict()
            config.evaluators[name] = {"name": "subsets", "conditions": conditions, "evaluator": measure}
    return enlarged(config) if size == "large" else config


def read(arg):
    """`(data, target, family, conditions, size)` of an argument.

    Raises:
      ConfigError: an unknown part, or a combination that the families do not support.
    """
    parts = [part for part in arg.split(",") if part]
    named = [part for part in parts if "=" not in part] or ["scenes"]
    for part in named:
        presets.choose(part, DATA, "any_to_any")
    data, where = named[0], f"configs/any_to_any.py:{arg}"
    if len(named) > 1:
        raise ConfigError(f"{where}: expected one of {', '.join(DATA)}, got {' and '.join(named)}; name one")
    fields = dict(part.split("=", 1) for part in parts if "=" in part)
    for name in fields:
        presets.choose(name, dict.fromkeys(("target", "family", "conditions", "size")), "any_to_any")
    target, family = fields.get("target", "image"), fields.get("family", "adversarial")
    presets.choose(target, dict.fromkeys(KINDS), "any_to_any")
    presets.choose(family, dict.fromkeys(FAMILIES), "any_to_any")
    size = fields.get("size", "default")
    presets.choose(size, dict.fromkeys(("default", "large")), "any_to_any")
    default = "" if family == "reconstruction" else "image" if target == "text" else "text"
    conditions = tuple(filter(None, fields.get("conditions", default).split("+")))
    for name in conditions:
        presets.choose(name, dict.fromkeys(kind for kind in KINDS if kind != target), "any_to_any")
    if target == "text" and family not in ("adversarial", "autoregressive"):
        raise ConfigError(
            f"{where}: {family} models continuous values, and a text is a sequence of ids; use family=autoregressive"
        )
    if family == "reconstruction" and conditions:
        raise ConfigError(f"{where}: reconstruction encodes its target and has no conditions; leave them out")
    if family == "adversarial" and target == "text" and not conditions:
        raise ConfigError(f"{where}: the adversarial captioner needs conditions; leave `conditions=` out")
    return data, target, family, conditions, size


def enlarged(config):
    """Three times the widths, ten times the steps of each stage, a third of the learning rates; pictures of 64 px."""
    fields = config.to_dict()
    for part in NETWORKS:
        if part in fields:
            setattr(config, part, presets.widened(fields[part], 3))
    steps = ("start_step", "stop_step", "warmup_steps")
    changes = {"dtype": "bfloat16", "train.batch_size": 256, "train.steps": 10 * config.train.steps}
    for player, optimizer in config.optimizers.items():
        changes |= {f"optimizers.{player}.{name}": 10 * optimizer[name] for name in steps if name in optimizer}
        changes[f"optimizers.{player}.lr"] = optimizer.lr / 3
    if "anneal_steps" in config.objective:
        changes["objective.anneal_steps"] = tuple(10 * step for step in config.objective.anneal_steps)
    for name in config.data.names:
        changes |= {f"data.{field}": value for field, value in LARGE[config.data.name].get(name, {}).items()}
    return override(config, changes)


def adversarial(config, data, target):
    """Projection discriminator and matching-aware loss, as in `text_to_image_gan.py`."""
    width = width_of(data, target)
    width = {"width": width, "max_width": min(4 * width, 256)}
    config.generator = {"name": "conv", **width, "norm": "batch"}
    config.discriminator = {"name": "conv", **width, "norm": "batch"}
    config.objective.update({"name": "adversarial", "latent_dim": 64, "loss_type": "non_saturating"})
    if config.encoders:
        config.generator.update({"conditions_at": "norm", "batch_conditions": True})
        config.discriminator.name = "projection"
        config.objective.mismatch = 0.5
    rate = 6e-4 if data == "scenes" else 3e-4
    adam = {"lr": rate, "b1": 0.5}
    config.optimizers = {"discriminator": adam, "generator": adam | {"ema_decay": 0.998}}


def adversarial_text(config, data, target):
    """The captioner of `image_to_text_gan.py`, from any conditions."""
    config.generator = {"name": "recurrent", "features": 128, "dropout": 0.1}
    config.discriminator = {"name": "sequence", "features": 128, "dropout": 0.2}
    begin, end = PLAN["text"], PLAN["text"] + 1000
    config.objective.update(
        {
            "name": "adversarial_text",
            "loss_type": "non_saturating",
            "mismatch": 0.5,
            "likelihood_weight": 1.0,
            "temperature": 0.5,
            "gumbel_temperature": (1.0, 0.5),
            "anneal_steps": (begin, end),
        }
    )
    config.optimizers = {
        "pretraining": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0, "stop_step": begin},
        "discriminator": {"lr": 1e-3, "b1": 0.5, "start_step": begin - 1000},
        "generator": {"lr": 3e-5, "b1": 0.5, "clip_norm": 1.0, "start_step": begin, "ema_decay": 0.998},
    }
    config.train.steps = end


def variational(config, data, target):
    """Gaussian VAE; its latent holds the variation that the conditions do not determine."""
    width = width_of(data, target)
    config.target_encoder = {"name": "trunk", "features": 32, "channels": (width, 2 * width), "norm": "none"}
    config.generator = {"name": "conv", "width": width, "max_width": min(4 * width, 256)}
    config.objective.update({"name": "variational", "latent_dim": 16, "beta": 2.0})
    if data == "digits" and target in ("image", "video"):
        config.objective.likelihood = "bernoulli"  # a Gaussian's tanh saturates on a background that is all black
    else:
        config.objective.scale = 0.25
    if target == "video":
        config.target_encoder = {"name": "video.frame_lstm", "features": 64, "channels": (16, 32), "norm": "none"}
        config.generator = {"name": "temporal", "width": width, "max_width": 128}
        config.objective.update({"latent_dim": 32, "prior": "mixture", "beta": 1.0})
        config.train.steps = 4000
    if config.encoders:
        config.generator.conditions_at = "both"
    rate = 1e-3 if (data, target) == ("scenes", "audio") else 2e-3
    config.optimizers = {"generator": {"lr": rate, "schedule": "cosine", "warmup_steps": 100, "ema_decay": 0.995}}


def reconstruction(config, data, target):
    """Autoencoder; new samples are decoded from a Gaussian fitted to its latents."""
    width = width_of(data, target)
    config.target_encoder = {"name": "trunk", "features": 32, "channels": (width, 2 * width), "norm": "none"}
    config.generator = {"name": "conv", "width": width, "max_width": min(4 * width, 256)}
    config.objective.update({"name": "reconstruction", "latent_dim": 32})
    config.optimizers = {"generator": {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 100, "ema_decay": 0.995}}


def autoregressive(config, data, target):
    """A transformer over codes of the target, or an LSTM over the words of a text."""
    config.objective.name = "autoregressive"
    optimizer = {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0, "weight_decay": 0.01}
    if target == "text":
        config.generator = {"name": "recurrent", "features": 128, "dropout": 0.1}
        config.objective.temperature = 0.5
        config.optimizers = {"generator": optimizer | {"ema_decay": 0.998}}
        return
    size, code_dim, begin = CODES[target]
    fields = {"name": "vq_vae", "codebook_size": size, "code_dim": code_dim}
    config.representation = stacked(config, target, fields)
    config.generator = {"name": "transformer", "features": 96, "num_layers": 3, "num_heads": 4}
    config.objective.top_p = 0.9
    if config.encoders:
        config.objective.update({"condition_dropout": 0.1, "guidance": 2.0})
    config.optimizers = {
        "tokenizer": {"lr": 3e-3, "schedule": "cosine", "warmup_steps": 50, "stop_step": begin},
        "generator": optimizer | {"ema_decay": 0.998, "start_step": begin},
    }
    config.train.steps = begin + 4000


def diffusion(config, data, target):
    """Flow matching of pixels, of the latents of a log-mel spectrogram, or of the latents of a clip."""
    config.objective.update({"name": "diffusion", "sampling_steps": 25})
    if config.encoders:
        config.objective.update({"condition_dropout": 0.1, "guidance": 2.0 if target == "image" else 3.0})
    generator = {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 200, "clip_norm": 1.0, "ema_decay": 0.998}
    config.optimizers = {"generator": generator}
    if target == "image":
        config.generator = {"name": "unet", "channels": (32, 64)}
        return
    sound = target == "audio"
    if sound:
        config.representation = stacked(config, "audio", {"name": "kl_autoencoder", "latent_dim": 16})
    else:
        of_frame = stacked(config, "frame", {"name": "kl_autoencoder", "latent_dim": 6})
        config.representation = {"name": "per_frame", "frames_per_step": 4, "of": of_frame}
    unet = {"name": "unet", "patch_size": 1, "channels": (128, 192), "num_blocks": 2, "skips": "concat"}
    dit = {"name": "dit", "patch_size": 1, "features": 256, "num_layers": 6, "num_heads": 4}
    config.generator = unet if sound else dit
    begin = 1500
    config.optimizers.autoencoder = {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "stop_step": begin}
    config.optimizers.generator.start_step = begin
    config.train.steps = begin + (5000 if sound else 6000 if data == "digits" else 8000)


def width_of(data, target):
    return WIDTH["sound of scenes" if (data, target) == ("scenes", "audio") else target]


def stacked(config, part, fields):
    """A learned representation, on top of the target's own one (`log_mel` for sounds), with `STAGES[part]`."""
    channels, blocks = STAGES[part]
    networks = {
        "encoder": {"name": "trunk", "features": 64, "channels": channels, "num_blocks": blocks},
        "decoder": {
            "name": "grid",
            "width": channels[0],
            "max_width": channels[-1],
            "num_blocks": max(blocks, 1),
        },
    }
    of = {"of": config.representation.to_dict()} if "representation" in config else {}
    output = {"output": "clip"} if part in ("video", "frame") else {}
    return {**fields, **networks, **output, **of}
