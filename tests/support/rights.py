"""Who may do what at every door of the box: the one table, from which docs/SECURITY.md is written.

Each cell is tried at the door itself by `tests/component/rights`; what a door offers and this table lacks fails there.
Matter's cells follow from the privilege that the data model names: `tests/data/matter_model.json`.

`make rights` writes the tables into docs/SECURITY.md.
"""

from __future__ import annotations

import asyncio
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.matter_model import CLUSTERS
from tests.support.wallbox_device import servers, wallbox_bench

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "SECURITY.md"


class Who(Enum):
    """A user of the machine, by the name that the page has for it."""

    ROOT = "root"
    OWNER = "owner"
    NODE = "`evse-node`"
    SAFETY = "`evse-safety`"
    SERVICE = "another service"
    OTHER = "any other user"


class Outcome(Enum):
    """What comes of it; all but the first are refusals."""

    YES = "yes"
    NO_DOOR = "no door"
    ROOT_ONLY = "root only"
    NO_PIN = "wrong PIN"
    UNHEARD = "not heard"
    UNPROVEN = "not without proof"
    PIN_ASKED = "PIN asked"
    TOKEN_ASKED = "token asked"
    ORIGIN_ASKED = "origin refused"
    NAME_ASKED = "name refused"
    HIDDEN = "yes, without codes"


YES, NO_DOOR, ROOT_ONLY, NO_PIN, UNHEARD, UNPROVEN, PIN_ASKED, TOKEN_ASKED, ORIGIN_ASKED, NAME_ASKED, HIDDEN = Outcome

Row = dict[Who, Outcome]


def _local(root: Outcome, owner: Outcome, node: Outcome, safety: Outcome) -> Row:
    """Return the row of a door in the file system, to which no other user finds a way."""
    return dict(zip(Who, (root, owner, node, safety, NO_DOOR, NO_DOOR), strict=True))


_ALL = _local(YES, YES, YES, YES)
_INSTALLER = _local(YES, ROOT_ONLY, YES, ROOT_ONLY)


class Asked(NamedTuple):
    """One thing that is asked at a socket, with the fields of the request, and who may."""

    command: str
    fields: dict[str, object]
    row: Row

    @property
    def title(self) -> str:
        """What the page calls it."""
        told = ", ".join(f"`{name}: {value}`" for name, value in self.fields.items() if isinstance(value, str))
        return f"`{self.command}`" + (f" with {told}" if told else "")


CONTROL = (
    *(
        Asked(name, {}, _ALL)
        for name in (
            "counters", "faults", "limits", "permit", "readings", "recordings", "scope", "selftest", "sessions",
            "set", "start", "status", "stop", "timing", "transitions", "version", "wake", "watch", "why",
        )
    ),
    Asked("clear", {"role": "USER"}, _ALL),
    Asked("clear", {"role": "INSTALLER"}, _INSTALLER),
    *(
        Asked("commission", {"action": action}, _ALL)
        for action in ("SHOW", "CODES", "OPEN", "REMOVE", "FACTORY_RESET", "NEW_IDENTITY", "KEEP_IDENTITY")
    ),
    Asked("reload", {}, _INSTALLER),
    *(Asked("repair", {"action": action}, _ALL) for action in ("SHOW", "RESET_FABRICS")),
)  # fmt: skip
"""The command socket. A node process is the server itself: what it asks there proves nothing to the safety process."""

INSTALLER_SERVICE = ("check_pin", "clear_as_installer", "set_capacity")
WITH_PIN, WITHOUT_PIN = _ALL, _local(NO_PIN, NO_PIN, NO_PIN, NO_PIN)
"""The installer's service asks everybody for the PIN, root too."""

_NODE_ALONE = _local(UNHEARD, NO_DOOR, YES, UNHEARD)
DEMANDS = {
    "permission, current, readings": _NODE_ALONE,
    "SELF_TEST": _NODE_ALONE,
    "CLEAR_USER": _NODE_ALONE,
    "CLEAR_INSTALLER": {**_NODE_ALONE, Who.NODE: UNPROVEN},
    "RESTART_WAKE_UP": _NODE_ALONE,
    "RELOAD_INSTALLATION": _NODE_ALONE,
}
PROVEN = "CLEAR_INSTALLER with the proof of root or root's service"
"""The link to the safety process."""
SNAPSHOTS = {"snapshot": _local(UNHEARD, NO_DOOR, UNHEARD, YES)}
"""The link to the node process."""


class Visitor(Enum):
    """A browser, or a program that looks like one."""

    READER = "without the PIN"
    SESSION = "with the PIN"
    FORGED = "with the PIN, without the form's token"
    SITE = "with the PIN, from another site's page"
    REBOUND = "by a name that is not the box's"


_READ = dict(zip(Visitor, (YES, YES, YES, YES, NAME_ASKED), strict=True))
_ACT = dict(zip(Visitor, (PIN_ASKED, YES, TOKEN_ASKED, ORIGIN_ASKED, NAME_ASKED), strict=True))
_OPEN_FORM = dict(zip(Visitor, (YES, YES, YES, ORIGIN_ASKED, NAME_ASKED), strict=True))


class Route(NamedTuple):
    """One route of the web page: the orders that it gives to the box, and who may."""

    orders: tuple[str, ...]
    row: dict[Visitor, Outcome]


WEB = {
    **{
        f"GET {path}": Route((), _READ)
        for path in (
            "/", "/why", "/scope", "/sessions", "/faults", "/selftest", "/control", "/pin", "/live/status",
            "/live/why", "/live/scope", "/live/selftest", "/sessions.csv", "/static/<name>",
        )
    },
    "GET /codes": Route(("commission",), {**_READ, Visitor.READER: HIDDEN}),
    "POST /selftest": Route(("selftest",), _ACT),
    "POST /permit": Route(("permit",), _ACT),
    "POST /stop": Route(("stop",), _ACT),
    "POST /start": Route(("start",), _ACT),
    "POST /limit": Route(("set",), _ACT),
    "POST /pin": Route((), {**_OPEN_FORM, Visitor.READER: NO_PIN}),
    "POST /leave": Route((), {**_OPEN_FORM, Visitor.FORGED: TOKEN_ASKED}),
}  # fmt: skip
"""The web page; `POST /pin` is tried with a wrong PIN by who has none."""


def _table(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _folded(rows: list[tuple[str, list[str]]]) -> list[list[str]]:
    """Return the rows with those of the same answers as one."""
    told: dict[tuple[str, ...], list[str]] = {}
    for name, answers in rows:
        told.setdefault(tuple(answers), []).append(name)
    return [[", ".join(names), *answers] for answers, names in told.items()]


def _users(rows: list[tuple[str, Row]]) -> Iterator[str]:
    folded = _folded([(name, [row[who].value for who in Who]) for name, row in rows])
    yield from _table(["what", *(who.value for who in Who)], folded)


async def _served() -> dict[str, tuple[set[int], set[int]]]:
    """Return the numbers of the attributes and commands that the wallbox serves, by cluster."""
    async with wallbox_bench() as bench:
        return {
            server.cluster.name: (set(server.cluster.attributes), set(server.cluster.commands))
            for _, server in servers(bench)
        }


def _matter() -> Iterator[str]:
    """Yield what each privilege of Matter opens beyond the specification's default, by cluster."""
    rows = []
    for name, (attributes, commands) in sorted(asyncio.run(_served()).items()):
        told: dict[str, list[str]] = {}
        for attribute, access in CLUSTERS[name]["attributes"].items():
            for verb in ("read", "write"):
                privilege = access.get(verb)
                if access["id"] in attributes and privilege not in (None, "view"):
                    told.setdefault(privilege, []).append(f"{verb} `{attribute}`")
        for command, access in CLUSTERS[name]["commands"].items():
            if access["id"] in commands:
                told.setdefault(access["invoke"], []).append(f"`{command}`")
        if told:
            rows.append([name, *(", ".join(told.get(each, ())) or "-" for each in ("operate", "manage", "administer"))])
    yield from _table(["cluster", "operate", "manage", "administer"], rows)


def tables() -> str:
    """Return the tables as the page has them."""
    pin = [f"`{name}`" for name in INSTALLER_SERVICE]
    parts = [
        "### The command socket",
        "",
        "`evse-node` is the server itself here. What it asks there proves nothing to the safety process.",
        "",
        *_users([(asked.title, asked.row) for asked in CONTROL]),
        "",
        "### The installer's service",
        "",
        "It asks every user for the PIN, root too.",
        "",
        *_users(
            [(f"{', '.join(pin)} with the PIN", WITH_PIN), (f"{', '.join(pin)} with another or none", WITHOUT_PIN)]
        ),
        "",
        "### The link: `safety.sock` and `node.sock`",
        "",
        *_users(
            [
                *((f"`{name}`" if name.isupper() else name, row) for name, row in DEMANDS.items()),
                (PROVEN.replace("CLEAR_INSTALLER", "`CLEAR_INSTALLER`"), _NODE_ALONE),
                *SNAPSHOTS.items(),
            ]
        ),
        "",
        "### The web page's routes",
        "",
        *_table(
            ["route", "orders", *(each.value for each in Visitor)],
            [
                [", ".join(f"`{name}`" for name in names.split(", ")), orders or "-", *answers]
                for names, orders, *answers in _folded(
                    [(name, [", ".join(r.orders), *(r.row[v].value for v in Visitor)]) for name, r in WEB.items()]
                )
            ],
        ),
        "",
        "### Matter's clusters",
        "",
        "View reads what is not in this table. Each privilege has those to its left; a peer without an entry has none.",
        "",
        *_matter(),
    ]
    return "\n".join(parts) + "\n"


BEGIN, END = "<!-- written by `make rights` -->\n", "<!-- end of what is written -->\n"


def page(former: str) -> str:
    """Return the page with the tables of today. Raises: ValueError where it has no place for them."""
    head, rest = former.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.exit(0)
