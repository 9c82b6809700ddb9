"""One table of a board file, read strictly: every problem is noted with file, key, value and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

    E = TypeVar("E", bound=Enum)

HEADER_PINS = (0, 27)
"""BCM numbers that reach the 40-pin header."""

_MISSING = object()


class Section:
    """Hands out checked values of one table and collects what is wrong; a wrong value reads as its lowest legal one.

    The stand-in for a wrong value never leaves the loader, because `problems` is not empty then.
    """

    def __init__(self, path: str, table: Mapping[str, object], problems: list[str]) -> None:
        self._path = path
        self._table = table
        self._problems = problems
        self._known: set[str] = set()

    def problem(self, key: str, what: str) -> None:
        """Note that `key` is wrong because of `what`."""
        self._problems.append(f"{self._path}{key} {what}")

    def has(self, key: str) -> bool:
        """Return whether `key` is given; asking makes the key a known one."""
        self._known.add(key)
        return key in self._table

    def integer(self, key: str, low: int, high: int, *, default: int | None = None) -> int:
        """Return the integer at `key`, which must lie in low..high."""
        value = self._take(key, f"an integer {low}..{high}", default)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self._refuse(key, value, f"an integer {low}..{high}")
        return low

    def pin(self, key: str) -> int:
        """Return the BCM number of a header pin."""
        return self.integer(key, *HEADER_PINS)

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Return the boolean at `key`."""
        value = self._take(key, "true or false", default)
        if isinstance(value, bool):
            return value
        self._refuse(key, value, "true or false")
        return False

    def text(self, key: str, *, at_least: int = 1, default: str | None = None) -> str:
        """Return the text at `key`, which must have `at_least` characters."""
        allowed = f"a text of at least {at_least} characters"
        value = self._take(key, allowed, default)
        if isinstance(value, str) and (len(value.strip()) >= at_least or value == default):
            return value.strip()
        self._refuse(key, value, allowed)
        return ""

    def choice(self, key: str, kind: type[E], *, default: E | None = None) -> E:
        """Return the member of `kind` whose value stands at `key`."""
        allowed = "one of " + ", ".join(repr(member.value) for member in kind)
        value = self._take(key, allowed, default)
        if isinstance(value, kind):
            return value
        for member in kind:
            if type(value) is type(member.value) and value == member.value:
                return member
        self._refuse(key, value, allowed)
        return next(iter(kind))

    def table(self, key: str) -> Section:
        """Return the table at `key`, an empty one when it is missing or no table."""
        value = self._take(key, "a table", None)
        if not isinstance(value, dict):
            self._refuse(key, value, "a table")
            value = {}
        return self._inner(f"{key}.", value)

    def tables(self, key: str) -> list[Section]:
        """Return the tables of the array at `key`, none when it is not given."""
        value = self._take(key, "an array of tables", [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._refuse(key, value, "an array of tables")
            return []
        return [self._inner(f"{key}[{index}].", item) for index, item in enumerate(value)]

    def finish(self) -> None:
        """Note every key that is unknown."""
        known = ", ".join(sorted(self._known)) or "none"
        for key in self._table:
            if key not in self._known:
                self.problem(key, f"= {self._table[key]!r} is no key of this table; allowed: {known}")

    def _inner(self, prefix: str, table: Mapping[str, object]) -> Section:
        return Section(self._path + prefix, table, self._problems)

    def _take(self, key: str, allowed: str, default: object) -> object:
        self._known.add(key)
        if key in self._table:
            return self._table[key]
        if default is None:
            self.problem(key, f"is missing; must be {allowed}")
            return _MISSING
        return default

    def _refuse(self, key: str, value: object, allowed: str) -> None:
        if value is not _MISSING:
            self.problem(key, f"= {value!r} is refused; must be {allowed}")
