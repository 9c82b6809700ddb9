"""`python -m evse_pi.safety.safe_off --board NAME`: contactor low, pilot at −12 V, when the safety process is gone.

The kernel's PWM runs on without its process, and on some kernels outputs stay driven (hal.kernel): the service manager
runs this whenever the safety process has ended, for whatever reason. That may be a library which is not there, so GPIO
lines go without any, and each step is taken though all others fail.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boards.spec import BoardSpec


def switch_off(board: BoardSpec, root: Path = Path("/")) -> list[str]:
    """Release coil and boost and hold −12 V, each though the others fail; return what did not work."""
    steps: dict[str, Callable[[], None]] = {"coil": partial(_release, board.contactor.pin)}
    if board.contactor.economiser:
        steps["boost"] = partial(_release, board.contactor.economiser.boost_pin)
    steps["pilot"] = partial(_hold_low, board, root)
    return [problem for name, step in steps.items() if (problem := _try(name, step))]


def _try(name: str, step: Callable[[], None]) -> str | None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 (nothing may keep the next step from being taken)
        return f"{name}: {error or type(error).__name__}"
    return None


def _release(pin: int) -> None:
    from hal.line_release import release_low

    release_low(pin)


def _hold_low(board: BoardSpec, root: Path) -> None:
    from hal.pi_models import pwm_outputs
    from hal.pilot_pwm import SysfsPilotPwm

    SysfsPilotPwm(pwm_outputs(board.pilot_pwm.pin), inverted=board.pilot_pwm.inverted, root=root).close()


def main(argv: Sequence[str] | None = None) -> int:
    """Switch off and return an exit status; what did not work is on stderr."""
    from boards.loader import BoardError, choose_board

    parser = argparse.ArgumentParser(prog="evse_pi.safety.safe_off", description="Contactor off, pilot at -12 V.")
    parser.add_argument("--board", required=True, help="name of the board file")
    try:
        board = choose_board(parser.parse_args(argv).board)
    except BoardError as error:
        return _complain([str(error)], os.EX_CONFIG)
    problems = switch_off(board)
    return _complain(problems, os.EX_UNAVAILABLE) if problems else 0


def _complain(problems: Sequence[str], status: int) -> int:
    for problem in problems:
        print(f"evse-pi-safe-off: {problem}", file=sys.stderr)  # noqa: T201 (there is no other log at this point)
    return status


if __name__ == "__main__":
    sys.exit(main())
