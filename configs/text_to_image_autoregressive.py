"""Text to image: a transformer draws tokens from a caption, a VQ-VAE (van den Oord et al., 2017) makes images of them.

    mmgen train --config=configs/text_to_image_autoregressive.py:digits --workdir=runs/text_to_image_autoregressive
    mmgen sample --workdir=runs/text_to_image_autoregressive --text="a handwritten seven" --out=out

Argument: `digits` (MNIST with captions, 28 px), `emoji` (glyphs and their names, 32 px) or `scenes` (built in, 32 px;
the default). One run: its first stage trains the tokenizer, the rest trains the transformer. `mmgen sample` may change
`--config.objective.guidance` (1 is none), `temperature`, `top_k` and `top_p`.

Expected for `digits`, 21 minutes on a CPU core: the asked digit recognised in 0.996 of 1,000 samples, Fréchet distance
1.9 in the features of an MNIST classifier (n = 5,000). `scenes`, 25 minutes on a core: shape, colour and size all right
in 0.991 of 1,000 samples, 0.666 on the compositional split; in real pictures that pass through the tokenizer alone,
0.999 and 0.975. `emoji`, which trains on one half of the training glyphs (the other half trains the retrieval model
that judges), 14 minutes: the name is among the first 10 of 60 for 0.32 [0.21, 0.44] of the samples (real pictures 0.63,
chance 0.17).

For one accelerator: `large` (scenes), `digits_large` and `emoji_large`, 64 px, 50 to 51 M parameters; not measured.
"""

from mmgen_jax.config import presets, schema

# For each data set: the codebook, the steps of the tokenizer, all steps.
CODES = {
    "scenes": ({"codebook_size": 256, "code_dim": 8}, 1500, 7500),
    "digits": ({"codebook_size": 128, "code_dim": 8}, 1500, 5500),
    "emoji": ({"codebook_size": 512, "code_dim": 16}, 2000, 4000),
}
ARGUMENTS = (*CODES, "large")

LARGE = {
    "encoders.text.features": 256,
    "encoders.text.num_layers": 4,
    "fusion.features": 512,
    "representation.encoder.features": 256,
    "representation.encoder.channels": (128, 256),
    "representation.encoder.num_blocks": 2,
    "representation.decoder.width": 128,
    "representation.decoder.max_width": 256,
    "representation.decoder.num_blocks": 2,
    "generator.features": 512,
    "generator.num_layers": 12,
    "generator.num_heads": 8,
    "generator.dropout": 0.1,
    "representation.codebook_size": 1024,
    "representation.code_dim": 16,
    "optimizers.tokenizer.lr": 3e-4,
    "optimizers.tokenizer.warmup_steps": 500,
    "optimizers.tokenizer.stop_step": 20_000,
    "optimizers.generator.lr": 3e-4,
    "optimizers.generator.warmup_steps": 1000,
    "optimizers.generator.ema_decay": 0.9995,
    "optimizers.generator.start_step": 20_000,
    "train.steps": 80_000,
    "train.batch_size": 128,  # attention over 272 tokens needs more memory for its gradient than convolutions
}


def get_config(arg="scenes"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "text_to_image_autoregressive")
    codes, tokenizer_steps, steps = CODES[arg]
    config.data = presets.drawn_from_texts(arg)
    config.encoders = {"text": {"name": "text.transformer", "features": 64, "num_layers": 1}}
    config.fusion = {"name": "concat", "features": 64}
    config.representation = {
        "name": "vq_vae",
        "encoder": {"name": "image.cnn", "features": 64, "channels": (32, 64), "num_blocks": 1},
        "decoder": {"name": "grid", "width": 32, "max_width": 64, "num_blocks": 1},
        **codes,
    }
    config.generator = {"name": "transformer", "features": 96, "num_layers": 3, "num_heads": 4}
    config.objective = {
        "name": "autoregressive",
        "target": "image",
        "condition_dropout": 0.1,
        "guidance": 2.0,
        "top_p": 0.9,
    }
    config.train.steps = steps
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
    if arg != "digits":
        config.train.batch_size = 32
        config.optimizers.generator.lr = 3e-3
    config.evaluators = {
        **presets.judges(arg, conditional=True),
        "tokenizer": {"name": "reconstruction", "from_target": True},
    }
    if arg == "emoji":
        config.objective.guidance = 1.0  # none; chosen on the validation glyphs
    if arg == "scenes":
        config.optimizers.tokenizer.lr = 3e-3
        config.objective.top_p = 0.7
        # The coherence of the tokenizer's reconstructions is an upper bound for the transformer.
        config.evaluators.tokenizer_coherence = {"name": "scenes_coherence", "from_target": True}
    return presets.enlarged(config, LARGE) if large else config
