"""Multimodal generation in JAX; `mmgen_jax.api` offers the commands as Python functions.

Each name of `__all__` is imported when it is first used: importing the package imports no JAX. `train`, `sample` and
`evaluate` are the modules of these names, because importing a submodule always binds its name in the package. The
functions are `mmgen_jax.api.train` and so on.
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
