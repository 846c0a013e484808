"""Numbers of a config: every field of a component declares its range, and what is out of it is refused by name."""

import dataclasses
import math
import re
import typing
from collections.abc import Mapping
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen_jax import lookup
from mmgen_jax.config import ranges, schema
from mmgen_jax.errors import ConfigError
from mmgen_jax.training.optimizers import Optimizer

COMPONENTS = [
    (f"{package}/{name}", cls)
    for package in sorted(set(lookup.PACKAGES) - {"modalities", "judges", "baselines"})
    for name in lookup.available(package)
    for cls in [lookup.find(package, name)]
]
COMPONENTS.append(("optimizers", Optimizer))
# Filled by the surroundings, which know them.
SURROUNDINGS = {"shape", "vocab_size", "num_classes", "total_steps"}
HOSTILE = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(["", "much", None, True, (), (0,), (math.nan,), (1, 2, 3, 4), {}, {"text": -1.0}]),
    st.tuples(st.integers() | st.floats()),
)


def settable(cls):
    return [field for field in dataclasses.fields(cls) if field.init and field.name not in ("parent", "name")]


def numbers(annotation) -> list:
    """The types in a type that are numbers, with a range or without."""
    if annotation in (int, float) or typing.get_origin(annotation) is Annotated:
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in numbers(part)]


@pytest.mark.parametrize("name, cls", COMPONENTS, ids=[name for name, _ in COMPONENTS])
def test_every_number_has_a_range_and_its_default_lies_in_it(name, cls):
    for field in settable(cls):
        annotation = ranges.annotation(cls, field.name)
        if isinstance(field.type, str) and re.search(r"\b(int|float)\b", field.type):
            known = field.name in SURROUNDINGS or field.default is dataclasses.MISSING
            assert known, f"{field.name}: {field.type} has no range; see config/ranges.py"
        if numbers(annotation) and field.default is not dataclasses.MISSING:
            ranges.check(cls, {field.name: field.default}, name)


def test_every_number_of_the_config_itself_has_a_range():
    config = schema.base()
    declared = {f"{part}.{name}".strip(".") for part, fields in schema.RANGES.items() for name in fields}
    fields = {part: {**config[part], **schema.OPTIONAL.get(part, {})} for part in ("train", "parallel")}
    number = (int, float)
    plain = {f"{p}.{key}" for p in fields for key, value in fields[p].items() if type(value) in number}
    assert declared == plain | {"seed", "data.fraction", "fusion.modality_dropout"}
    schema.check_numbers(config)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(COMPONENTS), st.data(), HOSTILE)
def test_any_value_of_any_field_is_taken_or_refused_in_one_line(component, data, value):
    name, cls = component
    if not (fields := [field.name for field in settable(cls)]):
        return
    field = data.draw(st.sampled_from(fields))
    try:
        ranges.check(cls, {field: value}, name)
    except ConfigError as error:
        line = str(error)
        assert line.startswith(f"{name}.{field}: expected ") and line.endswith(f", got {value!r}") and "\n" not in line


@pytest.mark.parametrize(
    "annotation, inside, outside, expected",
    [
        (
            ranges.Size,
            (1, 2**20),
            (0, 2**20 + 1, 1.0, True, "1", None),
            "a whole number, at least 1 and at most 1,048,576",
        ),
        (ranges.Rate, (0, 0.0, 0.999), (1.0, -1e-9, math.nan, "0.5"), "a number, at least 0 and below 1"),
        (ranges.Positive, (1e-9, 3), (0, 0.0, -1, math.inf), "a number, above 0"),
        (ranges.Real, (-1e30, 0), (math.nan, -math.inf), "a number, finite"),
        (tuple[ranges.Size, ...], ((1,), [2, 3]), ((), (0,), 3, (1.5,)), ""),
        (tuple[ranges.Steps, ranges.Steps], ((0, 5),), ((0,), (0, -1)), ""),
        (ranges.Size | tuple[ranges.Size, ...], (3, (3, 4)), (0, (0,), None), ""),
        (ranges.Size | None, (3, None), (0,), ""),
        (Mapping[str, ranges.Share], ({"text": 0.5}, {}), ({"text": 2}, 0.5), ""),
        (bool, (True,), (1, "True"), "True or False"),
        (str, ("a",), (1, None), "a text"),
    ],
)
def test_what_is_in_a_range(annotation, inside, outside, expected):
    for value in inside:
        ranges.check_value(annotation, value, "config.x")
    for value in outside:
        with pytest.raises(ConfigError, match=rf"^config\.x: expected {re.escape(expected)}.*, got ") as error:
            ranges.check_value(annotation, value, "config.x")
        assert str(error.value).endswith(repr(value))
