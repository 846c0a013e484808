"""Melody to lyrics: the words of a hymn from the first seconds of its tune.

    mmgen train --config=configs/audio_to_lyrics.py --workdir=runs/lyrics
    mmgen sample --workdir=runs/lyrics --audio=melody.wav --out=out

Argument: `hymnal` (275 hymns, 4 s of the melody, 48 words; the default). A transformer attends to the frames of a
convolutional recurrent encoder. A melody does not determine its words: perplexity, beside that of a unigram model,
tells what the model learned of hymns.

`shakespeare` is the first of two stages: the same decoder, without a melody, on the words of `tiny_shakespeare` (`mmgen
prepare-data --dataset=tiny_shakespeare`). The second stage is `hymnal` with the first stage's parameters where they fit
(`runs/init_from.py`): all but the attention to the melody, and the words that Shakespeare has not:

    mmgen train --config=configs/audio_to_lyrics.py:shakespeare --workdir=runs/words
    mmgen train --config=configs/audio_to_lyrics.py --workdir=runs/lyrics --config.generator.init_from=runs/words

Expected of `hymnal` on a CPU core, seed 0, 150 s of processor time: perplexity 632 [490, 779] on 21 hymns, worse than
that of a unigram model, 368. From Shakespeare's words on, 97 s more: 784 [571, 1056]. `shakespeare`, 21 minutes of
processor time: 405 [369, 442] on Shakespeare's words, a unigram model 630.

For one accelerator: `large` and `shakespeare_large`; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("hymnal", "shakespeare", "large")
SHAKESPEARE = {
    "name": "tfds_source",
    "dataset": "tiny_shakespeare",
    "fields": {"text": "text"},
    "text_pieces": True,
    "text_length": 48,
}
LARGE = {
    "generator.features": 512,
    "generator.num_layers": 4,
    "generator.num_heads": 8,
    "optimizers.generator.lr": 3e-4,
    "train.steps": 5000,
}
LARGE_HEARING = {
    "encoders.audio.features": 512,
    "encoders.audio.channels": (64, 128, 256),
    "fusion.features": 512,
}


def get_config(arg="hymnal"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "audio_to_lyrics")
    hears = arg == "hymnal"
    config.generator = {"name": "transformer", "features": 128, "num_layers": 2, "attend": "cross", "dropout": 0.3}
    config.objective = {"name": "autoregressive", "target": "text", "temperature": 0.7}
    config.optimizers = {
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 50,
            "clip_norm": 1.0,
            "weight_decay": 0.1,
            "ema_decay": 0.99,
        }
    }
    config.evaluators = {"captions": {"name": "captions", "by": "audio"}} if hears else {}
    config.evaluators.likelihood = {"name": "perplexity"}
    if hears:
        config.data = presets.source(arg, "text", "audio", seconds=4.0, sample_rate=8000, text_length=48)
        config.augment = {"audio": {"gain": 6.0, "shift": 0.2}}
        config.encoders = {
            "audio": {"name": "audio.conv_recurrent", "features": 128, "channels": (16, 32, 64), "dropout": 0.2}
        }
        config.fusion = {"name": "concat", "features": 128}
    else:
        config.data = SHAKESPEARE
    config.train.batch_size = 16 if hears else 32
    config.train.steps = 400 if hears else 1500
    return presets.enlarged(config, LARGE | (LARGE_HEARING if hears else {})) if large else config
