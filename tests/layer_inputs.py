"""Layers of the tests, made and run in compiled code."""

from __future__ import annotations

import functools

import jax

random = jax.random.normal
# Compiling is most of the time of these tests, and the kernels are tiny.
compile_fast = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@functools.partial(compile_fast, static_argnums=0, static_argnames="train")
def init(module, seed, *args, **kwargs):
    return module.init(seed, *args, **kwargs)


@functools.partial(compile_fast, static_argnums=0, static_argnames=("train", "mutable"))
def apply(module, variables, *args, **kwargs):
    return module.apply(variables, *args, **kwargs)


def key(i: int) -> jax.Array:
    return jax.random.key(i)
