"""Writes docs/API.md from the records and commands themselves: `python -m evse_pi.api.reference`."""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

from evse_pi.api import API_VERSION, commissioning, diagnosis, history, installer, orders, repair, status, why
from evse_pi.api.codec import fields_of, is_record
from evse_pi.api.protocol import MAX_REQUEST_BYTES, Command
from evse_pi.api.refusal import Allowed, AtFault, Secret
from evse_pi.paths import INSTALLER_SOCKET

MODULES = (status, history, why, diagnosis, orders, commissioning, repair, installer)
SOCKETS = {
    "Commands of the box": (status, history, why, diagnosis, orders, commissioning, repair),
    "Commands of the installer's service": (installer,),
}
UNITS = {
    "ma": "mA", "mv": "mV", "mw": "mW", "mwh": "mWh", "mhz": "mHz", "ppm": "ppm", "ns": "ns", "us": "µs", "ms": "ms",
    "s": "s", "ohms": "Ω", "celsius": "1/100 °C",
}  # fmt: skip
HEAD = f"""# The contract for asking the box

Version {API_VERSION}. This page is written by `make commands` from the records of `evse_pi.api`; a test compares them.

The box listens at `control.sock` in its run directory, a UNIX stream socket, for its group. One JSON object a line,
both ways; a request has at most {MAX_REQUEST_BYTES} bytes. A connection may send one request after the other.
The installer's service of an installed box listens at `{INSTALLER_SOCKET}` in the same way, for one request a
connection.

    {{"command": "set", "limit_ma": 16000}}
    {{"ok": true, "result": {{"permitted": true, "limit_ma": 16000, "stored": true}}}}
    {{"command": "set", "limit_ma": 5000}}
    {{"ok": false, "error": "limit_ma: 5000 is not allowed; ...", "at": {{"field": "limit_ma", "value": 5000, ...}}}}

A refusal has its reason as a sentence and, where one field is at fault, `at`. A request with a field that is not
listed is refused; an answer of a newer version may have more fields, which a client ignores. A field with a default
may be left out of a request. Enumerations travel by their names. Instants in `_ns` are of CLOCK_MONOTONIC, those in
`unix_s` of the calendar. Units stand in the names of fields:
{", ".join(f"`_{end}` {unit}" for end, unit in UNITS.items())}.
"""


def main() -> int:
    """Print the page."""
    sys.stdout.write(page())
    return 0


def page() -> str:
    """Return the page."""
    described: dict[str, Any] = {}
    parts = [HEAD.rstrip()]
    for title, modules in SOCKETS.items():
        parts += ["", f"## {title}", "", "| command | request | answer | what it does |", "|---|---|---|---|"]
        for command in (each for module in modules for each in vars(module).values() if isinstance(each, Command)):
            parts.append(_command(command))
            for kind in (command.request, command.answer, AtFault):
                _collect(kind, described)
    records = {name: kind for name, kind in described.items() if is_record(kind) and kind._fields}
    parts += ["", "## Records", ""]
    for name in sorted(records):
        parts += [*_record(records[name]), ""]
    parts += ["## Enumerations", ""]
    for name in sorted(set(described) - set(records)):
        if not is_record(described[name]):
            parts += [*_enumeration(described[name]), ""]
    return "\n".join(parts).rstrip() + "\n"


def _command(command: Command[Any, Any]) -> str:
    notes = " One line a change." * command.streams + " For root alone." * command.installer
    request = _type(command.request) if command.request._fields else "–"
    return f"| `{command.name}` | {request} | {_type(command.answer)} | {command.about}{notes} |"


def _record(kind: Any) -> list[str]:
    text = [f"### {kind.__name__}", "", _told(kind), "", "| field | type | default |", "|---|---|---|"]
    for name, hint in fields_of(kind).items():
        default = kind._field_defaults.get(name, _NONE)
        text.append(f"| `{name}` | {_type(hint)} | {'' if default is _NONE else _default(default)} |")
    return text


def _enumeration(kind: type[Enum]) -> list[str]:
    return [f"### {kind.__name__}", "", _told(kind), "", ", ".join(f"`{name}`" for name in kind.__members__)]


def _told(kind: Any) -> str:
    return re.sub(r"\s+", " ", kind.__doc__ or "").strip()


_NONE = object()


def _default(value: Any) -> str:
    if isinstance(value, Enum):
        return f"`{value.name}`"
    if isinstance(value, tuple):
        return "empty"
    return {None: "null", True: "true", False: "false", "": "empty"}.get(value, f"{value}")


def _type(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    kind = getattr(kind, "__supertype__", kind)
    if origin is typing.Annotated:
        bounds = next((each for each in inner[1:] if isinstance(each, Allowed)), None)
        if bounds is None:
            return _type(inner[0])
        return f"number, {bounds.lowest} to {bounds.highest}{bounds.unit and f' {bounds.unit}'}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(each) for each in inner)
    if origin in (tuple, frozenset):
        return f"list of {_type(inner[0])}"
    if origin is Mapping:
        return f"object of {_type(inner[1])}"
    plain = {int: "number", str: "text", bool: "true or false", type(None): "null", Any: "anything"}
    return plain[kind] if kind in plain else f"[{kind.__name__}](#{kind.__name__.lower()})"


def _collect(kind: Any, found: dict[str, Any]) -> None:
    """Add every record and enumeration that `kind` is made of."""
    if isinstance(kind, type) and (is_record(kind) or issubclass(kind, Enum)):
        if kind.__name__ in found:
            return
        found[kind.__name__] = kind
        for hint in fields_of(kind).values() if is_record(kind) else ():
            _collect(hint, found)
        return
    for each in typing.get_args(kind):
        if not isinstance(each, (Allowed, Secret)):
            _collect(each, found)


if __name__ == "__main__":
    sys.exit(main())
