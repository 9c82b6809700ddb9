"""Other boards and other Pis: inverted stages, active-low lines, economiser, toggled RCD test, ten-bit converters."""

from __future__ import annotations

import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import SHIPPED, parse_board, read_board
from tests.support.board_console import console, quiet_settings
from tests.support.emulation import emulation

if TYPE_CHECKING:
    from pathlib import Path


def board_file(folder: Any, without: tuple[str, ...] = (), **changes: Any) -> Any:
    """Write a variant of the simulated board `without` some tables; a key is `section__key`, its value TOML text."""
    lines = (SHIPPED / "simulated.toml").read_text().splitlines()
    for section in without:
        start = lines.index(f"[{section}]")
        end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines))
        del lines[start:end]
    for name, value in changes.items():
        section, key = name.split("__")
        start = lines.index(f"[{section}]")
        end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines))
        kept = [line for line in lines[start + 1 : end] if not line.startswith(f"{key} = ")]
        lines[start + 1 : end] = [f"{key} = {value}", *kept]
    path = folder / "variant.toml"
    path.write_text("\n".join(lines))
    return path


def variant(tmp_path: Path, model: Any = "pi5", without: tuple[str, ...] = (), **changes: Any) -> Any:
    path = board_file(tmp_path, without, **changes)
    return path, emulation(tmp_path / "sim", quiet_settings(read_board(path), model=model))


def pilot(board: Any, order: Any) -> Any:
    board.ask(f"board.pilot_pwm.{order}")
    time.sleep(0.005)
    return board.ask("window()")


@pytest.mark.parametrize("model", ["pi4", "pi5"])
@pytest.mark.parametrize("inverted", ["true", "false"])
def test_the_pilot_works_on_every_pi_and_behind_an_inverting_stage(tmp_path: Path, model: Any, inverted: Any) -> None:
    path, running = variant(tmp_path, model, pilot_pwm__inverted=inverted)
    with running as emulated, console(emulated, str(path)) as board:
        assert pilot(board, "set_low()")[-1] < -11_900
        assert pilot(board, "set_high()")[0] > 11_900
        shares = sorted(sum(mv > 0 for mv in pilot(board, "set_duty(533_333)")) for _ in range(9))
        assert 40 <= shares[4] <= 62, "the median: a window in which the machine did something else has gaps"
        board.ask("board.close()")
        assert emulated.client.state()["duty_ppm"] == 0


@pytest.mark.parametrize("chip", ["mcp3204", "mcp3008", "mcp3004"])
def test_every_converter_of_the_family_sees_both_plateaus(tmp_path: Path, chip: Any) -> None:
    ten_bits = chip.endswith(("08", "04")) and chip != "mcp3204"
    changes = {"pilot_adc__chip": f'"{chip}"'}
    without: tuple[str, ...] = ()
    if chip.endswith("04"):  # four channels: the mirror alone sees the contactor
        without = ("coil_node", "load_sense")
        changes["contactor__channel_proof"] = '"mirror"'
    elif ten_bits:
        changes |= {
            f"load_sense__l{n}": f"{{ channel = {4 + n}, gain_uv_per_code = 716_060, offset_mv = -365_122 }}"
            for n in (1, 2, 3)
        }
        changes["coil_node__gain_uv_per_code"] = "28_956"
    if ten_bits:
        changes |= {
            "pilot_adc__gain_uv_per_code": "29_248",
            "proximity__gain_uv_per_code": "2_930",
            "pilot_supply__positive": "{ channel = 2, gain_uv_per_code = 14_696, offset_mv = 0 }",
            "pilot_supply__negative": "{ channel = 3, gain_uv_per_code = 19_204, offset_mv = -16_667 }",
        }
    path, running = variant(tmp_path, without=without, **changes)
    with running as emulated, console(emulated, str(path)) as board:
        emulated.client.verb("plug_in", cable_ma=20_000)
        seen = pilot(board, "set_duty(300_000)")
        assert seen[5] == pytest.approx(-12_000, abs=80)
        assert seen[-5] == pytest.approx(9_000, abs=80)
        rails = "[(lambda w, s: [s.positive.scale.millivolts(w.after[2]), s.negative.scale.millivolts(w.after[3])])"
        rails += "(board.pilot_adc.read_window(), board.pilot_supply)][0]"
        assert board.ask(rails) == pytest.approx([12_000, -12_000], abs=40)
        assert board.ask("board.proximity.read_ohms()") == pytest.approx(680, rel=0.02)


def test_the_economiser_pulls_in_hard_then_holds_and_lets_go(tmp_path: Path) -> None:
    path, running = variant(tmp_path, contactor__economiser="{ boost_pin = 19, boost_ms = 100 }")
    tend = "lambda: [board.watchdog.lower(), board.watchdog.pulse(), board.contactor.maintain(time.monotonic_ns())]"
    with running as emulated, console(emulated, str(path)) as board:
        board.ask(f"[board.watchdog.lower(), board.watchdog.pulse(), board.contactor.close(), for_ms(50, {tend})]")
        assert emulated.client.state()["coil"] == "full"
        board.ask(f"for_ms(100, {tend})")
        assert emulated.client.state()["coil"] == "hold"
        assert board.ask("board.contactor.read_closed()") is True
        board.ask("board.contactor.open()")
        assert emulated.client.state()["coil"] == "off"


def test_a_residual_current_device_that_wants_an_alternating_test_current_gets_it(tmp_path: Path) -> None:
    path, running = variant(tmp_path, rcd__test_hz="60")
    with running as emulated, console(emulated, str(path)) as board:
        board.ask("board.rcd.set_test(True)")
        time.sleep(0.2)
        assert board.ask("board.rcd.read_tripped()") is True
        board.ask("board.rcd.set_test(False)")


def test_active_low_lines_read_and_drive_the_same(tmp_path: Path) -> None:
    path, running = variant(
        tmp_path,
        contactor__mirror='{ pin = 27, active_high = false, pull = "up" }',
        rcd__trip='{ pin = 22, active_high = false, pull = "up" }',
        rcd__reset="{ pin = 24, active_high = false }",
        emergency_stop__active_high="false",
    )
    with running as emulated, console(emulated, str(path)) as board:
        assert board.ask("[board.contactor.read_closed(), board.rcd.read_tripped()]") == [False, False]
        emulated.client.verb("weld")
        emulated.client.verb("trip_rcd")
        emulated.client.verb("press_stop")
        assert board.ask("[board.contactor.read_closed(), board.rcd.read_tripped()]") == [True, True]
        assert board.ask("board.emergency_stop.read_pressed()") is True
        board.ask("board.rcd.reset()")
        time.sleep(0.03)
        board.ask("board.rcd.read_tripped()")
        assert board.ask("board.rcd.read_tripped()") is False


def test_a_board_without_the_optional_devices_is_built_without_them(tmp_path: Path) -> None:
    table = tomllib.loads((SHIPPED / "simulated.toml").read_text())
    for section in ("proximity", "lock", "emergency_stop", "status_led", "temperature", "meter", "coil_node"):
        del table[section]
    del table["contactor"]["channel_proof"]
    reason = "an external device is prescribed by the manual"
    table["rcd"] = {"not_fitted": reason}
    table["watchdog"] = {"not_fitted": reason}
    spec = parse_board(table, "bare", "bare.toml")
    assert spec.bench_only == reason
    content = (SHIPPED / "simulated.toml").read_text().replace('channel_proof = "coil_node"\n', "")
    lines = content.split("\n[")
    kept = [
        part
        for part in lines
        if not part.startswith(("proximity", "lock", "emergency", "status", "[temp", "meter", "coil"))
    ]
    kept = [
        f'{part.split("]")[0]}]\nnot_fitted = "{reason}"\n' if part.startswith(("rcd]", "watchdog]")) else part
        for part in kept
    ]
    path = tmp_path / "bare.toml"
    path.write_text("\n[".join(kept))
    assert read_board(path) == spec
    prepare = "board = build_safety(spec)"
    with emulation(tmp_path / "sim", quiet_settings(spec)) as emulated, console(emulated, str(path), prepare) as board:
        absent = "[board.watchdog, board.rcd, board.proximity, board.lock, board.emergency_stop]"
        assert board.ask(absent) == [None] * 5
        board.ask("[board.contactor.close(), time.sleep(0.06)]")
        assert board.ask("board.contactor.read_closed()") is True
        board.ask("board.close()")
