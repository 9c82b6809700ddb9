"""docs/boards/reference_fmea.md says what fails on the reference board and who sees it: each of its rows is tried here.

Fault, time and situation are read from the page; this file only knows how to break a part in the simulated circuit.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState, Reason
from evse_pi.sim.board_wiring import plant_of
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.plant import Plant
from evse_pi.sim.signals import Drive
from hal.mock.script import FaultKind
from tests.support.forked import in_a_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Break = Callable[[VirtualBox], None]

pytestmark = pytest.mark.hazard("H-16")

MS = 1_000_000
S = 1_000 * MS
ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/boards/reference_fmea.md"
BOARD = load_board("reference")
PHASES_US = (0, 6_700)
"""Where in a tick of 10 ms a part fails while a vehicle charges."""


# --- the page --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    name: str
    when: tuple[str, ...]
    seen: frozenset[Fault]
    event: str
    within_ns: int


def _table(heading: str) -> list[list[str]]:
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[1:]]


def _nanoseconds(text: str) -> int:
    number, unit = text.split()
    return round(float(number) * {"ms": MS, "s": S}[unit])


def rows() -> dict[str, Row]:
    """Return the rows of the table of what is seen."""
    found = {}
    for name, _, _, _, when, seen, event, within in _table("Seen"):
        faults = frozenset(Fault[each] for each in re.findall(r"`(\w+)`", seen))
        found[name] = Row(name, tuple(when.split(", ")), faults, event, _nanoseconds(within))
    return found


ROWS = rows()


# --- how a part fails ------------------------------------------------------------------------------------------------


def verb(name: str, **arguments: Any) -> Break:
    return lambda box: box.do(name, **arguments)


def driver(method: str, how: FaultKind) -> Break:
    return lambda box: box.breakage.broken.update({method: how})


def both(*breaks: Break) -> Break:
    def happen(box: VirtualBox) -> None:
        for each in breaks:
            each(box)

    return happen


def weld_neutral(box: VirtualBox) -> None:
    box.plant.contactor.neutral_welded = True


def release_in(ms: int) -> Break:
    def happen(box: VirtualBox) -> None:
        box.plant.contactor.settings = replace(box.plant.contactor.settings, release_ns=ms * MS)

    return happen


def short_lines(wins: Callable[[Iterable[bool]], bool]) -> Break:
    """Let two outputs touch; `wins` is any where the high level wins, all where the low one does."""

    def happen(box: VirtualBox) -> None:
        drive, own = box.plant.drive, {Drive.CONTACTOR: box.plant.drives[Drive.CONTACTOR], Drive.WATCHDOG: False}

        def short(line: Drive, active: bool, now_ns: int) -> None:
            if line not in own:
                drive(line, active, now_ns)
                return
            own[line] = active
            for each in own:
                drive(each, wins(own.values()), now_ns)

        box.plant.drive = short  # type: ignore[method-assign]

    return happen


BREAKS: dict[str, Break] = {
    "R-01": verb("supply_pilot", positive_mv=0),
    "R-02": verb("supply_pilot", positive_mv=11_300),
    "R-03": verb("supply_pilot", positive_mv=12_700),
    "R-04": verb("supply_pilot", positive_ohm=1_000),
    "R-05": verb("disturb_supply", rail="positive", noise_v=1.0),
    "R-06": verb("supply_pilot", negative_mv=0),
    "R-07": verb("supply_pilot", negative_mv=-11_300),
    "R-08": verb("drift_reference", ppm=1_050_000),
    "R-09": verb("drift_reference", ppm=950_000),
    "P-01": verb("drift_adc", source="pilot", offset_mv=40),  # behind a divider of 0.10017
    "P-02": verb("drift_adc", source="pilot", offset_mv=-70),
    "P-03": verb("drift_adc", source="pilot", offset_mv=70),
    "P-04": verb("hang_multiplexer", source="pilot_positive"),
    "P-05": verb("hang_multiplexer", source="pilot"),
    "P-06": verb("stick_adc", source="pilot", mv=2_100),  # +6 V
    "P-07": driver("pilot_adc.read_window", FaultKind.RAISE),
    "P-08": driver("pilot_adc.read_window", FaultKind.STUCK),
    "P-09": verb("kill_pwm_stage", stuck_duty_ppm=1_000_000),
    "P-10": verb("kill_pwm_stage", stuck_duty_ppm=0),
    "P-11": verb("supply_pilot", source_ohm=1_000_000),
    "P-12": verb("shift_duty", ppm=50_000),
    "P-13": verb("shift_duty", ppm=130_000),
    "P-14": verb("soften_suppressor", volts=0.2),
    "P-15": verb("soften_suppressor", volts=0.2),
    "P-16": verb("remove_diode"),
    "S-01": verb("break_return", how="shorted"),
    "S-02": verb("break_return", how="shorted"),
    "S-03": verb("break_return", how="open"),
    "S-04": verb("break_return", how="open"),
    "S-05": verb("break_gate", how="shorted"),
    "S-06": verb("break_gate", how="shorted"),
    "S-07": verb("break_gate", how="open"),
    "S-08": verb("break_gate", how="open"),
    "S-09": verb("stretch_gate", ms=25),
    "S-10": verb("stretch_gate", ms=90),
    "S-11": short_lines(any),
    "S-12": short_lines(all),
    "S-13": short_lines(any),
    "S-14": verb("cut_latch"),
    "S-15": verb("break_coil"),
    "S-16": verb("supply_coil", mv=0),
    "S-17": verb("supply_coil", mv=16_000),
    "S-18": release_in(80),
    "C-01": verb("weld", poles=(1,)),
    "C-02": verb("weld"),
    "C-03": both(verb("weld", poles=(1,)), verb("stick_mirror", closed=False)),
    "C-04": weld_neutral,
    "C-05": verb("dry"),
    "C-06": verb("stick_mirror", closed=True),
    "C-07": verb("stick_mirror", closed=True),
    "C-08": verb("stick_mirror", closed=False),
    "C-09": verb("stick_mirror", closed=False),
    "C-10": verb("break_load_sense", how="open", phase=1),
    "C-11": verb("break_load_sense", how="low", phase=1),
    "C-12": verb("stick_weld_output", closed=True),
    "D-01": verb("trip_rcd"),
    "D-02": verb("break_rcd", how="test_dead"),
    "D-03": verb("break_rcd", how="stuck_clear"),
    "D-04": verb("break_rcd", how="reset_dead"),
    "L-01": verb("break_lock", how="jammed"),
    "L-02": verb("break_lock", how="feedback_closed"),
    "L-03": verb("break_lock", how="feedback_open"),
    "L-04": verb("stick_adc", source="proximity", mv=3_000),
    "L-05": verb("set_proximity", ohm=1.0),
    "L-06": verb("stick_sense", line="emergency_stop", value=True),
    "L-07": both(verb("stick_sense", line="emergency_stop", value=False), verb("press_stop")),
}
GAPS: dict[str, Break] = {
    "G-01": both(verb("fit_resistors", b_ohm=1_870.0), verb("supply_pilot", source_ohm=1_011 + 270)),
    "G-02": verb("soften_suppressor", volts=6.0),
    "G-03": both(verb("set_proximity", ohm=220.0), verb("soften_suppressor", volts=6.0)),
    "G-04": verb("break_rcd", how="blind"),
    "G-05": verb("break_load_sense", how="shorted", phase=1),
    "G-06": verb("stick_weld_output", closed=False),
    "G-07": verb("stick_mirror", closed=False),
    "G-08": release_in(40),
    "G-09": both(verb("break_gate", how="open"), verb("break_return", how="open")),
}
OTHERWISE = {"G-10"}
"""Tried by a test of its own below."""
EVENTS: dict[str, Break] = {
    "failure": lambda box: None,
    "stop": verb("open_s2"),
    "ask": verb("close_s2"),
    "plug": both(verb("plug_in", cable_ma=32_000), verb("auto")),
    "unplug": verb("unplug"),
    "leak": verb("leak", dc_ma=6.0),
}
STAYS_CLOSED = {"C-01", "C-02", "C-03"}
"""What welded contacts do; all others are open soon after they are told to."""


# --- the trial -------------------------------------------------------------------------------------------------------


@lru_cache
def prepared(when: str) -> VirtualBox:
    """Return a box in that situation, its contacts rested, to be used in forks only."""
    box = VirtualBox(VirtualBoxSettings(BOARD))
    box.wait_for_state(EvseState.A, 6 * S)
    box.wait(12 * S)
    box.do("draw", ma=32_000)
    if when != "waiting":
        box.do("plug_in", cable_ma=32_000)
        box.wait_for_state(EvseState.B2, 12 * S)
        box.wait(10 * S)
    if when == "charging":
        box.do("close_s2")
        box.wait_for(lambda: box.energised, 3 * S)
        box.wait(12 * S)
    return box


def try_row(row: Row, when: str, phase_us: int) -> tuple[float, frozenset[Fault], bool]:
    """Return after how many ms one of the row's faults was seen, all faults then, and whether a pole closed later."""
    box = prepared(when)
    box.wait(phase_us * 1_000)
    BREAKS[row.name](box)
    if row.event != "failure":
        box.wait(200 * MS)
        EVENTS[row.event](box)
    began_ns = box.clock.now_ns
    box.wait_for(lambda: not row.seen.isdisjoint(box.faults), max(5 * row.within_ns, 2 * S))
    took_ms, faults = (box.clock.now_ns - began_ns) / MS, box.faults
    if row.name not in STAYS_CLOSED:
        box.wait_for(lambda: not box.energised, 8 * S)
    closings = box.plant.contactor.closings
    box.wait(2 * S)
    return took_ms, faults, box.plant.contactor.closings > closings


CASES = [
    pytest.param(row, when, phase_us, id=f"{row.name}-{when}-{phase_us}")
    for row in ROWS.values()
    for when, phase_us in product(row.when, PHASES_US)
    if when == "charging" or phase_us == PHASES_US[0]
]


@pytest.mark.parametrize(("row", "when", "phase_us"), CASES)
def test_a_part_that_fails_is_seen_as_the_page_says(row: Row, when: str, phase_us: int) -> None:
    prepared(when)
    took_ms, faults, closed_again = in_a_fork(partial(try_row, row, when, phase_us))
    assert took_ms <= row.within_ns / MS, faults
    assert not closed_again


def leave_unseen(name: str, when: str, event: str) -> tuple[frozenset[Fault], bool, float]:
    """Return which faults were seen in 20 s, whether the plug is live then, and after how many ms a stop had opened."""
    box, seen = prepared(when), set[Fault]()
    box.watchers.append(lambda: seen.update(box.faults))
    GAPS[name](box)
    box.wait(S)
    EVENTS[event](box)
    opened_ns = box.wait_for(lambda: not box.energised, S) if event == "stop" else 0
    box.wait(20 * S)
    return frozenset(seen), box.energised, opened_ns / MS


@pytest.mark.parametrize(
    ("name", "when", "event", "plug"),
    [(row[0], row[3], row[4], row[5]) for row in _table("Not seen") if row[0] not in OTHERWISE],
)
def test_what_the_page_calls_unseen_is_unseen(name: str, when: str, event: str, plug: str) -> None:
    """A rule that comes to see it changes the page."""
    prepared(when)
    faults, live, opened_ms = in_a_fork(partial(leave_unseen, name, when, event))
    assert not faults
    assert live is (plug == "live")
    assert opened_ms <= 100


def test_a_process_that_orders_wrongly_makes_a_plug_live_without_a_vehicle() -> None:
    """Row G-10: nothing outside the process asks whether a vehicle is there."""
    plant = Plant(plant_of(BOARD))
    for tick in range(20):
        plant.drive(Drive.CONTACTOR, True, 10 * MS * tick)
        plant.drive(Drive.WATCHDOG, False, 10 * MS * tick + MS)
        plant.drive(Drive.WATCHDOG, True, 10 * MS * tick + 5 * MS)
    assert not plant.vehicle.plugged
    assert any(plant.contactor.closed)


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize("phase_us", [0, 3_000, 6_000, 9_000])
def test_a_process_that_hangs_opens_by_the_gate_at_its_longest(phase_us: int) -> None:
    """58 ms of the gate, 25 of the contactor and 10 since the last look."""

    def case() -> float:
        box = prepared("charging")
        box.do("stretch_gate", ms=58)
        box.wait(S + phase_us * 1_000)
        box.breakage.broken["emergency_stop.read_pressed"] = FaultKind.HANG
        began_ns = box.clock.now_ns
        box.wait(150 * MS)
        changes = box.plant.history.changes
        opened_ns = next(each.at_ns for each in changes if each.signal == "poles" and each.at_ns > began_ns)
        return (opened_ns - began_ns) / MS

    prepared("charging")
    assert in_a_fork(case) <= 93


# --- the page is whole -----------------------------------------------------------------------------------------------


def test_every_row_has_its_failure_and_every_failure_its_row() -> None:
    assert list(ROWS) == list(BREAKS)
    assert {row[0] for row in _table("Not seen")} == set(GAPS) | OTHERWISE
    events = {row.event for row in ROWS.values()} | {row[4] for row in _table("Not seen")}
    assert events - {"wrong order"} == set(EVENTS)


def test_what_is_not_seen_has_a_proof_test_and_its_interval() -> None:
    assert all(len(row) == 9 and all(row) for row in _table("Not seen"))


@pytest.mark.parametrize("row", _table("Seen by other tests"), ids=lambda row: row[0])
def test_a_row_of_another_test_names_one_that_exists(row: list[str]) -> None:
    ((file, name),) = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row[5])
    functions = [
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
    ]
    assert name in functions
    for fault in re.findall(r"`([A-Z0-9_]+)`", row[3]):
        assert fault in Fault.__members__ or fault in Reason.__members__
