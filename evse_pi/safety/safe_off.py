"""`python -m evse_pi.safety.safe_off --board NAME`: contactor low, pilot at −12 V, when the safety process is gone.

The kernel's PWM runs on without its process, and on some kernels outputs stay driven (hal.kernel): the service manager
runs this whenever the safety process has ended, for whatever reason.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from boards.build_safety import close_all
from boards.loader import BoardError, load_board
from hal.errors import HalError
from hal.gpio import Gpio
from hal.pilot_pwm import SysfsPilotPwm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boards.spec import BoardSpec

EX_UNAVAILABLE = 69
EX_CONFIG = 78


def switch_off(board: BoardSpec, root: Path = Path("/")) -> None:
    """Release the coil and hold −12 V, each though the other fails. Raises: the first HalError, after the last try."""
    close_all((lambda: _release_coil(board), lambda: _hold_low(board, root)))


def _release_coil(board: BoardSpec) -> None:
    parts = board.contactor
    gpio = Gpio()
    try:
        for pin in (parts.pin, *([parts.economiser.boost_pin] if parts.economiser else [])):
            gpio.output(pin, "coil").close()  # claiming it drives it low
    finally:
        gpio.close()


def _hold_low(board: BoardSpec, root: Path) -> None:
    outputs = [(output.device, output.channel) for output in board.pilot_pwm.outputs]
    SysfsPilotPwm(outputs, inverted=board.pilot_pwm.inverted, root=root).close()


def main(argv: Sequence[str] | None = None) -> int:
    """Switch off and return an exit status; what did not work is on stderr."""
    parser = argparse.ArgumentParser(prog="evse_pi.safety.safe_off", description="Contactor off, pilot at -12 V.")
    parser.add_argument("--board", required=True, help="name of the board file")
    try:
        switch_off(load_board(parser.parse_args(argv).board))
    except BoardError as error:
        return _complain(str(error), EX_CONFIG)
    except HalError as error:
        return _complain(str(error), EX_UNAVAILABLE)
    return 0


def _complain(problem: str, status: int) -> int:
    print(f"evse-pi-safe-off: {problem}", file=sys.stderr)  # noqa: T201 (there is no other log at this point)
    return status


if __name__ == "__main__":
    sys.exit(main())
