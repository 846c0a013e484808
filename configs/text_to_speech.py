"""Text to speech: characters to a log-mel spectrogram by Tacotron or by flow matching, then Griffin-Lim.

    mmgen train --config=configs/text_to_speech.py:grid_s1 --workdir=runs/speech_grid
    mmgen sample --workdir=runs/speech_grid --text="place red at g nine soon" --out=out

Argument: `grid_s1` (GRID, one speaker, sentences of six words at 16 kHz; the default) or `spoken_digits` (ten words at
8 kHz, in the voices of five speakers, of which the model chooses), both by Tacotron. A step gives four frames of 16
ms; `--config.generator.reduction=2` gives finer steps, at twice the time. A prompt may have any number of words; the
sound ends at the stop token, at the latest after the 2.5 s (0.75 s) of the training sounds.

`grid_s1_flow` and `spoken_digits_flow`: a duration for each character, then all frames at once by flow matching
(Matcha-TTS). `mmgen sample --config.objective.length_scale=1.2` speaks more slowly. Of any of the models,
`--config.representation.vocoder=runs/vocoder` speaks by the vocoder of another run (`configs/vocoder_gan.py`).

Expected on a CPU core, seed 0: `grid_s1_flow`, 30 minutes of processor time, pocketsphinx reads 111 test sentences at a
word error rate of 0.323 [0.294, 0.353], the true sounds through the spectrogram at 0.153; `spoken_digits_flow`, 6
minutes of processor time, the asked digit is recognised in 0.716 [0.657, 0.768] of 250; `spoken_digits`, by Tacotron, 5
minutes, in 0.816 [0.763, 0.859]. `grid_s1`, by Tacotron: not run.

For one accelerator: `large` (grid_s1), `spoken_digits_large` and the same by flow matching; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("grid_s1", "grid_s1_flow", "spoken_digits", "large")
DATA = {
    "grid_s1": {"text_unit": "character", "text_length": 32, "spoken_only": True, "seconds": 2.5},
    "spoken_digits": {"text_unit": "character"},
}
LARGE = {
    "encoders.text.features": 512,
    "fusion.features": 512,
    "optimizers.generator.lr": 5e-4,
    "train.steps": 30_000,
}
LARGE_FLOW = {"generator.channels": (512, 512), "generator.num_blocks": 3, "generator.features": 512}
LARGE_TACOTRON = {
    "generator.features": 1024,
    "generator.prenet_features": 256,
    "generator.postnet_features": 512,
    "generator.postnet_layers": 5,
    "generator.reduction": 2,
}


def get_config(arg="grid_s1"):
    config = schema.base()
    names = [f"{data}{by}" for data in DATA for by in ("", "_flow")]
    arg, large = presets.sized(arg, names, "text_to_speech")
    dataset, flow = arg.removesuffix("_flow"), arg.endswith("_flow")
    grid = dataset == "grid_s1"
    config.data = presets.source(dataset, "text", "audio", **DATA[dataset])
    config.encoders = {"text": {"name": "text.conv_lstm", "features": 128, "dropout": 0.1}}
    config.fusion = {"name": "concat", "features": 128}
    config.representation = {"name": "log_mel"}
    if flow:
        config.generator = {"name": "unet", "channels": (256, 256) if grid else (128, 128), "num_blocks": 2}
        config.objective = {"name": "matcha", "target": "audio", "prediction": "data"}
    else:
        config.generator = {"name": "tacotron", "features": 256 if grid else 128, "reduction": 4}
        config.objective = {"name": "tacotron", "target": "audio"}
    config.optimizers = {
        "generator": {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0, "ema_decay": 0.99}
    }
    if grid:
        config.evaluators = {
            "errors": {"name": "speech_error_rate"},
            "own_errors": {"name": "speech_error_rate", "judge": "recogniser"},
            "alignment": {"name": "alignment"},
        }
    else:
        config.evaluators = {
            "accuracy": {"name": "classifier_accuracy", "label": "digit"},
            "alignment": {"name": "alignment"},
        }
    config.train.batch_size = 16 if grid else 32
    config.train.steps = 2500 if grid else 2000
    config.train.num_samples = 8
    return presets.enlarged(config, LARGE | (LARGE_FLOW if flow else LARGE_TACOTRON)) if large else config
