"""Dubbing: the sound of a silent clip, frame for frame.

    mmgen train --config=configs/video_to_audio.py:regression --workdir=runs/dubbing
    mmgen sample --workdir=runs/dubbing --video=clip.mp4 --out=out

Argument: how the log-mel spectrogram of a GRID sentence is drawn from the frames of its clip.

    regression      in one pass, by the absolute error; the default
    adversarial     beside the error, against a discriminator of patches of the spectrogram (pix2pix)

The clip lies on the grid of the spectrogram (`config.aligned`): each of its frames is read at the time of its own. The
sound is the spectrogram's, by Griffin-Lim, or with `--config.representation.vocoder=runs/vocoder` by the vocoder of
another run (`configs/vocoder_gan.py`). Dubbed digits and scenes, whose clip tells only what to say and not when,
are `any_to_any.py:digits,target=audio,conditions=video`.

Expected (`regression`, seed 0, 1,424 s of processor time): warped mel distance 5.46 dB, envelope correlation 0.811,
word error rate 0.60 (true sounds 0.12, exchanged sentences 0.85). `adversarial`: not run. See `experiments/dubbing`.

`large` or `<argument>_large`: a network and a training for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

WAYS = ("regression", "adversarial")
ARGUMENTS = ("regression",)


def get_config(arg="regression"):
    way, large = presets.sized(arg, WAYS, "video_to_audio")
    config = schema.base()
    # 48 frames of the clip's 75: one for every four of the 192 frames of the spectrogram.
    config.data = {"name": "grid_s1", "names": ("video", "audio"), "num_frames": 48, "image_size": 32}
    config.aligned = ("video",)
    config.representation = {"name": "log_mel"}
    config.generator = {"name": "translation", "width": 64, "max_width": 256}
    config.objective = {"name": "regression", "target": "audio", "error": "l1"}
    adam = {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0}
    config.optimizers = {"generator": adam | {"ema_decay": 0.998}}
    config.train.batch_size = 16
    config.train.steps = 3000
    config.train.num_samples = 4
    config.evaluators = {
        "fidelity": {"name": "sound_fidelity", "num_examples": 111},
        "frechet": {"name": "frechet_audio", "num_examples": 111},
        "errors": {"name": "speech_error_rate", "num_examples": 111},
    }
    if way == "adversarial":
        config.objective = {"name": "adversarial", "target": "audio", "latent_dim": 0, "l1": 100.0}
        config.discriminator = {"name": "patch", "width": 32, "num_stages": 2, "spectral_norm": True, "norm": "none"}
        config.optimizers.generator.b1 = 0.5
        config.optimizers.discriminator = {"lr": 5e-4, "b1": 0.5}
    if large:
        size = {"dtype": "bfloat16", "train.batch_size": 64, "train.steps": 100_000, "data.image_size": 64}
        config = override(config, size | {"generator.width": 192, "generator.max_width": 768})
    return config
