"""Faults put into the simulated wallbox, and what a technician is told: the right name, the reading, the remedy.

Under virtual time: the real safety loop, the real node box, and the black box between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.diagnostics.node_unreachable import explain_without_node
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.recorder.reader import Ring
from evse_pi.recorder.recording import load
from evse_pi.recorder.replay import differences, steps
from evse_pi.sim.harness.virtual_clock import UNIX_S
from hal.mock.script import FaultKind
from hal.units import MILLISECOND, SECOND, Milliamps
from tests.support.diagnosed_box import DiagnosedBox
from tests.support.forked import in_a_fork

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.api.why import Why


@dataclass(frozen=True)
class Case:
    """What is done to a box that is ready, or charges, and what it must say of itself `seconds` later."""

    inject: Callable[[DiagnosedBox], None]
    name: str
    words: str
    do: str
    charging: bool = True
    seconds: float = 3
    charged_s: float = 1
    settings: dict[str, Any] = field(default_factory=dict)
    verdict: str = "FAULT"

    @property
    def shares_box(self) -> bool:
        """Whether it begins as most cases do."""
        return not self.settings and self.charged_s == 1


def verb(verb_name: str, **arguments: Any) -> Callable[[DiagnosedBox], None]:
    return lambda box: box.do(verb_name, **arguments)


def before_a_vehicle(verb_name: str, **arguments: Any) -> Callable[[DiagnosedBox], None]:
    def inject(box: DiagnosedBox) -> None:
        box.do(verb_name, **arguments)
        plug_in(box)

    return inject


def plug_in(box: DiagnosedBox) -> None:
    box.do("plug_in", cable_ma=32_000)
    box.do("auto")


def nothing(_: DiagnosedBox) -> None:
    """The settings of the world are the fault."""


def weld(box: DiagnosedBox) -> None:
    box.do("weld")
    box.do("auto", on=False)
    box.do("open_s2")


def feeds(box: DiagnosedBox) -> None:
    box.do("feed_back", ms=900)
    box.do("auto", on=False)
    box.do("open_s2")


def long_gate(box: DiagnosedBox) -> None:
    box.do("stretch_gate", ms=80)
    box.do("auto", on=False)
    box.do("open_s2")


def blind(box: DiagnosedBox) -> None:
    box.world.node.measures = False


def gone(box: DiagnosedBox) -> None:
    box.world.node.alive = False


def greedy(box: DiagnosedBox) -> None:
    box.do("ignore_offer")
    box.do("draw", ma=32_000)
    box.world.node.permit(box.world.clock.now_ns, offered_ma=10_000)


def broken(method: str, how: FaultKind) -> Callable[[DiagnosedBox], None]:
    return lambda box: box.world.breakage.broken.update({method: how})


def sleeping(box: DiagnosedBox) -> None:
    box.do("plug_in", cable_ma=32_000)
    box.do("sleep")


def owner_stops(box: DiagnosedBox) -> None:
    box.box.set_owner(permitted=False, limit_ma=None)
    box.world.node.permit(box.world.clock.now_ns, permitted=False)


def low_limit(box: DiagnosedBox) -> None:
    box.box.set_owner(permitted=True, limit_ma=Milliamps(4_000))
    box.world.node.permit(box.world.clock.now_ns, offered_ma=4_000)


def delayed(box: DiagnosedBox) -> None:
    """Let the planner hold back as after the power's return, which a box that charges has behind it."""
    planner, until_ns = box.box.planner, box.world.clock.now_ns + 600 * SECOND
    planner._keep(replace(planner._kept, delay=RandomDelay(DelayCause.POWER_RETURN, until_ns)))
    box.world.node.permit(box.world.clock.now_ns, permitted=False)


def clock_of_yesterday(box: DiagnosedBox) -> None:
    box.clock.set_unix_s(UNIX_S - 86_400)


def flaps(box: DiagnosedBox) -> None:
    box.do("open_s2")
    box.wait(0.5)
    box.do("close_s2")


def late(rng: random.Random) -> int:
    return 95 * MILLISECOND if rng.random() < 0.05 else 0


CASES = {
    "diode missing": Case(verb("remove_diode"), "PILOT_DIODE", "-5.6", "another vehicle"),
    "pilot short before the diode": Case(
        verb("short_pilot", where="before_diode"), "PILOT_SHORT", "before the vehicle's diode", "moisture"
    ),
    "pilot short behind the diode": Case(
        verb("short_pilot", where="behind_diode"), "PILOT_SHORT", "behind the vehicle's diode", "unplug"
    ),
    "drifted calibration while charging": Case(
        verb("drift_adc", source="pilot", gain_ppm=850_000), "PILOT_DIODE", "calibration of the pilot has drifted", ""
    ),
    "drifted calibration without a vehicle": Case(
        verb("drift_adc", source="pilot", gain_ppm=850_000),
        "CABLE_REMOVED",
        "calibration of the pilot has drifted",
        "",
        charging=False,
    ),
    "pilot stage stuck": Case(verb("kill_pwm_stage"), "PILOT_GENERATOR", "drove 1 kHz", "evse-pi calibrate"),
    "pilot supply sags": Case(
        verb("supply_pilot", positive_mv=10_500), "PILOT_SUPPLY", "stood at 10.50 V / -12.00 V", "loose joint"
    ),
    "noisy pilot": Case(verb("disturb_pilot", noise_v=2.0), "PILOT_UNCERTAIN", "0.50 V are allowed", "shielding"),
    "welded contactor": Case(weld, "CONTACTOR_WELDED", "output was live", "replace the contactor"),
    "stuck mirror contact": Case(
        verb("stick_mirror", closed=True), "CONTACTOR_WELDED", "mirror contact said closed", "mirror", charging=False
    ),
    "dry contact": Case(before_a_vehicle("dry"), "CONTACTOR_FAILED_TO_CLOSE", "dead", "coil", False, 12),
    "broken coil": Case(before_a_vehicle("break_coil"), "SUPPLY_24V", "no supply", "coil's wires", False, 12),
    "coil without supply": Case(verb("supply_coil", mv=0), "SUPPLY_24V", "no supply", "24 V"),
    "gate shorted": Case(
        before_a_vehicle("break_gate", how="shorted"), "CONTACTOR_CHANNEL", "supply switch", "repaired", False, 12
    ),
    "gate holds too long": Case(long_gate, "CONTACTOR_CHANNEL", "supply switch", "repaired"),
    "return switch dead": Case(verb("break_return", how="open"), "CONTACTOR_CHANNEL", "return switch", "repaired"),
    "latch cut from the coil": Case(
        before_a_vehicle("cut_latch"), "RCD_TEST_FAILED", "take the coil away", "wiring", False, 12
    ),
    "residual current": Case(verb("leak", dc_ma=20.0), "RCD_TRIPPED", "tripped", "moisture"),
    "residual current device fails its test": Case(
        before_a_vehicle("break_rcd", how="test_dead"), "RCD_TEST_FAILED", "when tested", "wiring", False, 12
    ),
    "proximity shorted": Case(
        before_a_vehicle("set_proximity", ohm=20.0), "PROXIMITY_INVALID", "20 ohms", "another cable", False, 6
    ),
    "proximity lost": Case(verb("set_proximity", ohm=200_000.0), "CABLE_REMOVED", "no coding resistor", "plug"),
    "stale meter": Case(blind, "METER_STALE", "s old", "bus", seconds=20),
    "silent thermometers": Case(blind, "TEMPERATURE_STALE", "s old", "sensor", seconds=20),
    "lost phase": Case(verb("lose_phase", phase=1), "PHASE_LOST", "L2 0 V", "fuses"),
    "lost phase that the meter shows": Case(
        verb("lose_phase", phase=1), "POWER_QUALITY", "L2 0.0 V", "fuses", False, seconds=20
    ),
    "lost mains": Case(verb("lose_phase"), "SUPPLY_LOST", "L1 0 V, L2 0 V, L3 0 V", "switch ahead of the box"),
    "sense of a phase stands": Case(
        verb("break_load_sense", how="high", phase=2), "VOLTAGE_SENSE_FAILED", "L3 36", "resistors", False, seconds=65
    ),
    "weld output stuck": Case(
        verb("stick_weld_output", closed=True), "WELD_OUTPUT_FAILED", "contradicted", "readback", False
    ),
    "vehicle feeds back": Case(feeds, "VEHICLE_FEEDS", "feeds it", "Wait", seconds=0.6, verdict="WAITING"),
    "overvoltage": Case(verb("set_voltage", volts=280.0), "OVERVOLTAGE", "V, L2", "neutral", seconds=10),
    "undervoltage": Case(verb("set_voltage", volts=160.0), "UNDERVOLTAGE", "L1 15", "cross-section", seconds=20),
    "overcurrent": Case(greedy, "OVERCURRENT", "drew 32.0 A while 10.0 A", "limit", seconds=25),
    "hot sensor": Case(
        verb("set_temperature", celsius=90.0, sensor="enclosure"), "OVER_TEMPERATURE", "90.0 °C", "cool", seconds=12
    ),
    "slow loop": Case(nothing, "TIMING_BUDGET", "100 ms", "latest tick", seconds=60, settings={"lateness": late}),
    "emergency stop": Case(verb("press_stop"), "EMERGENCY_STOP", "button", "Release"),
    "jammed lock": Case(before_a_vehicle("break_lock", how="jammed"), "LOCK_FAILED", "Five", "fully in", False, 20),
    "ventilation wanted": Case(verb("ask_ventilation"), "VENTILATION_REQUIRED", "state D", "elsewhere", seconds=4),
    "kernel keeps outputs": Case(
        nothing,
        "OUTPUTS_PERSIST",
        "kernel",
        "strict_gpiod",
        False,
        settings={"alarms": frozenset({Fault.OUTPUTS_PERSIST})},
    ),
    "installer's file torn": Case(
        nothing,
        "INSTALLATION_INVALID",
        "damaged",
        "installation.toml",
        False,
        settings={"alarms": frozenset({Fault.INSTALLATION_INVALID})},
    ),
    "converter refuses": Case(
        broken("pilot_adc.read_window", FaultKind.RAISE), "PILOT_ADC_FAILED", "did not answer", "chip select"
    ),
    "converter repeats itself": Case(
        broken("pilot_adc.read_window", FaultKind.STUCK), "PILOT_ADC_FAILED", "repeated itself", "wiring"
    ),
    "safety process hangs": Case(
        broken("pilot_adc.read_window", FaultKind.HANG), "SAFETY_SILENT", "not spoken for 3 s", "systemctl", seconds=3.5
    ),
    "node gone": Case(gone, "NO_LEASE", "no permission", "evse-pi-node", seconds=25, verdict="WAITING"),
    "sleeping vehicle": Case(sleeping, "VEHICLE_NOT_READY", "does not ask", "wake", False, 20, verdict="WAITING"),
    "vehicle being woken": Case(sleeping, "WAKING_VEHICLE", "sleeps", "unlock", False, 94.5, verdict="WAITING"),
    "owner stopped it": Case(
        owner_stops, "OWNER", "the owner has stopped", "evse-pi permit", seconds=10, verdict="STOPPED"
    ),
    "random delay": Case(
        delayed,
        "RANDOM_DELAY",
        "spreads the load of many boxes, for 58",
        "evse-pi start",
        seconds=12,
        verdict="WAITING",
    ),
    "residual current is tried again": Case(
        verb("trip_rcd"),
        "RETRY_WAIT",
        "after 15 minutes. 89",
        "moisture",
        charged_s=11,  # a trip sooner after closing is not tried again
        settings={"installation": replace(SIMULATED_INSTALLATION, rcd_reclosures=1)},
    ),
    "wrong clock": Case(
        clock_of_yesterday, "CLOCK", "is wrong: the history goes to", "a time server", verdict="CHARGING"
    ),
    "limit below 6 A": Case(low_limit, "LIMIT_BELOW_MINIMUM", "4.0 A", "evse-pi set", seconds=15, verdict="STOPPED"),
    "contacts rest": Case(flaps, "MINIMUM_OFF_TIME", "rests", "Wait", seconds=2, verdict="WAITING"),
    "no vehicle": Case(nothing, "NO_VEHICLE", "12.0", "Plug", False, verdict="WAITING"),
}


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, DiagnosedBox]:
    """A box that charges and one that is ready, to be used in forks only."""
    folder = tmp_path_factory.mktemp("box")
    return {True: DiagnosedBox(folder).charging(), False: DiagnosedBox(folder).ready()}


def own_box(case: Case, folder: Path) -> DiagnosedBox:
    """Return the box of a case that no other case can use."""
    box = DiagnosedBox(folder, **case.settings)
    slow = case.name == "TIMING_BUDGET"
    return box.charging(case.charged_s) if case.charging and not slow else box.ready()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_why_names_what_was_injected_and_says_what_to_do(
    case: Case, boxes: dict[bool, DiagnosedBox], tmp_path: Path
) -> None:
    def tell() -> Why:
        box = boxes[case.charging] if case.shares_box else own_box(case, tmp_path)
        case.inject(box)
        box.wait(case.seconds)
        return box.why()

    told = in_a_fork(tell)
    assert told.verdict.name == case.verdict, told.paragraph
    found = {finding.name: finding for finding in told.findings}
    assert case.name in found, told.paragraph
    assert case.words in found[case.name].what
    assert case.do in found[case.name].do
    assert all(len(finding.do) > 3 for finding in told.findings)


def test_a_node_that_hangs_is_named_as_such_by_what_the_safety_process_recorded(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    gone(box)
    box.wait(3)
    ring = Ring(lambda: memoryview(box.world.black_box))
    told = explain_without_node(ring.frames(2), ring.header(), box.world.clock.now_ns, hangs=True)
    assert told is not None
    (found,) = told.findings
    assert (told.verdict.name, found.name) == ("FAULT", "NODE_HANGS")
    assert "it runs and does not answer. The safety process runs and charges (C2, 32.0 A offered)" in found.what
    assert "systemctl restart evse-pi-node" in found.do


@pytest.mark.parametrize("name", ["diode missing", "lost phase", "converter refuses", "residual current"])
def test_a_fault_leaves_a_recording_that_replays_to_the_same_decisions(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    box = DiagnosedBox(tmp_path).charging()
    case.inject(box)
    box.wait(case.seconds + 4)
    box.save()
    (file,) = box.archive.names()
    recording = load(tmp_path / file)
    assert recording.about["fault"] == case.name
    replayed = list(steps(recording))
    assert len(replayed) >= 1_000  # 10 s
    assert not differences(replayed)
    assert Fault[case.name] in replayed[-1].outcome.faults
    assert (tmp_path / file).stat().st_size < 64 * 1024


def test_the_first_of_several_faults_is_the_worst_and_the_others_are_counted(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    box.do("press_stop")
    box.do("remove_diode")
    box.wait(3)
    told = box.why()
    assert told.findings[0].name == "EMERGENCY_STOP"
    blind(box)
    box.wait(20)
    assert "more fault" in box.why().paragraph


def test_an_acknowledged_fault_is_told_no_more(tmp_path: Path) -> None:
    box = DiagnosedBox(tmp_path).charging()
    box.do("trip_rcd")
    box.wait(3)
    assert "evse-pi clear" in (box.why().findings[0].clears or "")
    box.world.node.order(box.world.clock.now_ns, Request.CLEAR_USER)
    box.wait(3)
    assert "RCD_TRIPPED" not in {finding.name for finding in box.why().findings}
