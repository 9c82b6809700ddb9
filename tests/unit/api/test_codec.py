"""Records travel as JSON and come back equal; what is not of the contract is refused by field and value."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.api import reference
from evse_pi.api.codec import Mismatch, fields_of, from_plain, is_record, to_plain
from evse_pi.api.installer import ByPin
from evse_pi.api.protocol import Command
from evse_pi.api.refusal import Allowed


class Colour(Enum):
    RED = 1
    BLUE = 2


class Wheel(NamedTuple):
    size_mm: int
    colour: Colour | None = None


class Car(NamedTuple):
    wheels: tuple[Wheel, ...]
    doors: Annotated[int, Allowed(2, 5, "doors")] | None = None
    colours: frozenset[Colour] = frozenset()
    notes: Mapping[str, str] = {}


PLAIN: dict[str, Any] = {"wheels": [{"size_mm": 600, "colour": "RED"}], "doors": 3, "colours": ["BLUE"], "notes": {}}


def test_what_was_left_out_is_as_its_default() -> None:
    assert from_plain(Car, {"wheels": [{"size_mm": 1}]}, "refuse") == Car((Wheel(1),))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"wheels": 4}, "wheels", "wheels: 4 is not allowed; a list"),
        ({"wheels": [{"size_mm": "6"}]}, "wheels[0].size_mm", "'6' is not allowed; a whole number"),
        ({"wheels": [{"size_mm": True}]}, "wheels[0].size_mm", "True is not allowed; a whole number"),
        ({"wheels": [{"size_mm": 6.0}]}, "wheels[0].size_mm", "6.0 is not allowed; a whole number"),
        ({"wheels": [{"size_mm": 6, "colour": "red"}]}, "wheels[0].colour", "one of RED, BLUE, or null"),
        ({"wheels": [{"size_mm": 6, "colour": 1}]}, "wheels[0].colour", "1 is not allowed; one of RED, BLUE, or null"),
        ({"wheels": [{}]}, "wheels[0].size_mm", "is missing"),
        ({"wheels": [7]}, "wheels[0]", "7 is not allowed; an object"),
        ({"doors": 6}, "doors", "6 is not allowed; a whole number from 2 to 5 doors, or null"),
        ({"doors": "many"}, "doors", "'many' is not allowed; a whole number from 2 to 5 doors, or null"),
        ({"colours": ["GREEN"]}, "colours[0]", "'GREEN' is not allowed; one of RED, BLUE"),
        ({"notes": {"a": 1}}, "notes.a", "1 is not allowed; a text"),
        ({"wings": 2}, "wings", "wings: unknown field; allowed are wheels, doors, colours, notes"),
    ],
)
def test_what_is_not_of_the_contract_is_refused_by_field_and_value(
    changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Mismatch) as mismatch:
        from_plain(Car, {**PLAIN, **changes}, "refuse")
    assert mismatch.value.field == field
    assert words in str(mismatch.value)


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(Mismatch) as mismatch:
        from_plain(ByPin, {"name": "Ann", "pin": 480213}, "refuse")
    assert "480213" not in f"{mismatch.value} {mismatch.value.value}"


def test_an_answer_of_a_newer_box_is_understood_without_what_is_new() -> None:
    newer = {**PLAIN, "wings": 2, "wheels": [{"size_mm": 600, "spokes": 32}]}
    assert from_plain(Car, newer, "ignore") == from_plain(Car, {**PLAIN, "wheels": [{"size_mm": 600}]}, "refuse")


@pytest.mark.parametrize("value", [object(), b"bytes", Wheel])
def test_what_no_contract_has_is_not_sent(value: object) -> None:
    with pytest.raises(TypeError):
        to_plain(value)


KINDS = {
    name: kind
    for module in reference.MODULES
    for each in vars(module).values()
    if isinstance(each, Command)
    for name, kind in ((f"{each.name} request", each.request), (f"{each.name} answer", each.answer))
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return any values that a type annotation allows."""
    kind = getattr(kind, "__supertype__", kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_record(kind):
        fields = {name: values_of(hint) for name, hint in fields_of(kind).items()}
        return st.fixed_dictionaries(fields).map(lambda values: kind(**values))
    if origin is Annotated:
        bounds = inner[1]
        return st.integers(bounds.lowest, bounds.highest) if isinstance(bounds, Allowed) else values_of(inner[0])
    if origin is tuple:
        return st.lists(values_of(inner[0]), max_size=2).map(tuple)
    if origin is frozenset:
        return st.frozensets(values_of(inner[0]), max_size=3)
    if inner:
        return st.one_of(*(values_of(each) for each in inner))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return {int: st.integers(-(1 << 53), 1 << 53), str: st.text(max_size=5), bool: st.booleans()}.get(kind, st.none())


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_every_request_and_answer_of_the_contract_comes_back_from_json_as_it_was(name: str, data: Any) -> None:
    value = data.draw(values_of(KINDS[name]))
    assert from_plain(KINDS[name], json.loads(json.dumps(to_plain(value))), "refuse") == value
