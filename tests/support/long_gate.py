"""The simulated board with a gate that holds for seconds: for tests of real processes that are not about time.

A machine that other programs share takes a process off its core for longer than a wallbox may be blind. On the board as
it is shipped that opens the contactor and forbids charging for minutes, as it must; here it changes nothing, and the
board says that it is for the bench. What is about time runs on the shipped board.

The hold is below the 5 s for which the contacts rest after an opening: both switches are proven once the gate has let
go, so a longer one would hold each close up.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import boards
from boards.loader import read_board

if TYPE_CHECKING:
    from boards.spec import BoardSpec

SHIPPED = Path(boards.__file__).with_name("simulated.toml")
GATE = """[watchdog]
hold_min_ms = 4_000
hold_max_ms = 4_500
bench_only = "its gate holds for seconds: for tests on a shared machine"
"""


FOLDER = TemporaryDirectory(prefix="long-gate-")


@cache
def long_gate_file() -> Path:
    """Return a board file that has the shipped one's name and all its parts but the gate's hold."""
    lines = SHIPPED.read_text().splitlines(keepends=True)
    own = [line for line in lines if not line.startswith(("hold_min_ms", "hold_max_ms"))]
    path = Path(FOLDER.name) / SHIPPED.name
    path.write_text("".join(own).replace("[watchdog]\n", GATE))
    return path


def on_long_gate() -> list[str]:
    """Return the options of `evse-pi run` for this board on the simulated plant."""
    return ["--simulate", f"--board={long_gate_file()}"]


def long_gate_board() -> BoardSpec:
    """Return the board of that file."""
    return read_board(long_gate_file())


def changed_keys() -> set[str]:
    """Return the keys in which it differs from the shipped board."""
    shipped, own = (tomllib.loads(path.read_text()) for path in (SHIPPED, long_gate_file()))
    missing: dict[str, object] = {}
    return {
        f"{table}.{key}"
        for table in shipped.keys() | own.keys()
        if isinstance(shipped.get(table), dict)
        for key in shipped[table].keys() | own.get(table, missing).keys()
        if shipped[table].get(key) != own.get(table, missing).get(key)
    }
