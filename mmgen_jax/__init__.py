"""Multimodal generation in JAX.

    import mmgen_jax

    mmgen_jax.train("configs/quickstart.py", "runs/quickstart")
    run = mmgen_jax.load("runs/quickstart")
    images = mmgen_jax.sample(run, {"text": "a large green star"}, num=4)["image"]

`train`, `load`, `sample`, `evaluate` and `encode` are the functions of `mmgen_jax.api`, which has more. Each name of
`__all__` is imported when it is first used: importing the package imports no JAX.

Importing a submodule always binds its name in the package, so `train`, `sample` and `evaluate` are modules that can be
called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmgen_jax import api, evaluate, sample, train
    from mmgen_jax.api import encode, load

__version__ = "0.1.0"
__all__ = ["__version__", "api", "encode", "evaluate", "load", "sample", "train"]


def __getattr__(name: str):
    if name in ("encode", "load"):
        return getattr(importlib.import_module("mmgen_jax.api"), name)
    if name in __all__:
        return importlib.import_module(f"mmgen_jax.{name}")
    raise AttributeError(f"module 'mmgen_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
