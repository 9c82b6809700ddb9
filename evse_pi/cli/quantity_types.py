"""Currents and voltages as people type them: a number with its unit, never without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evse_pi.api.texts.catalogue import tr

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

USUAL = {
    "A": ("6A", "10A", "13A", "16A", "20A", "25A", "32A", "40A", "48A", "63A", "80A"),
    "V": ("120V", "230V", "240V"),
}
"""What is proposed where a quantity is typed."""
NONE = "none"


class Quantity(click.ParamType):  # type: ignore[type-arg] # generic since click 8.2 only
    """A number with its unit, such as 32A or 230V; taken in thousandths of it, `none` as None where that is allowed."""

    name = "quantity"

    def __init__(self, unit: str, *, may_be_none: bool = False) -> None:
        self._unit = unit
        self._words = (NONE,) if may_be_none else ()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return thousandths; a number without unit is wrong usage, because its meaning would be a guess."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        if text.lower() in self._words:
            return text.lower()
        thousandths = self._thousandths(text.lower())
        if thousandths is None:
            example = "32A or 6500mA" if self._unit == "A" else "230V"
            word = f", or {NONE}" if self._words else ""
            return self.fail(
                tr("{text!r}: a number with its unit is required, for example {example}{word}").format(
                    text=text, example=example, word=word
                ),
                param,
                ctx,
            )
        return thousandths

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # type: ignore[type-arg,unused-ignore] # noqa: ARG002
        """Propose the usual values."""
        from click.shell_completion import CompletionItem

        offered = (*self._words, *USUAL[self._unit])
        return [CompletionItem(value) for value in offered if value.lower().startswith(incomplete.lower())]

    def _thousandths(self, text: str) -> int | None:
        unit = self._unit.lower()
        for suffix, factor in ((f"m{unit}", 1), (unit, 1000)):
            number = text.removesuffix(suffix).strip()
            if number != text and _is_number(number, negative=self._unit == "V"):
                found = round(float(number) * factor, 6)
                return int(found) if found.is_integer() else None
        return None


def _is_number(text: str, *, negative: bool) -> bool:
    digits = (text.removeprefix("-") if negative else text).replace(".", "", 1)
    return digits.isascii() and digits.isdigit()


AMPERES, VOLTS, LIMIT = Quantity("A"), Quantity("V"), Quantity("A", may_be_none=True)
