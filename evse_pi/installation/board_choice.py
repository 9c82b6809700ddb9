"""Which board this box has: the environment file of its units, which the installer and the package write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.paths import SYSTEM_SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT_FILE = "environment"
ENVIRONMENT = SYSTEM_SETTINGS / ENVIRONMENT_FILE
BOARD_VARIABLE = "EVSE_PI_BOARD"
DEFAULT_BOARD = "reference"
"""As packaging/deb/postinst writes it where no board was chosen."""


def chosen_board(environment: Path = ENVIRONMENT) -> str | None:
    """Return the name of the board, None where none was chosen or the file cannot be read."""
    try:
        lines = environment.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = [line.partition("=")[2].strip().strip('"') for line in lines if line.startswith(f"{BOARD_VARIABLE}=")]
    return values[-1] if values else None
