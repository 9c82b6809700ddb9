"""The safety process's drivers through unmodified spidev, gpiozero, gpiod and sysfs, on emulated nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.board_console import Refused, board_emulation, console

if TYPE_CHECKING:
    from collections.abc import Iterator

COIL, MIRROR, WATCHDOG, RCD_TRIP = 17, 27, 25, 22
FEED = "(board.watchdog.lower(), board.watchdog.pulse())"
CLOSE = f"[board.contactor.close(), for_ms(80, lambda: {FEED})]"
CLOSED = f"[{CLOSE}, board.contactor.read_closed()][-1]"
"""In one breath: the gate holds for 42 ms, and a machine that other programs share may take longer to ask again."""


WINDOWS = f"[({FEED}, board.pilot_adc.read_window())[1].after for _ in range(8)]"
LIVE = (
    "[max(seen) - min(seen) > 450 for seen in "
    f"zip(*[[after[channel] for channel in board.load_sense.channels] for after in {WINDOWS}])]"
)
"""Whether each phase moved by 80 V or more within eight windows: 450 codes of 179 mV; the gate is fed meanwhile."""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with board_emulation(tmp_path_factory.mktemp("box") / "sim") as emulated:
        yield emulated


@pytest.fixture
def emulated(simulated: Any) -> Iterator[Any]:
    yield simulated
    simulated.client.verb("repair")
    simulated.client.verb("unplug")


@pytest.fixture
def board(emulated: Any) -> Iterator[Any]:
    with console(emulated) as open_board:
        yield open_board
        if open_board.child.process.poll() is None:
            open_board.ask("board.close()")


def pilot(board: Any, order: Any) -> Any:
    board.ask(f"board.pilot_pwm.{order}")
    time.sleep(0.005)
    return board.ask("window()")


def eventually(board: Any, expression: Any, expected: Any, within_s: Any = 5) -> None:
    """Wait until `expression` is as expected: the plant takes its time."""
    deadline = time.monotonic() + within_s
    while (seen := board.ask(expression)) != expected:
        assert time.monotonic() < deadline, seen
        time.sleep(0.002)


def test_building_opens_the_contactor_and_holds_minus_12_volts(emulated: Any, board: Any) -> None:
    line = emulated.line(COIL)
    assert (line["output"], line["level"], line["held"]) == (True, 0, True)
    codes = board.ask("window()")
    assert len(codes) == 96
    assert -12_100 < codes[0] <= codes[-1] < -11_900
    assert emulated.client.state()["duty_ppm"] == 0


def test_the_pilot_is_read_at_both_constant_levels_and_at_both_plateaus(emulated: Any, board: Any) -> None:
    assert all(11_900 < mv < 12_100 for mv in pilot(board, "set_high()"))
    plateaus = pilot(board, "set_duty(533_333)")
    assert -12_100 < plateaus[5] < -11_900
    assert 11_900 < plateaus[-5] < 12_100
    shares = sorted(sum(mv > 0 for mv in board.ask("window()")) for _ in range(9))
    assert 40 <= shares[4] <= 62, "the median: a window in which the machine did something else has gaps"
    emulated.client.verb("plug_in", cable_ma=32_000)
    assert 8_800 < pilot(board, "set_duty(100_000)")[-3] < 9_200
    assert all(mv < -11_900 for mv in pilot(board, "set_low()"))


def test_a_window_takes_between_three_and_seven_periods(board: Any) -> None:
    span = "(lambda seen: seen.ended_ns - seen.started_ns)(board.pilot_adc.read_window())"
    spans = sorted(board.ask(span) for _ in range(20))
    assert spans[0] >= 3_000_000
    assert spans[5] < 7_000_000, "undisturbed: what else runs on the machine makes some longer"


def test_the_contactor_closes_while_the_watchdog_is_fed_and_opens_at_once(emulated: Any, board: Any) -> None:
    eventually(board, CLOSED, True)
    eventually(board, f"[{CLOSE}, {LIVE}][-1]", [True, True, True])
    board.ask("board.contactor.open()")
    assert emulated.line(COIL)["level"] == 0
    eventually(board, "board.contactor.read_closed()", False)
    eventually(board, LIVE, [False, False, False])


@pytest.mark.hazard("H-02")
def test_the_contactor_opens_by_itself_when_pulses_stop(emulated: Any, board: Any) -> None:
    eventually(board, CLOSED, True)
    time.sleep(0.2)
    assert board.ask("board.contactor.read_closed()") is False
    assert emulated.line(COIL)["level"] == 1  # the software still asks for it


def test_a_welded_contactor_is_seen(emulated: Any, board: Any) -> None:
    emulated.client.verb("weld", poles=[1])
    assert board.ask("board.contactor.read_closed()") is True
    assert board.ask(LIVE) == [False, True, False]


def test_a_trip_is_told_by_its_level_until_a_reset(emulated: Any, board: Any) -> None:
    assert board.ask("board.rcd.read_tripped()") is False
    emulated.client.verb("trip_rcd")
    eventually(board, "[board.rcd.read_tripped(), board.rcd.read_tripped()]", [True, True])
    board.ask("[board.rcd.reset(), time.sleep(0.03), board.rcd.read_tripped()]")
    assert board.ask("board.rcd.read_tripped()") is False


def test_a_trip_that_is_over_is_told_once_by_its_edge(emulated: Any, board: Any) -> None:
    emulated.client.verb("trip_rcd")
    board.ask("board.rcd.reset()")
    time.sleep(0.03)
    board.ask("board.rcd._end_reset()")
    assert emulated.line(RCD_TRIP)["level"] == 0
    assert board.ask("board.rcd.read_tripped()") is True
    assert board.ask("board.rcd.read_tripped()") is False


def test_the_test_current_trips_the_device(board: Any) -> None:
    board.ask("board.rcd.set_test(True)")
    time.sleep(0.1)
    assert board.ask("board.rcd.read_tripped()") is True
    board.ask("[board.rcd.set_test(False), board.rcd.reset(), time.sleep(0.03), board.rcd.read_tripped()]")
    assert board.ask("board.rcd.read_tripped()") is False


@pytest.mark.parametrize(("cable_ma", "ohms"), [(13_000, 1_500), (20_000, 680), (32_000, 220), (63_000, 100)])
def test_the_cable_is_read_by_its_resistor(emulated: Any, board: Any, cable_ma: Any, ohms: Any) -> None:
    assert board.ask("board.proximity.read_ohms()") is None
    emulated.client.verb("plug_in", cable_ma=cable_ma)
    assert board.ask("board.proximity.read_ohms()") == pytest.approx(ohms, rel=0.01)


def test_the_lock_moves_and_tells_where_it_is(board: Any) -> None:
    board.ask("[board.lock.drive_lock(), time.sleep(0.25), board.lock.stop()]")
    assert board.ask("board.lock.read_locked()") is True
    board.ask("[board.lock.drive_unlock(), time.sleep(0.25), board.lock.stop()]")
    assert board.ask("board.lock.read_locked()") is False


def test_the_emergency_stop_is_read(emulated: Any, board: Any) -> None:
    assert board.ask("board.emergency_stop.read_pressed()") is False
    emulated.client.verb("press_stop")
    assert board.ask("board.emergency_stop.read_pressed()") is True


def test_closing_the_board_opens_the_contactor_and_leaves_the_pilot_low(emulated: Any) -> None:
    with console(emulated) as board:
        board.ask("board.pilot_pwm.set_high()")
        board.ask(CLOSE)
        board.ask("board.close()")
        line = emulated.line(COIL)
        assert (line["level"], line["output"]) == (0, False)
        assert emulated.client.state()["duty_ppm"] == 0


@pytest.mark.hazard("H-01")
def test_a_killed_process_lets_the_contactor_go_and_its_successor_takes_everything_over(emulated: Any) -> None:
    with console(emulated) as board:
        board.ask("board.pilot_pwm.set_duty(266_667)")
        board.ask(CLOSE)
        assert board.ask("read_output_persistence().released") is True
        board.child.kill()
    assert emulated.eventually_line(COIL, level=0, held=False)["output"] is False
    assert emulated.client.state()["duty_ppm"] == 266_667  # the kernel's PWM outlives its process
    with console(emulated) as board:
        assert emulated.client.state()["duty_ppm"] == 0
        assert board.ask("board.contactor.read_closed()") is False
        board.ask("board.close()")


@pytest.mark.hazard("H-01")
def test_a_kernel_that_keeps_outputs_driven_is_told_from_one_that_does_not(emulated: Any) -> None:
    emulated.client.call("release", mode="persist")
    try:
        with console(emulated) as board:
            assert board.ask("read_output_persistence().released") is False
            assert "strict_gpiod" in board.ask("read_output_persistence().detail")
            board.ask("board.contactor.close()")
            board.child.kill()
        assert emulated.eventually_line(COIL, held=False)["level"] == 1
    finally:
        emulated.client.call("release", mode="strict")
        with console(emulated) as board:
            board.ask("board.close()")


def test_a_second_process_is_refused_and_named(emulated: Any, board: Any) -> None:
    lines = emulated.python("""
        from hal.errors import HalError
        from hal.gpio import Gpio
        try:
            Gpio().output(17, "contactor")
        except HalError as error:
            print(type(error).__name__, error)
    """)
    assert lines[0].startswith("DeviceBusy contactor (GPIO 17)")
    assert board.ask("board.contactor.read_closed()") is False


@pytest.mark.parametrize(
    ("device", "expression"),
    [
        ("spi", "board.pilot_adc.read_window()"),
        ("spi", "board.proximity.read_ohms()"),
        ("pwm", "board.pilot_pwm.set_high()"),
        ("gpio", "board.contactor.close()"),
        ("gpio", "board.contactor.open()"),
        ("gpio", "board.contactor.read_closed()"),
        ("gpio", "board.weld_output.set(True)"),
        ("gpio", "board.weld_output.read_closed()"),
        ("gpio", "board.rcd.read_tripped()"),
        ("gpio", "board.rcd.set_test(True)"),
        ("gpio", "board.lock.drive_lock()"),
        ("gpio", "board.emergency_stop.read_pressed()"),
        ("gpio", "board.watchdog.lower()"),
        ("gpio", "board.watchdog.pulse()"),
    ],
)
def test_a_failing_device_is_a_hal_error_that_names_it_and_heals(
    emulated: Any, board: Any, device: Any, expression: Any
) -> None:
    emulated.client.call("device", device=device, error="EIO")
    try:
        with pytest.raises(Refused) as caught:
            board.ask(expression)
        kind, text = caught.value.args
        assert kind in ("BadReading", "HalError")
        assert "GPIO" in text or "mcp3208" in text or "pilot PWM" in text
    finally:
        emulated.client.call("device", device=device)
    board.ask(expression)


def test_a_board_whose_converter_is_missing_ends_with_the_contactor_released(emulated: Any) -> None:
    code = """
        from pathlib import Path
        from boards.build_safety import build_safety
        from boards.loader import load_board
        from dataclasses import replace
        from hal.errors import HalError
        spec = load_board("simulated", own=Path("/nowhere"))
        try:
            build_safety(replace(spec, pilot_adc=replace(spec.pilot_adc, bus=5)))
        except HalError as error:
            print(type(error).__name__, error)
        input()
    """
    lines = emulated.python(code.replace("input()", "from hal.gpio import Gpio; Gpio().output(17, 'x').close()"))
    assert lines[0].startswith("DeviceNotFound mcp3208 on /dev/spidev5.0")
    assert emulated.line(COIL)["level"] == 0


def test_the_safety_drivers_load_no_serial_port_no_i2c_and_no_network(emulated: Any) -> None:
    lines = emulated.python("""
        import sys
        from pathlib import Path
        from boards.build_safety import build_safety
        from boards.loader import load_board
        build_safety(load_board("simulated", own=Path("/nowhere"))).close()
        print([name for name in ("serial", "smbus2", "pymodbus", "asyncio", "hal.meters") if name in sys.modules])
    """)
    assert lines == ["[]"]
