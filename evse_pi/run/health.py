"""`python -m evse_pi.run.health`: whether this release can run on this machine, before anything is switched to it.

It loads what both processes load and reads this machine's board file: a library that is missing, of another Python or
of another processor shows here. It opens no device and asks no network.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from boards.loader import BoardError, load_board
from evse_pi.installation.board_choice import DEFAULT_BOARD, ENVIRONMENT, chosen_board

if TYPE_CHECKING:
    from pathlib import Path

MODULES = (
    "evse_pi.safety.__main__", "evse_pi.node.__main__", "evse_pi.node.matter_device", "evse_pi.node.web",
    "evse_pi.installer.installer_service", "boards.build_safety", "boards.build_field", "hal.gpiod_pins",
    "spidev", "gpiod", "gpiozero", "serial", "smbus2",
)  # fmt: skip


def problems(environment: Path = ENVIRONMENT) -> list[str]:
    """Return what keeps this release from running here, one line each."""
    found = []
    for name in MODULES:
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 (whatever a library does when it is loaded)
            found.append(f"{name}: {type(error).__name__}: {error}")
    try:
        load_board(chosen_board(environment) or DEFAULT_BOARD)
    except (BoardError, OSError) as error:
        found.append(str(error))
    return found


def main() -> int:
    """Tell the problems on stderr and return 1 where there are any."""
    found = problems()
    sys.stderr.writelines(f"evse-pi: {problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
