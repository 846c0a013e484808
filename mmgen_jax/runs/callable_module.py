"""Modules that can be called: `mmgen_jax.train(…)` is `mmgen_jax.api.train(…)`, but `mmgen_jax.train` is a module."""

from __future__ import annotations

import importlib
import types


class CallableModule(types.ModuleType):
    """A module whose call is the call of the function of the same name in `mmgen_jax.api`."""

    def __call__(self, *args, **kwargs):
        return getattr(importlib.import_module("mmgen_jax.api"), self.__name__.rpartition(".")[2])(*args, **kwargs)
