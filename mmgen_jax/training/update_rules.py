"""Optimizers of optax by name, with the fields of optax's own function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import optax

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Depth, NotNegative, Positive, Rate, Real, Size, Steps, TopShare
from mmgen_jax.errors import LookupFailed

RULES: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": optax.sgd,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
    "adafactor": optax.adafactor,
    "muon": optax.contrib.muon,  # only for matrices; all other parameters are trained by Adam
}
MASKS = ("mask", "weight_decay_mask")  # arguments of optax that select the parameters with weight decay
# Arguments of optax that a config does not set: the rate is `lr` with its schedule, and the others are functions.
LEFT_OUT = {"learning_rate", "muon_weight_dimension_numbers", *MASKS}
TYPES: dict[str, Any] = {  # of the rules' fields; a field has the same meaning in every rule
    **dict.fromkeys(("b1", "b2", "decay", "momentum", "beta", "adam_b1", "adam_b2"), Rate),
    **dict.fromkeys(("eps", "clipping_threshold", "consistent_rms"), Positive),
    **dict.fromkeys(("eps_root", "adam_eps_root", "initial_scale"), NotNegative),
    **dict.fromkeys(("weight_decay", "adam_weight_decay", "weight_decay_rate", "adam_learning_rate"), NotNegative),
    **dict.fromkeys(("nesterov", "eps_in_sqrt", "centered", "bias_correction", "adaptive"), bool),
    **dict.fromkeys(("multiply_by_parameter_scale", "factored"), bool),
    "decay_rate": TopShare,  # the exponent of Adafactor's decay, not a decay itself
    "decay_offset": Steps,
    "min_dim_size_to_factor": Size,
    "ns_steps": Depth,
    "ns_coeffs": tuple[Real, Real, Real],
    "preconditioning": Literal["frobenius", "spectral", "aol", "schatten"],
}


def fields(name: str) -> dict[str, Any]:
    """`{field: default}` of a rule; 0.0 stands for the default None of a number.

    Raises:
      LookupFailed: there is no such rule.
    """
    if name not in RULES:
        raise LookupFailed(
            f"optimizers: {name!r} does not exist; {lookup.nearest(name, RULES)}there are: {', '.join(RULES)}"
        )
    found = {key: parameter.default for key, parameter in inspect.signature(RULES[name]).parameters.items()}
    found = {key: value for key, value in found.items() if key not in LEFT_OUT and "dtype" not in key}
    return {key: 0.0 if value is None else value for key, value in found.items()}


def build(name: str, learning_rate: optax.Schedule, own: Mapping[str, Any]) -> optax.GradientTransformation:
    """The rule with its fields `own`; the other fields have optax's defaults; only matrices and kernels decay."""
    parameters = inspect.signature(RULES[name]).parameters
    masks = {key: matrices for key in MASKS if key in parameters}
    return RULES[name](learning_rate=learning_rate, **masks, **own)


def matrices(params):
    """Which parameters have weight decay: those with more than one axis, so no bias and no scale."""
    return jax.tree.map(lambda x: x.ndim > 1, params)
