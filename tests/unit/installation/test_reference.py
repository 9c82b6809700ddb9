"""The page and the schema of installation files say what the loader does."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from evse_pi.core.installation_limits import Installation, InstallationError
from evse_pi.core.installation_rules import parse_installation
from evse_pi.installation import reference
from evse_pi.installation.files import check_house

ROOT = Path(__file__).parents[3]
SCHEMA = reference.schema()
RANGES = [(key, each) for key, each in SCHEMA["properties"].items() if "minimum" in each or "anyOf" in each]


def test_page_and_schema_are_as_the_loader_is() -> None:
    assert (ROOT / "docs/INSTALLATION_FILE.md").read_text() == reference.page(), "run: make docs"
    assert json.loads((ROOT / "docs/installation.schema.json").read_text()) == SCHEMA, "run: make docs"


def test_every_key_has_a_meaning_and_every_meaning_a_key() -> None:
    assert list(reference.MEANINGS) == [each.name for each in fields(Installation)]


def accepts(**changes: object) -> bool:
    board = reference.WIDEST_BOARD
    try:
        check_house(parse_installation({**asdict(reference.RIGHT), **changes}, board), board)
    except InstallationError:
        return False
    return True


def test_the_loader_takes_what_the_page_calls_right() -> None:
    assert accepts()


@pytest.mark.parametrize(("key", "schema"), RANGES, ids=[key for key, _ in RANGES])
def test_the_loader_has_the_limits_of_the_schema(key: str, schema: dict[str, int]) -> None:
    ends = schema if "minimum" in schema else dict(SCHEMA["properties"][key]["anyOf"][1])
    more: dict[str, object] = {"country": "AT", "rcd_reclosures": 0} if key == "phases" else {}  # where there are three
    assert accepts(**{key: ends["minimum"]})
    assert accepts(**{key: ends["maximum"], **more})
    assert not accepts(**{key: ends["maximum"] + 1})
    assert accepts(**{key: ends["minimum"] - 1}) == (
        ends["minimum"] - 1 == schema["default"] if "anyOf" in schema else False
    )


@pytest.mark.parametrize("key", reference.CHOICES)
def test_the_loader_takes_every_choice_of_the_schema(key: str) -> None:
    for value in SCHEMA["properties"][key]["enum"]:
        more: dict[str, object] = {}
        if key == "meter_model" and value in ("board", "none"):
            more = {"meter_port": ""}
        elif value == "it":  # where there is such a supply
            more = {"country": "NO", "rcd_reclosures": 0}
        assert accepts(**{key: value, **more})
    assert not accepts(**{key: "another"})


@pytest.mark.parametrize("key", reference.REQUIRED)
def test_what_the_schema_requires_is_refused_without(key: str) -> None:
    values = asdict(reference.RIGHT)
    del values[key]
    board = reference.WIDEST_BOARD
    with pytest.raises(InstallationError, match=key):
        check_house(parse_installation(values, board), board)
