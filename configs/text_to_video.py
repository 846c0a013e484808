"""Clips from a caption: the model draws codes of a VQ-VAE, or latents of each frame.

    mmgen train --config=configs/text_to_video.py:digits,latents --workdir=runs/text_to_video
    mmgen sample --workdir=runs/text_to_video --text="the number seven" --out=out

Argument: `digits` (a moving digit at 32 px, 8 frames; the default) or `scenes` (a moving shape, whose caption may tell
the motion), then

    latents    flow matching of the latents of a KL autoencoder of frames, by a diffusion transformer; the default
    codes      a transformer that draws the codes of a VQ-VAE of clips one after another

The autoencoder or tokenizer is trained in the first stage of the run. Not measured yet; `any_to_any.py` has figures of
other settings of both families on `digits`: the digit is recognised in 0.995 (diffusion) and 0.667 (autoregressive) of
1,000 clips. Here the latents have fewer steps, and the codes a transformer of twice the layers.

`large` or `<argument>_large`: 64 px, networks and a training for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

DATA = {
    "digits": {"video_size": 32, "num_frames": 8},
    "scenes": {"image_size": 32, "num_frames": 8},
}
FAMILIES = ("latents", "codes")
ARGUMENTS = ("digits,latents", "scenes,codes", "large")
FIRST = {"latents": 1500, "codes": 2000}  # steps of the first stage


def get_config(arg="digits,latents"):
    arg, large = presets.split_size(arg, ARGUMENTS[0])
    dataset, _, family = arg.partition(",")
    fields = presets.choose(dataset, DATA, "text_to_video")
    codes = presets.choose(family or "latents", dict(zip(FAMILIES, (False, True))), "text_to_video")
    config = schema.base()
    config.data = presets.source(dataset, "text", "video", **fields)
    config.encoders = {"text": {"name": "text.embedding", "features": 64}}
    config.fusion = {"name": "concat", "features": 64}
    begin = FIRST["codes" if codes else "latents"]
    first = {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "stop_step": begin}
    second = {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 200, "clip_norm": 1.0, "ema_decay": 0.998}
    second["start_step"] = begin
    if codes:
        config.representation = autoencoder("vq_vae", 0, codebook_size=512, code_dim=8)
        config.objective = {"name": "autoregressive", "target": "video", "top_p": 0.9}
        config.generator = {"name": "transformer", "features": 128, "num_layers": 6, "num_heads": 4}
        config.optimizers = {"tokenizer": first, "generator": second | {"weight_decay": 0.01}}
    else:
        of_frame = autoencoder("kl_autoencoder", 1, latent_dim=6)
        config.representation = {"name": "per_frame", "frames_per_step": 4, "of": of_frame}
        config.objective = {"name": "diffusion", "target": "video", "sampling_steps": 25}
        config.generator = {"name": "dit", "patch_size": 1, "features": 256, "num_layers": 6, "num_heads": 4}
        config.optimizers = {"autoencoder": first, "generator": second}
    config.objective.update({"condition_dropout": 0.1, "guidance": 2.0 if codes else 3.0})
    config.train.batch_size = 32
    config.train.steps = begin + 4000
    judges = presets.target_judges(dataset, "video", ("text",))
    config.evaluators = judges | {"frechet": {"name": "video_frechet", "label": presets.LABELS.get(dataset, "")}}
    if large:
        side = "video_size" if dataset == "digits" else "image_size"
        size = {"dtype": "bfloat16", f"data.{side}": 64, "train.batch_size": 128, "train.steps": begin + 100_000}
        size |= {"generator.features": 512, "generator.num_layers": 12, "generator.num_heads": 8}
        config = override(config, size)
    return config


def autoencoder(name, num_blocks, **fields):
    """A representation with three halvings, of clips or of frames."""
    encoder = {"name": "trunk", "features": 64, "channels": (16, 32, 64), "num_blocks": num_blocks}
    decoder = {"name": "grid", "width": 16, "max_width": 64, "num_blocks": 1}
    return {"name": name, **fields, "encoder": encoder, "decoder": decoder, "output": "clip"}
