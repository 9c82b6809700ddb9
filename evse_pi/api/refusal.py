"""Why something cannot be done: a sentence for people, and which field is at fault.

The field comes with its value and what is allowed, so that a command can say it in its own words and units.
"""

from typing import Any, NamedTuple

from evse_pi.api.texts.catalogue import tr


class Allowed(NamedTuple):
    """What may stand in a field: a range with its unit, or some words; empty where only the sentence tells."""

    lowest: int | None = None
    highest: int | None = None
    unit: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.lowest is not None and self.highest is not None:
            told = tr("a whole number from {lowest} to {highest}").format(lowest=self.lowest, highest=self.highest)
            return f"{told}{self.unit and f' {self.unit}'}"
        return tr("one of {words}").format(words=", ".join(self.words))


class Secret:
    """Marks a text whose value no refusal repeats."""


class AtFault(NamedTuple):
    """The field at fault."""

    field: str
    value: Any = None
    allowed: Allowed = Allowed()


class Refusal(Exception):  # noqa: N818 (it is an answer)
    """The request cannot be carried out; the text says why and what is allowed."""

    def __init__(self, text: str, at: AtFault | None = None) -> None:
        super().__init__(text)
        self.at = at


def refuse(field: str, value: object, allowed: Allowed) -> Refusal:
    """Return the refusal of a value."""
    told = tr("{field}: {value} is not allowed; {allowed}").format(field=field, value=repr(value), allowed=allowed)
    return Refusal(told, AtFault(field, value, allowed))


def check_range(field: str, value: int, lowest: int, highest: int, unit: str = "") -> int:
    """Return `value`. Raises: Refusal naming field, value and range when it is outside."""
    if not lowest <= value <= highest:
        raise refuse(field, value, Allowed(lowest, highest, unit))
    return value
