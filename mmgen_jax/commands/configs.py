"""The `mmgen configs` command: the configs in the package, grouped by task."""

from __future__ import annotations

import pathlib

from mmgen_jax.config import shipped

# By task, in the order of the list.
TASKS = {
    "text (and sound) to image": (
        *("quickstart", "text_to_image_gan", "text_to_image_vae", "text_to_image_diffusion"),
        *("text_to_image_autoregressive", "text_to_image_families"),
    ),
    "any modality to any other": ("any_to_any", "multimodal_vae"),
    "images from nothing": ("dcgan", "vae", "cae", "mnist_likelihood"),
    "image to image": (
        *("image_translation", "image_translation_unpaired", "style_transfer", "inpainting", "completion_by_words"),
        "image_restoration",
    ),
    "clips": (
        *("video_to_video", "video_super_resolution", "video_gan", "text_to_video"),
        *("vgan", "video_to_image", "audio_to_video_vae"),
    ),
    "sound": (
        *("text_to_speech", "text_to_audio", "image_to_audio", "video_to_audio", "audio_to_image"),
        *("vocoder_wavenet", "vocoder_gan", "vocoder_flow"),
    ),
    "image or sound to text": (
        *("image_captioning", "image_to_text_gan", "speech_recognition", "audio_captioning", "audio_to_lyrics"),
    ),
    "retrieval": ("image_text_retrieval",),
    "recognition": ("image_recognition", "feature_fusion", "multi_task", "video_recognition"),
    "a folder of your own": ("folder",),
}


def listing() -> str:
    """Every config with the first line of its docstring, and how each is used."""
    lines, width = [], max(map(len, shipped.names()))
    for task, names in TASKS.items():
        lines += ["", f"{task}:"]
        lines += [f"  {name:<{width}}  {shipped.docstring(name).splitlines()[0]}" for name in names]
    how = (
        "mmgen configs NAME: its arguments and the numbers to expect; with --copy: a copy in configs/ to change",
        "mmgen train --config=NAME[:ARGUMENT] --workdir=DIR; on your own data: --config=NAME:folder=PATH or :npz=FILE",
    )
    return "\n".join([*lines[1:], "", *how])


def show(name: str = "", copy: bool = False) -> str:
    """The listing, one config's docstring, or the path of a copy of it in `configs/`.

    Raises:
      ConfigError: there is no such config, or the copy's file is there already.
    """
    if copy:
        return str(shipped.copy(name, pathlib.Path("configs")))
    return shipped.docstring(name) if name else listing()
