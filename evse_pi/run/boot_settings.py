"""`python -m evse_pi.run.boot_settings`: the firmware's settings for this box's board and model of Pi, written.

It is what the package does at its installation, and what a change of board or of Pi needs; nothing else is touched.
"""

from __future__ import annotations

import sys
from pathlib import Path

from boards import boot_lines
from evse_pi.installation.board_choice import DEFAULT_BOARD, ENVIRONMENT, chosen_board


def main(environment: Path = ENVIRONMENT, root: Path = Path("/")) -> int:
    """Write them and return an exit status; what is wrong is on stderr."""
    board = chosen_board(environment) or DEFAULT_BOARD
    return boot_lines.main(["write", "--root", str(root), "--board", board])


if __name__ == "__main__":
    sys.exit(main())
