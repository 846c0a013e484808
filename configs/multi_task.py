"""Multi-task recognition (Caruana, 1997): one encoder and fusion, with a head for each of several labels.

    mmgen train --config=configs/multi_task.py:grid_s1 --workdir=runs/multi_task_grid_s1

Argument: `scenes` (built in: shape, color, size and motion of 400 sounds; the default) or `grid_s1` (the six words of a
spoken sentence). For a single label, add it after a comma: `configs/multi_task.py:grid_s1,digit`.
Expected test accuracy with all labels, 3 seeds: `scenes`, 13 seconds on a CPU core, shape 0.94, color 1.00, size 1.00,
motion 0.90; `grid_s1`, 30 seconds, command 0.96, color 0.88, preposition 0.54, letter 0.30, digit 0.82, adverb 0.99
(`experiments/multi_task`, which compares with a separate model for each label).
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("scenes", "scenes,motion", "grid_s1")

LABELS = {
    "scenes": ("shape", "color", "size", "motion"),
    "grid_s1": ("command", "color", "preposition", "letter", "digit", "adverb"),
}
DATA = {"scenes": {"num_train": 400}, "grid_s1": {"sample_rate": 8000}}  # Hz, as in the measured rows
AUGMENT = {"scenes": {"audio": {"gain": 6.0}}, "grid_s1": {"audio": {"gain": 6.0, "shift": 0.1}}}
HOP = {"scenes": 128, "grid_s1": 256}  # samples: frames of 16 and of 32 ms


def get_config(arg="scenes"):
    config = schema.base()
    dataset, _, label = arg.partition(",")
    known = presets.choose(dataset, LABELS, "multi_task")
    labels = (presets.choose(label, {name: name for name in known}, f"multi_task:{dataset}"),) if label else known
    config.data = presets.source(dataset, "audio", *labels, **DATA[dataset])
    config.augment = AUGMENT[dataset]
    config.encoders = {
        "audio": {
            "name": "audio.log_mel_cnn",
            "features": 64,
            "channels": (16, 32, 64),
            "hop_length": HOP[dataset],
            "readout": 64,  # a kernel for each time step, because the fusion averages over time
        }
    }
    config.fusion = {"name": "concat", "features": 64}
    config.objective = {
        "name": "recognition",
        "target": labels[0],
        "auxiliary_labels": dict.fromkeys(labels[1:], 1.0),
        "label_smoothing": 0.1,
        "dropout": 0.2,
    }
    config.optimizers = {
        "classifier": {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "weight_decay": 1e-2, "ema_decay": 0.98}
    }
    config.evaluators = {name: {"name": "label_accuracy", "target": name} for name in labels}
    config.train.batch_size = 32
    config.train.steps = 500
    config.train.sample_steps = 0
    return config
