"""HTML that is escaped by construction: text becomes markup only here, and nothing but `element` makes tags."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TypeAlias

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:m?[AVWs]|kWh?|%|°C)(?![\w-]))")
VOID = frozenset({"br", "circle", "input", "line", "link", "meta", "path", "polyline", "rect"})


@dataclass(frozen=True, slots=True)
class Markup:
    """A piece of HTML without line breaks that needs no more escaping."""

    html: str


Child: TypeAlias = "Markup | str | int | None"


def text(value: str | int) -> Markup:
    """Return `value` as it shall be read, whatever characters it has; a number stays on the line of its unit."""
    escaped = html.escape(str(value)).replace("\r", " ").replace("\n", " ")
    return Markup(_BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", escaped))


def joined(*children: Child) -> Markup:
    """Return children one after the other; None is none."""
    return Markup("".join(_html(child) for child in children if child is not None))


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return one element.

    An attribute's name ends with `_` where it is a Python keyword, and has `_` for `-`; True is an attribute without
    a value, None and False are none.
    """
    told = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{told}>" if name in ("br", "input", "link", "meta") else f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{joined(*children).html}</{name}>")


def _attribute(key: str, value: str | int | bool) -> str:
    name = key.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value).html}"'


def _html(child: Markup | str | int) -> str:
    return child.html if isinstance(child, Markup) else text(child).html
