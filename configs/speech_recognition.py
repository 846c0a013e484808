"""Speech recognition: the words of a sound, by CTC or by an encoder-decoder with attention.

    mmgen train --config=configs/speech_recognition.py:grid_s1 --workdir=runs/recognition_grid
    mmgen sample --workdir=runs/recognition_grid --audio=clip.wav --out=out

Argument: `grid_s1` (GRID, 16 kHz, sentences of six words; the default) or `spoken_digits` (8 kHz, one word), both by
CTC (Graves et al., 2006); `grid_s1_attention` and `spoken_digits_attention` have an LSTM that attends to the encoder at
every word (Listen, Attend and Spell, Chan et al., 2016). `mmgen sample --config.objective.beam_size=8` is prefix beam
search (CTC) or beam search (attention) in place of greedy decoding. With
`--config.data.text_unit=character --config.data.text_length=32`, the ids are characters.

Expected on one CPU core, seed 0: `spoken_digits` names 0.972 [0.943, 0.986] of the 250 official test recordings after
27 s of training (0.976 with a beam of 8). `grid_s1` has a word error rate of 0.014 [0.006, 0.023] on 111 test
sentences, greedily and with a beam of 8, after 22 minutes of processor time; pocketsphinx, which was not trained on the
speaker, has 0.120. The others: not run.

For one accelerator: `large` (grid_s1), `spoken_digits_large` and the same with attention; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("grid_s1", "grid_s1_attention", "spoken_digits", "large")
DATA = ("grid_s1", "spoken_digits")
LARGE = {
    "encoders.audio.features": 512,
    "encoders.audio.channels": (64, 128),
    "encoders.audio.num_layers": 4,
    "fusion.features": 512,
    "train.steps": 20_000,
}


def get_config(arg="grid_s1"):
    config = schema.base()
    names = [f"{data}{decoder}" for data in DATA for decoder in ("", "_attention")]
    arg, large = presets.sized(arg, names, "speech_recognition")
    dataset, attention = arg.removesuffix("_attention"), arg.endswith("_attention")
    grid = dataset == "grid_s1"
    config.data = presets.source(dataset, "text", "audio")
    config.augment = {"audio": {"shift": 0.1, "gain": 6.0}}  # noise would fill the silence that recordings end with
    config.encoders = {
        "audio": {
            "name": "audio.conv_recurrent",
            "features": 160 if grid else 128,
            "channels": (16, 24),
            "num_layers": 2 if grid else 1,
            "dropout": 0.2,
            "masked_frames": 6,
            "masked_bands": 6,
        }
    }
    config.fusion = {"name": "concat", "features": 160 if grid else 128}
    player = "generator" if attention else "classifier"
    if attention:
        config.generator = {"name": "recurrent", "features": 160, "dropout": 0.2}
        config.objective = {"name": "autoregressive", "target": "text", "temperature": 0.0}
    else:
        config.objective = {"name": "ctc", "target": "text", "dropout": 0.2}
    config.optimizers = {
        player: {
            "lr": 2e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "clip_norm": 1.0,
            "weight_decay": 0.01,
            "ema_decay": 0.99,
        }
    }
    config.evaluators = {"errors": {"name": "error_rate"} | ({"outside": "pocketsphinx"} if grid else {})}
    config.train.batch_size = 16 if grid else 32
    config.train.steps = 8000 if grid else 1000
    config.train.sample_steps = 0
    if not large:
        return config
    wider = {"generator.features": 512} if attention else {}
    return presets.enlarged(config, LARGE | wider | {f"optimizers.{player}.lr": 5e-4})
