"""What ends the offer after the safety process has died takes each step by itself, whatever cannot be imported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.board_console import board_emulation, console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulation import Emulation

COIL = 17
SAFE_OFF = """
    import contextlib, io, sys
    missing = {missing!r}
    if missing:
        sys.modules[missing] = None
    from evse_pi.safety.safe_off import main
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        print(main(["--board", "simulated"]))
    print(*said.getvalue().splitlines(), sep="\\n")
"""


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with board_emulation(tmp_path_factory.mktemp("box") / "sim") as running:
        yield running


@pytest.fixture
def abandoned(emulated: Any) -> Any:
    """A box that died with the contactor driven and the pilot oscillating, on a kernel that keeps outputs."""
    emulated.client.call("release", mode="persist")
    with console(emulated) as board:
        board.ask("[board.pilot_pwm.set_duty(266_666), board.contactor.close()]")
        board.child.kill()
    assert emulated.eventually_line(COIL, held=False)["level"] == 1
    assert emulated.client.state()["duty_ppm"] > 0
    return emulated


def state(emulated: Emulation) -> Any:
    time.sleep(0.005)
    line = emulated.line(COIL)
    return line["level"], line["output"], emulated.client.state()["duty_ppm"]


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize("missing", ["", "gpiod", "gpiozero", "spidev"])
def test_it_needs_no_library(abandoned: Any, missing: Any) -> None:
    assert abandoned.python(SAFE_OFF.format(missing=missing)) == ["0", ""]
    assert state(abandoned) == (0, False, 0)


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize(
    ("missing", "left", "told"),
    [("hal.line_release", (1, True, 0), "coil"), ("hal.pilot_pwm", (0, False, 266_666), "pilot")],
)
def test_each_step_is_taken_though_another_cannot_be(abandoned: Any, missing: Any, left: Any, told: Any) -> None:
    status, said = abandoned.python(SAFE_OFF.format(missing=missing))
    assert status == "69"
    assert said.startswith(f"evse-pi-safe-off: {told}: ")
    assert state(abandoned) == left
    assert abandoned.python(SAFE_OFF.format(missing=""))[0] == "0"


@pytest.mark.hazard("H-08")
def test_a_line_that_is_held_is_told_and_the_pilot_ends_all_the_same(emulated: Any) -> None:
    with console(emulated) as board:
        board.ask("board.pilot_pwm.set_duty(266_666)")
        status, said = emulated.python(SAFE_OFF.format(missing=""))
        assert (status, emulated.client.state()["duty_ppm"]) == ("69", 0)
        assert said == f"evse-pi-safe-off: coil: GPIO {COIL}: Device or resource busy"
