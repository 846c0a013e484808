"""Recognition of a label from a clip by three networks: frame CNN and LSTM, 3-D convolution, factorised attention.

    mmgen train --config=configs/video_recognition.py:grid_s1 --workdir=runs/video_recognition_grid_s1
    mmgen train --config=configs/video_recognition.py:digits,conv3d --workdir=runs/video_recognition_digits

Argument: the data, then after commas another label and a network, in any order.

    scenes        built in: the direction in which a shape moves, without its sound; the default
    digits        which digit moves, 8 frames at 32 px
    grid_s1       the first word of a sentence, the command, from the speaker's face and voice

    frame_lstm    a convolutional network over each frame, then an LSTM over time; the default
    conv3d        convolutions over space and time
    factorised    attention within each pair of frames, then between the pairs

For another label: `grid_s1,digit`.

Expected on a CPU core, seed 0, 1 to 2 minutes of processor time: `digits` 0.879 [0.872, 0.885] by `frame_lstm`, 0.770
by `conv3d`, 0.407 by `factorised`; `scenes` 1.000 by each. `grid_s1`: `experiments/video_recognition`.

`large` or `<argument>_large`: 64 px, networks and a training for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError

ARGUMENTS = ("scenes", "grid_s1", "digits,conv3d", "scenes,factorised", "large")

LABEL = {"scenes": "motion", "digits": "digit", "grid_s1": "command"}
FIELDS = {"digits": {"video_size": 32}}
AUGMENT = {
    "scenes": {"video": {"brightness": 0.2}},
    "digits": {"video": {"reverse": 0.5}},
    "grid_s1": {
        "video": {"flip": 0.5, "crop": 3, "brightness": 0.2},
        "audio": {"gain": 6.0, "shift": 0.1},
    },
}
# `readout` is a layer with a kernel for each time step, because the fusion averages over time.
VIDEO = {
    "frame_lstm": {"name": "video.frame_lstm", "features": 64, "channels": (16, 32, 64), "readout": 64},
    "conv3d": {"name": "video.conv3d", "features": 64, "channels": (16, 32, 64), "readout": 64},
    "factorised": {"name": "video.factorised", "features": 64, "patch_size": 8, "readout": 64},
}
AUDIO = {"name": "audio.log_mel_cnn", "features": 64, "channels": (16, 32, 64), "hop_length": 256, "readout": 64}
SOUNDS = {"scenes": {}, "digits": {}, "grid_s1": {"audio": AUDIO}}


def get_config(arg="scenes"):
    arg = "scenes_large" if arg == "large" else arg
    large, (dataset, *parts) = arg.endswith("_large"), arg.removesuffix("_large").split(",")
    config = schema.base()
    label = presets.choose(dataset, LABEL, "video_recognition")
    networks, labels = ([part for part in parts if part and (part in VIDEO) == known] for known in (True, False))
    for given in (networks, labels):
        if len(given) > 1:
            raise ConfigError(f"configs/video_recognition.py:{arg}: expected one of {', '.join(given)}; name one")
    network = next(iter(networks), "frame_lstm")
    label = next(iter(labels), label)
    config.encoders = {"video": VIDEO[network], **SOUNDS[dataset]}
    config.data = presets.source(dataset, *config.encoders, label, **FIELDS.get(dataset, {}))
    config.augment = AUGMENT[dataset]
    config.fusion = {"name": "concat", "features": 64}
    config.objective = {"name": "recognition", "target": label, "label_smoothing": 0.1}
    config.optimizers = {
        "classifier": {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "weight_decay": 1e-2, "ema_decay": 0.98}
    }
    config.evaluators = {"accuracy": {"name": "label_accuracy"}}
    config.train.batch_size = 32
    config.train.steps = 500
    config.train.sample_steps = 0
    if large:
        side = "video_size" if dataset == "digits" else "image_size"
        size = {"dtype": "bfloat16", f"data.{side}": 64, "train.batch_size": 128, "train.steps": 20_000}
        size["optimizers.classifier.lr"] = 5e-4
        for name in config.encoders:
            size[f"encoders.{name}.features"] = 256
            if "channels" in config.encoders[name]:
                size[f"encoders.{name}.channels"] = (64, 128, 256)
        config = override(config, size)
    return config
