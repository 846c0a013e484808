"""Recognition of a label from a clip: a convolutional network over each frame, then an LSTM over time.

    mmgen train --config=configs/video_recognition.py:grid_s1 --workdir=runs/video_recognition_grid_s1

Argument: `scenes` (built in: the direction in which a shape moves, without its sound; the default) or `grid_s1` (the
first word of a sentence, the command, from the speaker's face and voice). For another label, add it after a comma:
`grid_s1,digit`. Not measured yet.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("scenes", "grid_s1")

LABEL = {"scenes": "motion", "grid_s1": "command"}
AUGMENT = {
    "scenes": {"video": {"brightness": 0.2}},
    "grid_s1": {
        "video": {"flip": 0.5, "crop": 3, "brightness": 0.2},
        "audio": {"gain": 6.0, "shift": 0.1},
    },
}
# `readout` is a layer with a kernel for each time step, because the fusion averages over time.
VIDEO = {"name": "video.frame_lstm", "features": 64, "channels": (16, 32, 64), "readout": 64}
AUDIO = {"name": "audio.log_mel_cnn", "features": 64, "channels": (16, 32, 64), "hop_length": 256, "readout": 64}
ENCODERS = {"scenes": {"video": VIDEO}, "grid_s1": {"video": VIDEO, "audio": AUDIO}}


def get_config(arg="scenes"):
    config = schema.base()
    dataset, _, label = arg.partition(",")
    label = label or presets.choose(dataset, LABEL, "video_recognition")
    config.data = presets.source(dataset, *presets.choose(dataset, ENCODERS, "video_recognition"), label)
    config.augment = AUGMENT[dataset]
    config.encoders = ENCODERS[dataset]
    config.fusion = {"name": "concat", "features": 64}
    config.objective = {"name": "recognition", "target": label, "label_smoothing": 0.1}
    config.optimizers = {
        "classifier": {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "weight_decay": 1e-2, "ema_decay": 0.98}
    }
    config.evaluators = {"accuracy": {"name": "label_accuracy"}}
    config.train.batch_size = 32
    config.train.steps = 500
    config.train.sample_steps = 0
    return config
