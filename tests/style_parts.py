"""A system of style transfer on scenes, made small."""

import tiny

from mmgen_jax.config import schema


def config(**objective):
    """On scenes: a scene's picture is content, and style too."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image",)}
    config.derived = {name: {"name": "copy", "of": "image"} for name in ("photo", "style")}
    config.aligned = ("photo", "style")
    config.target_encoder = {"name": "image.pyramid", "channels": (8, 16)}
    config.generator = {"name": "grid", "width": 8, "norm": "none"}
    config.objective = {"name": "style_transfer", "target": "image", **objective}
    config.optimizers = {"encoder": {"lr": 1e-3}, "generator": {"lr": 1e-3}}
    return tiny.shrink(config.lock())
