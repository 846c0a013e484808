"""Text to image: a VQ-VAE (van den Oord et al., 2017) makes tokens of images, a transformer draws them after a caption.

    mmgen train --config=configs/text_to_image_autoregressive.py:digits --workdir=runs/text_to_image_autoregressive
    mmgen sample --workdir=runs/text_to_image_autoregressive --text="a handwritten seven" --out=out

Argument: `digits` (MNIST with captions, 28 px), `emoji` (glyphs and their names, 32 px) or `scenes` (built in, 32 px;
the default). One run: the tokenizer is trained in its first part, the transformer in the rest. Sampling may change
`--config.objective.guidance` (1 is none), `temperature`, `top_k` and `top_p`.

Expected for `digits`, 21 minutes on a CPU core: the asked digit recognised in 0.996 of 1,000 samples, Fréchet distance
1.9 in the features of an MNIST classifier (n = 5,000). The others: not measured yet.
"""

from mmgen_jax import config as configs
from mmgen_jax.data import presets

# The codebook, and the tokenizer's steps: a small coloured shape needs more of both than a stroke.
CODES = {
    "scenes": ({"codebook_size": 1024, "code_dim": 16}, 2500),
    "digits": ({"codebook_size": 128, "code_dim": 8}, 1500),
    "emoji": ({"codebook_size": 1024, "code_dim": 16}, 2500),
}
ARGUMENTS = tuple(CODES)


def get_config(arg="scenes"):
    config = configs.base()
    codes, tokenizer_steps = configs.choose(arg, CODES, "text_to_image_autoregressive")
    config.data = presets.source(arg, "text", "image")
    config.encoders = {"text": {"name": "text.transformer", "features": 64, "num_layers": 1}}
    config.fusion = {"name": "concat", "features": 64}
    config.target_encoder = {"name": "image.cnn", "features": 64, "channels": (32, 64), "num_blocks": 1}
    config.target_decoder = {"name": "grid", "width": 32, "max_width": 64, "num_blocks": 1}
    config.generator = {"name": "transformer", "features": 96, "num_layers": 3, "num_heads": 4}
    config.objective = {
        "name": "autoregressive",
        "target": "image",
        **codes,
        "condition_dropout": 0.1,
        "guidance": 2.0,
        "top_p": 0.9,
    }
    config.train.steps = tokenizer_steps + 4000
    config.optimizers = {
        "tokenizer": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 50, "stop_step": tokenizer_steps},
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 200,
            "clip_norm": 1.0,
            "weight_decay": 0.01,
            "ema_decay": 0.998,
            "start_step": tokenizer_steps,
        },
    }
    config.evaluators = {
        **presets.judges(arg, conditional=True),
        "tokenizer": {"name": "reconstruction", "from_target": True},
    }
    return config
