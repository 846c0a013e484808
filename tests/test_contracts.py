"""Every component has the members of the protocol of its kind, and methods with the same arguments."""

import inspect
import re

import pytest

from mmgen_jax import contracts, lookup

PROTOCOLS = {
    "data": contracts.Source,
    "modalities": contracts.Kind,
    "encoders": contracts.Encoder,
    "fusion": contracts.Fusion,
    "discriminators": contracts.Discriminator,
    "representations": contracts.Representation,
    "objectives": contracts.Objective,
    "evaluators": contracts.Evaluator,
    "baselines": contracts.Draw,
}
# By what a generator starts from; tacotron, waveglow and style transfer's `grid` are each called by one family alone.
FORMS = {"latent": contracts.Generator, "noisy": contracts.Denoiser, "ids": contracts.SequenceGenerator}


def protocol_of(package, component):
    return FORMS.get(component.form) if package == "generators" else PROTOCOLS[package]


def members(protocol):
    own = {name for name in vars(protocol) if not name.startswith("_") or name in ("__call__", "__len__")}
    return sorted({*own, *protocol.__annotations__})


def has(component, name):
    """A class attribute or method, a field without a default, or an attribute that only the instances have."""
    if hasattr(component, name) or any(name in inspect.get_annotations(base) for base in component.__mro__):
        return True
    assigned = re.compile(rf"self\.{name}(: [^=\n]+)? = |self\.{name}, |__setattr__\(self, \"{name}\"")
    return any(
        assigned.search(inspect.getsource(base))
        for base in component.__mro__
        if base.__module__.startswith("mmgen_jax")
    )


def is_optional(component, member):
    """Methods of a kind that are never called for it: see `inline` and `tracks` of `contracts.Kind`."""
    needs = {"read_inline": "inline", "read_track": "tracks"}
    return member in needs and not getattr(component, needs[member], None)


def arguments(function):
    return [parameter for name, parameter in inspect.signature(function).parameters.items() if name != "self"]


def check_arguments(where, method, expected):
    given, wanted = arguments(method), arguments(expected)
    starred = [p.name for p in given if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    named = [p for p in given if p.name not in starred]
    assert [p.name for p in named[: len(wanted)]] == [p.name for p in wanted] or starred, where
    assert all(p.default is not p.empty for p in named[len(wanted) :]), f"{where}: an argument more, without a default"


@pytest.mark.parametrize(
    ("package", "name"),
    [(package, name) for package in (*PROTOCOLS, "generators") for name in lookup.available(package)],
)
def test_a_component_keeps_its_contract(package, name):
    component = lookup.find(package, name)
    if not (protocol := protocol_of(package, component)):
        return
    for member in members(protocol):
        if is_optional(component, member):
            continue
        where = f"{package}/{name}.{member}"
        assert has(component, member), f"{where} is missing"
        expected = inspect.getattr_static(protocol, member, None)
        if inspect.isfunction(expected):
            check_arguments(where, getattr(component, member), expected)


def test_the_check_sees_what_is_wrong():
    class Wrong:
        def __call__(self, array, mask, trains=False): ...

    class Longer:
        def __call__(self, array, mask, train, further): ...

    for wrong in (Wrong, Longer):
        with pytest.raises(AssertionError):
            check_arguments("", wrong.__call__, contracts.Encoder.__call__)
    assert not has(Wrong, "read") and "read" in members(contracts.Source)
