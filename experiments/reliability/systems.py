"""One small training of every family, on built-in data: what `faults.py` injects faults into.

Each is a config of the project, shrunk as the tests shrink it (`tests/tiny.py`). Where the config's own data has to be
prepared first, the built-in scenes take its place.
"""

from __future__ import annotations

import pathlib

import tiny

from mmgen_jax.config import loading
from mmgen_jax.config.override import override

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
SCENES = {"name": "scenes", "num_train": 64, "num_test": 16, "num_compositional": 16, "image_size": 16}
HALVES = {name: SCENES | {"of": "image", "part": (number, 2)} for number, name in enumerate(("first", "second"))}


def _stages(first: str, *others: str, at: int = 5) -> dict:
    """`first` is trained up to step `at`, the others from there on."""
    return {f"optimizers.{first}.stop_step": at} | {f"optimizers.{other}.start_step": at for other in others}


def scenes(*names: str) -> dict:
    return {"data": SCENES | {"names": names, "audio_seconds": 0.25, "num_frames": 4}}


TRANSLATION = {
    "data": {"name": "unpaired", "sets": HALVES},
    "aligned": ("first", "second"),
}
TARGETS = {"objective.targets": ("first", "second"), "objective.pool": 20}
# {name: (system of tests/tiny.py or config, whole fields, changes, metric)}
FAMILIES = {
    "adversarial": ("gan", {}, {}, "reconstruction"),
    "adversarial, critic repeats": ("gan", {}, {"optimizers.generator.interval": 2}, "reconstruction"),
    "adversarial, 3 steps a call": ("gan", {}, {"train.steps_per_call": 3}, "reconstruction"),
    "variational": ("vae", {}, {}, "reconstruction"),
    "variational, 3 steps a call": ("vae", {}, {"train.steps_per_call": 3}, "reconstruction"),
    "reconstruction": ("autoencoder", {}, {}, "reconstruction"),
    "adversarial_text, three players": (
        "image_to_text_gan.py:scenes",
        {},
        _stages("pretraining", "generator", "discriminator"),
        "",
    ),
    "autoregressive, codes": (
        "text_to_image_autoregressive.py:scenes",
        {},
        _stages("tokenizer", "generator"),
        "reconstruction",
    ),
    "contrastive": ("image_text_retrieval.py:scenes", {}, {}, ""),
    "ctc": ("speech_recognition.py:spoken_digits", scenes("text", "audio"), {}, ""),
    "cycle_adversarial, image pool": ("image_translation_unpaired.py:digits", TRANSLATION, TARGETS, ""),
    "cycle_semantic, image pool": (
        "image_translation_unpaired.py:digits_labelled",
        TRANSLATION,
        TARGETS
        | {"objective.labels": {"first": "first_shape", "second": "second_shape"}}
        | _stages("classifier", "generator", "discriminator"),
        "",
    ),
    "diffusion, latents": (
        "text_to_image_diffusion.py:scenes_latent",
        {},
        _stages("autoencoder", "generator"),
        "reconstruction",
    ),
    "flow": ("vocoder_flow.py:digits", scenes("audio"), {}, ""),
    "matcha": ("text_to_speech.py:spoken_digits_flow", scenes("text", "audio"), {}, ""),
    "multimodal_vae, 3 steps a call": ("multimodal_vae.py:captioned_shapes", {}, {"train.steps_per_call": 3}, ""),
    "recognition": ("multi_task.py:scenes", {}, {}, ""),
    "regression": ("video_super_resolution.py:scenes,x2,frame", {}, {}, "reconstruction"),
    "style_transfer": (
        "style_transfer.py:clothing",
        {"data": {"name": "unpaired", "sets": {"image": HALVES["first"], "style": HALVES["second"]}}},
        {"objective.label": "image_shape"} | _stages("encoder", "generator"),
        "",
    ),
    "tacotron": ("text_to_speech.py:spoken_digits", scenes("text", "audio"), {}, ""),
}


def config(family: str, steps: int, **train):
    """The config of a family: `steps` steps, a line of metrics for each call of the step."""
    name, whole, changes, metric = FAMILIES[family]
    per_call = changes.get("train.steps_per_call", 1)
    train = {"log_steps": per_call} | train
    if ".py" not in name:
        made = tiny.config(name, steps=steps, **train)
    else:
        made = loading.load(str(CONFIGS / name)).copy_and_resolve_references()
        with made.unlocked():
            for field, value in whole.items():
                made[field] = value
        made = tiny.shrink(made.lock(), steps=steps, **train)
    made = override(made, changes)
    with made.unlocked():
        if metric:
            made.evaluators = {"measured": {"name": metric, "from_target": name == "autoencoder"}}
    return made
