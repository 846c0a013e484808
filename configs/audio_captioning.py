"""Sound to words: the name of a sound, or the description of a scene that is heard.

    mmgen train --config=configs/audio_captioning.py:scenes --workdir=runs/captions_scenes
    mmgen sample --workdir=runs/captions_scenes --audio=sound.wav --out=out

Argument: `sounds` (short recordings and their names; the default) or `scenes` (built in, 8 kHz). An LSTM attends to the
frames of a convolutional recurrent encoder at every word, as in `image_captioning.py`.
`--config.objective.beam_size=4` is beam search.

Expected on a CPU core, seed 0: `scenes`, 4 minutes of processor time, BLEU-4 97.4, shape, colour and size right in
1.000 [0.996, 1.000] of 1,000 test captions, in 0.344 [0.315, 0.374] of pairs of shape and colour that training never
shows; `sounds`, 97 s of processor time, BLEU-1 25 [12, 38] on 31 sounds (nearest sound 9 [0, 20]), no name exact.

For one accelerator: `large` (sounds) and `scenes_large`; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("sounds", "scenes", "large")
LARGE = {
    "encoders.audio.features": 512,
    "encoders.audio.channels": (64, 128, 256),
    "encoders.audio.num_layers": 2,
    "fusion.features": 512,
    "generator.features": 512,
    "optimizers.generator.lr": 3e-4,
    "train.steps": 10_000,
}


def get_config(arg="sounds"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "audio_captioning")
    sounds = arg == "sounds"
    config.data = presets.source(arg, "text", "audio")
    if sounds:
        config.augment = {"audio": {"gain": 6.0, "shift": 0.1}}
    config.encoders = {
        "audio": {"name": "audio.conv_recurrent", "features": 128, "channels": (16, 32, 64), "dropout": 0.1}
    }
    config.fusion = {"name": "concat", "features": 128}
    config.generator = {"name": "recurrent", "features": 128, "dropout": 0.3 if sounds else 0.1}
    config.objective = {"name": "autoregressive", "target": "text", "temperature": 0.0}
    config.optimizers = {
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 50,
            "clip_norm": 1.0,
            "weight_decay": 0.05 if sounds else 0.01,
            "ema_decay": 0.99,
        }
    }
    config.evaluators = {
        "captions": {"name": "captions", "by": "audio"},
        "likelihood": {"name": "perplexity"},
    }
    if not sounds:
        config.evaluators.factors = {"name": "scenes_captions", "by": "audio"}
    config.train.batch_size = 32
    config.train.steps = 600 if sounds else 3000
    return presets.enlarged(config, LARGE) if large else config
