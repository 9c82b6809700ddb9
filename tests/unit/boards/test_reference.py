"""The page and the schema of board files say what the loader does, asked with values at and beyond each limit."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from boards import reference
from boards.loader import SHIPPED, BoardError, parse_board

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SCHEMA = reference.schema()
FILES = sorted(SHIPPED.glob("*.toml"))


def test_page_and_schema_are_as_the_loader_is() -> None:
    assert (ROOT / "docs/BOARD_FILE.md").read_text() == reference.page(), "run: make docs"
    assert json.loads((ROOT / "boards/board.schema.json").read_text()) == SCHEMA, "run: make docs"


def forms(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return schema.get("oneOf", [schema])


def fits(value: object, schema: dict[str, Any]) -> bool:
    """Judge by JSON Schema 2020-12, as far as a board file needs it."""
    if "oneOf" in schema:
        return sum(fits(value, each) for each in schema["oneOf"]) == 1
    if "enum" in schema:
        return value in schema["enum"]
    match schema["type"], value:
        case "object", dict():
            known = schema["properties"]
            return (
                value.keys() <= known.keys()
                and set(schema["required"]) <= value.keys()
                and all(fits(each, known[key]) for key, each in value.items())
            )
        case "array", list():
            sizes = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
            return sizes and all(fits(each, schema["items"]) for each in value)
        case "integer", int() if not isinstance(value, bool):
            return bool(schema["minimum"] <= value <= schema["maximum"])
        case "string", str():
            return bool(len(value) >= schema["minLength"])
        case "boolean", bool():
            return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_board_fits_the_schema(path: Path) -> None:
    assert fits(tomllib.loads(path.read_text()), SCHEMA)


def keys_of(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for form in forms(schema):
        for name, each in form["properties"].items():
            inner = each.get("items", each)
            if "properties" in inner or "oneOf" in inner:
                yield from keys_of(inner, (*path, name))
            else:
                yield (*path, name), each


def whole(schema: dict[str, Any], form: int) -> dict[str, Any]:
    """Return a table with every key; where there is a shorter form of it, that one for `form` 1."""
    chosen = forms(schema)[min(form, len(forms(schema)) - 1)]
    table: dict[str, Any] = {}
    for name, each in chosen["properties"].items():
        inner = each.get("items", each)
        if "properties" in inner or "oneOf" in inner:
            table[name] = whole(inner, form)
            table[name] = [table[name]] if each.get("type") == "array" else table[name]
        elif "enum" in each:
            table[name] = each["enum"][0]
        else:
            table[name] = {
                "boolean": True,
                "integer": each.get("maximum"),
                "string": "x" * each.get("minLength", 0),
                "array": [each.get("items", {}).get("minimum"), each.get("items", {}).get("maximum")],
            }[each["type"]]
    return table


def problems(table: dict[str, Any]) -> list[str]:
    try:
        parse_board(table, "board", "file")
    except BoardError as error:
        return list(error.problems)
    return []


def with_value(path: tuple[str, ...], value: object) -> dict[str, Any] | None:
    """Return a file in which everything fits but the value at `path`."""
    for form in (0, 1):
        table = whole(SCHEMA, form)
        at: Any = table
        for name in path[:-1]:
            at = at.get(name, {})
            at = at[0] if isinstance(at, list) else at
        if path[-1] in at:
            at[path[-1]] = value
            return table
    return None


def refused(path: tuple[str, ...], value: object) -> bool:
    """Return whether the loader finds the value wrong in itself."""
    table = with_value(path, value)
    assert table is not None
    return any(path[-1] in each and "refused; must be" in each for each in problems(table))


@pytest.mark.parametrize(("path", "schema"), list(keys_of(SCHEMA)), ids=lambda each: ".".join(each)[:60])
def test_the_loader_has_the_limits_of_the_schema(path: tuple[str, ...], schema: dict[str, Any]) -> None:
    match schema.get("type", "enum"):
        case "integer":
            right: list[Any] = [schema["minimum"], schema["maximum"]]
            wrong: list[Any] = [schema["minimum"] - 1, schema["maximum"] + 1, True]
        case "string":
            right, wrong = ["x" * schema["minLength"]], ["x" * (schema["minLength"] - 1), 1]
        case "boolean":
            right, wrong = [True, False], [1]
        case "array":
            ends = [schema["items"]["minimum"], schema["items"]["maximum"]]
            right, wrong = [ends], [[ends[0] - 1, ends[1]], [ends[0], ends[1] + 1], ends[:1]]
        case _:
            right, wrong = schema["enum"], ["another", 1]
    assert not [each for each in right if refused(path, each)]
    assert not [each for each in wrong if not refused(path, each)]


def test_the_loader_knows_no_key_beside_those_of_the_schema() -> None:
    for form in (0, 1):
        table = whole(SCHEMA, form)
        assert not [each for each in problems(table) if "is no key" in each or "is missing" in each]


def test_every_key_has_a_meaning_and_every_meaning_a_key() -> None:
    assert set(reference.MEANINGS) == {path[-1] for path, _ in keys_of(SCHEMA)}
