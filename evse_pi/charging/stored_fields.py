"""Stored records read value by value: another version, a failing card or a stranger may have written anything there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

Member = TypeVar("Member", bound="Enum")

HIGHEST_NUMBER = (1 << 53) - 1
"""Of rows, energy in mWh and other counts: what every JSON reader can hold exactly, and no box ever reaches."""
LONGEST_NS = 50 * 365 * 86_400 * SECOND
"""Instants lie within 50 years of the machine's start, so that every duration in seconds fits into 32 bits."""
LATEST_UNIX_S = 253_402_300_799  # the end of the year 9999, the last that a calendar can show


class UnknownRecord(ValueError):  # noqa: N818 (what was found, not what went wrong)
    """A stored record says what this version does not know; the text names the field and the value."""


def parsed(record: str | bytes) -> Any:
    """Return what a JSON record says. Raises: UnknownRecord for anything that is not JSON."""
    try:
        return json.loads(record)
    except (ValueError, RecursionError) as error:
        raise UnknownRecord(f"no JSON: {error}") from error


class StoredFields:
    """The fields of one stored record. Every method raises UnknownRecord for a value of another type or range."""

    def __init__(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise UnknownRecord(f"{_brief(record)} is no record with fields")
        self._record: Mapping[str, Any] = record

    def integer(self, name: str, lowest: int = 0, highest: int = HIGHEST_NUMBER) -> int:
        """Return a whole number from `lowest` to `highest`."""
        value = self.raw(name)
        if type(value) is not int or not lowest <= value <= highest:
            raise UnknownRecord(f"{name}: {_brief(value)} is no whole number from {lowest} to {highest}")
        return value

    def optional_integer(self, name: str, lowest: int = 0, highest: int = HIGHEST_NUMBER) -> int | None:
        """Return a whole number from `lowest` to `highest`, or None."""
        return None if self.raw(name) is None else self.integer(name, lowest, highest)

    def instant_ns(self, name: str) -> int:
        """Return an instant of the monotonic clock."""
        return self.integer(name, -LONGEST_NS, LONGEST_NS)

    def optional_instant_ns(self, name: str) -> int | None:
        """Return an instant of the monotonic clock, or None."""
        return self.optional_integer(name, -LONGEST_NS, LONGEST_NS)

    def optional_unix_s(self, name: str) -> int | None:
        """Return an instant on the calendar, or None."""
        return self.optional_integer(name, 0, LATEST_UNIX_S)

    def boolean(self, name: str) -> bool:
        """Return a truth value, which the database keeps as 0 or 1."""
        value = self.raw(name)
        if type(value) not in (bool, int) or value not in (0, 1):
            raise UnknownRecord(f"{name}: {_brief(value)} is neither true nor false")
        return bool(value)

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.raw(name)
        if not isinstance(value, str):
            raise UnknownRecord(f"{name}: {_brief(value)} is no text")
        return value

    def member(self, name: str, kind: type[Member]) -> Member:
        """Return the member of an enumeration that is stored by its name."""
        return member_of(kind, self.raw(name))

    def items(self, name: str) -> list[Any]:
        """Return a list."""
        value = self.raw(name)
        if not isinstance(value, list):
            raise UnknownRecord(f"{name}: {_brief(value)} is no list")
        return value

    def record(self, name: str) -> StoredFields:
        """Return a record within this one."""
        return StoredFields(self.raw(name))

    def optional_record(self, name: str) -> StoredFields | None:
        """Return a record within this one, or None."""
        return None if self.raw(name) is None else self.record(name)

    def raw(self, name: str) -> Any:
        """Return a value as it is."""
        try:
            return self._record[name]
        except KeyError:
            raise UnknownRecord(f"{name}: missing") from None


def member_of(kind: type[Member], name: Any) -> Member:
    """Return the member of `kind` called `name`. Raises: UnknownRecord for a name that this version does not know."""
    found = kind.__members__.get(name) if isinstance(name, str) else None
    if found is None:
        raise UnknownRecord(f"{_brief(name)} is no {kind.__name__} of this version")
    return found


def _brief(value: Any) -> str:
    shown = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__
    return shown if len(shown) <= 40 else shown[:37] + "..."
