"""The loop on the simulated plant: its edges, its housekeeping and what it tells."""

from __future__ import annotations

import gc
import itertools
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from boards.spec import NotFitted
from evse_pi.core.faults import Fault
from evse_pi.core.machine_settings import MachineSettings
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, PilotMode, Reason
from evse_pi.installation.files import SIMULATED_INSTALLATION, ratings
from evse_pi.recorder.frame import frame_of
from evse_pi.recorder.recording import recording_of
from evse_pi.recorder.ring import contents_of
from evse_pi.safety.loop_interfaces import Installed
from evse_pi.sim.harness.virtual_box import QuietServices, VirtualBox, VirtualBoxSettings
from evse_pi.sim.signals import Drive
from hal.linear_scale import LinearScale
from hal.mock.script import FaultKind
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Callable

MS = 1_000_000
SECOND = 1_000 * MS
BOARD = load_board("simulated")


class CountingHost(QuietServices):
    """Counts what the loop asks of its process."""

    def __init__(self) -> None:
        self.heartbeats = 0
        self.collections = 0

    def heartbeat(self) -> None:
        self.heartbeats += 1

    def collect_garbage(self) -> None:
        self.collections += 1


@pytest.fixture
def services() -> CountingHost:
    return CountingHost()


@pytest.fixture
def world(services: CountingHost) -> VirtualBox:
    """A box in state A whose contacts are cool."""
    made = VirtualBox(VirtualBoxSettings(BOARD, services=services))
    made.wait_for_state(EvseState.A, 3 * SECOND)
    made.wait(5 * SECOND)
    return made


@pytest.fixture
def charging(world: VirtualBox) -> VirtualBox:
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.plant.vehicle.drawing, 10 * SECOND)
    return world


def raise_this(error: Exception) -> Callable[[object], object]:
    def drift(_: object) -> object:
        raise error

    return drift


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize("error", [RuntimeError("unforeseen"), MemoryError(), RecursionError(), ZeroDivisionError()])
def test_what_no_driver_may_raise_opens_holds_minus_12_v_says_so_and_ends_the_process(
    charging: VirtualBox, error: Exception
) -> None:
    charging.may_crash = True
    charging.breakage.drifts["emergency_stop.read_pressed"] = raise_this(error)
    charging.breakage.broken["emergency_stop.read_pressed"] = FaultKind.DRIFT
    charging.wait(11 * MS)
    assert charging.exit_status == 70
    assert not charging.asked_closed
    assert charging.plant.duty_ppm == 0
    last = charging.node.snapshots[-1]
    assert Fault.INTERNAL in last.faults
    assert not last.close_ordered
    assert last.pilot_mode is PilotMode.LOW


@pytest.mark.hazard("H-15")
def test_crashed_process_comes_back_and_keeps_the_minimum_off_time(charging: VirtualBox) -> None:
    charging.may_crash = True
    charging.breakage.drifts["emergency_stop.read_pressed"] = raise_this(RuntimeError())
    charging.breakage.broken["emergency_stop.read_pressed"] = FaultKind.DRIFT
    charging.wait(11 * MS)
    charging.breakage.broken.clear()
    charging.wait(1_100 * MS)
    assert charging.boots == 2
    assert charging.wait_for(lambda: charging.energised, 20 * SECOND) >= 4_900 * MS


@pytest.mark.hazard("H-08")
def test_kernel_that_keeps_outputs_leaves_it_to_gate_and_safe_off() -> None:
    world = VirtualBox(VirtualBoxSettings(BOARD, persist=True))
    world.wait(6 * SECOND)
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.energised, 10 * SECOND)
    world.kill()
    world.wait(50 * MS)
    assert world.asked_closed
    world.wait(75 * MS)
    assert not world.energised  # by the gate, which gets no pulses any more
    world.wait(100 * MS)
    assert not world.asked_closed  # by safe_off


@pytest.mark.hazard("H-08")
def test_start_that_found_persisting_outputs_never_closes() -> None:
    world = VirtualBox(VirtualBoxSettings(BOARD, alarms=frozenset({Fault.OUTPUTS_PERSIST})))
    world.wait(6 * SECOND)
    world.do("plug_in", cable_ma=32_000)
    world.do("close_s2")
    world.wait(10 * SECOND)
    assert not world.energised
    assert Fault.OUTPUTS_PERSIST in world.faults


def test_soft_stop_lets_the_vehicle_let_go_before_the_contactor_opens(charging: VirtualBox) -> None:
    loop = charging.loop
    assert loop is not None
    loop.request_stop()
    charging.wait_for(lambda: loop.stopped, 7 * SECOND)
    assert charging.plant.openings_under_load == 0
    assert not charging.asked_closed


@pytest.mark.hazard("H-08")
def test_contactor_that_does_not_obey_cannot_keep_the_process_from_ending(charging: VirtualBox) -> None:
    loop = charging.loop
    assert loop is not None
    charging.breakage.broken["contactor.open"] = FaultKind.RAISE
    loop.request_stop()
    assert charging.wait_for(lambda: loop.stopped, 8 * SECOND) >= 6_900 * MS
    assert not charging.energised  # the gate has opened, as no pulse feeds it


def test_soft_stop_without_a_vehicle_is_immediate(world: VirtualBox) -> None:
    loop = world.loop
    assert loop is not None
    loop.request_stop()
    world.wait(20 * MS)
    assert loop.stopped


def test_snapshots_come_on_change_and_else_every_second(world: VirtualBox) -> None:
    before = len(world.node.snapshots)
    world.wait(10 * SECOND)
    assert 9 <= len(world.node.snapshots) - before <= 11
    before = len(world.node.snapshots)
    world.do("plug_in", cable_ma=32_000)
    world.wait(30 * MS)
    assert len(world.node.snapshots) > before


def test_node_that_was_deaf_for_a_while_misses_no_transition(world: VirtualBox) -> None:
    world.node.deaf = True
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.energised, 10 * SECOND)
    world.do("unplug")
    world.wait(SECOND)
    world.node.deaf = False
    world.wait(SECOND)
    numbers = [transition.number for transition in world.node.transitions]
    assert numbers == list(range(1, len(numbers) + 1))
    assert EvseState.C2 in {transition.evse_state for transition in world.node.transitions}


@pytest.mark.hazard("H-09")
def test_ticks_leave_nothing_to_the_garbage_collector(charging: VirtualBox) -> None:
    charging.wait(100 * MS)
    gc.collect()
    gc.disable()
    try:
        charging.wait(SECOND)
        charging.breakage.broken["pilot_adc.read_window"] = FaultKind.RAISE
        charging.breakage.broken["pilot_pwm.set_low"] = FaultKind.RAISE
        charging.wait(SECOND)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.hazard("H-09")
def test_gate_gets_no_pulse_from_a_box_whose_contacts_stay_closed(charging: VirtualBox) -> None:
    charging.breakage.broken["contactor.open"] = FaultKind.STUCK
    charging.do("open_s2")
    charging.wait_for(lambda: Fault.CONTACTOR_CHANNEL in charging.faults, SECOND)
    charging.wait_for(lambda: not charging.energised, 150 * MS)
    assert charging.plant.drives[Drive.CONTACTOR]  # the line is stuck, and yet nothing is live


@pytest.mark.hazard("H-17")
def test_reload_that_finds_no_valid_file_opens_at_once(charging: VirtualBox) -> None:
    charging.node.order(charging.clock.now_ns, Request.RELOAD_INSTALLATION)
    charging.wait(100 * MS)
    assert Fault.INSTALLATION_INVALID in charging.faults
    assert not charging.energised


class InstallerHost(QuietServices):
    """Its installer writes `installation` and, if `unsaid`, orders no reload."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.scale = BOARD.pilot_adc.scale
        self.unsaid = False

    def touched(self) -> bool:
        return self.unsaid

    def reload(self) -> Installed:
        self.unsaid = False
        return Installed(MachineSettings(ratings(BOARD), replace(SIMULATED_INSTALLATION, **self.changes)), self.scale)


def charging_at(services: InstallerHost, **house: Any) -> VirtualBox:
    world = VirtualBox(
        VirtualBoxSettings(BOARD, services=services, installation=replace(SIMULATED_INSTALLATION, **house))
    )
    world.wait_for_state(EvseState.A, 3 * SECOND)
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.energised, 20 * SECOND)
    return world


def offered(world: VirtualBox) -> int:
    return world.node.snapshots[-1].offered_current_ma


@pytest.mark.hazard("H-04")
def test_a_lower_capacity_does_not_wait_for_the_end_of_the_charge() -> None:
    world = charging_at(InstallerHost(circuit_capacity_ma=Milliamps(10_000)))
    assert offered(world) > 10_000
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    world.wait(100 * MS)
    assert 0 < offered(world) <= 10_000
    assert world.energised


def test_a_higher_capacity_waits_for_the_next_change_of_the_offer() -> None:
    world = charging_at(InstallerHost(circuit_capacity_ma=Milliamps(16_000)), circuit_capacity_ma=Milliamps(10_000))
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    world.wait(20 * SECOND)
    assert offered(world) <= 10_000
    world.node.offered_ma = 8_000
    world.node.renew(world.clock.now_ns)
    world.wait(SECOND)
    assert offered(world) <= 8_000
    world.node.offered_ma = 32_000
    world.node.renew(world.clock.now_ns)
    world.wait(10 * SECOND)
    assert 10_000 < offered(world) <= 16_000
    assert world.energised


def test_a_higher_capacity_is_there_for_the_next_vehicle() -> None:
    world = charging_at(InstallerHost(circuit_capacity_ma=Milliamps(16_000)), circuit_capacity_ma=Milliamps(10_000))
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    world.wait(SECOND)
    world.do("unplug")
    world.wait(10 * SECOND)
    world.do("plug_in", cable_ma=32_000)
    world.wait_for_state(EvseState.B2, 10 * SECOND)
    assert 10_000 < offered(world) <= 16_000


def test_nothing_but_the_capacity_changes_under_a_closed_contactor() -> None:
    services = InstallerHost(circuit_capacity_ma=Milliamps(10_000), phases=1)
    services.scale = LinearScale(services.scale.gain_uv_per_code * 97 // 100, services.scale.offset_mv)
    world = charging_at(services)
    before = world.node.snapshots[-1]
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    world.wait(2 * SECOND)
    now = world.node.snapshots[-1]
    assert (now.gain_uv_per_code, now.offset_mv) == (before.gain_uv_per_code, before.offset_mv)
    world.do("unplug")
    world.wait(3 * SECOND)
    assert world.node.snapshots[-1].gain_uv_per_code == services.scale.gain_uv_per_code


def test_raw_windows_of_the_black_box_fit_the_scale_that_it_names() -> None:
    services = InstallerHost()
    services.scale = LinearScale(services.scale.gain_uv_per_code * 97 // 100, services.scale.offset_mv)
    world = VirtualBox(VirtualBoxSettings(BOARD, services=services, records=True))
    world.wait_for_state(EvseState.A, 3 * SECOND)
    first = contents_of(bytes(world.black_box))
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    world.wait(100 * MS)
    contents = contents_of(bytes(world.black_box))
    assert (first.header.scale, contents.header.scale) == (BOARD.pilot_adc.scale, services.scale)
    assert recording_of(contents, {}).about["scale"]["gain_uv_per_code"] == services.scale.gain_uv_per_code
    ticks = {frame[0]: frame_of(frame) for frame in contents.frames}
    assert len(contents.windows) >= 5
    for window in contents.windows:
        pilot = ticks[window.number].inputs.pilot
        assert pilot is not None
        assert pilot.high_mv == pytest.approx(max(map(services.scale.millivolts, window.codes)), abs=150)


def test_a_fixed_cable_is_told_with_its_rating() -> None:
    world = VirtualBox(VirtualBoxSettings(replace(BOARD, proximity=None)))
    world.wait_for_state(EvseState.A, 3 * SECOND)
    assert world.node.snapshots[-1].cable_ma == BOARD.rated_current_ma


def test_no_limit_is_blamed_while_the_plugged_cable_is_being_read(world: VirtualBox) -> None:
    world.do("plug_in", cable_ma=32_000)
    world.wait(10 * SECOND)
    reasons = [change.reason for change in world.node.snapshots[-1].transitions]
    assert Reason.READING_CABLE in reasons
    assert Reason.LIMIT_BELOW_MINIMUM not in reasons


@pytest.mark.hazard("H-17")
def test_files_that_changed_without_a_reload_are_read_within_a_minute_of_idling() -> None:
    services = InstallerHost(circuit_capacity_ma=Milliamps(10_000))
    world = VirtualBox(VirtualBoxSettings(BOARD, services=services))
    world.wait_for_state(EvseState.A, 3 * SECOND)
    services.unsaid = True
    world.wait(61 * SECOND)
    assert not services.unsaid


@pytest.mark.hazard("H-10")
def test_demand_without_a_bound_still_ends_with_the_lease(charging: VirtualBox) -> None:
    charging.node.lease_ns = 10**18
    charging.node.permit(charging.clock.now_ns)
    charging.node.alive = False
    charging.wait_for(lambda: not charging.energised, 25 * SECOND)


@pytest.mark.hazard("H-09")
def test_garbage_is_collected_once_a_minute_and_only_in_state_a(world: VirtualBox, services: CountingHost) -> None:
    assert services.collections == 1
    world.wait(61 * SECOND)
    assert services.collections == 2
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait(65 * SECOND)
    assert services.collections == 2
    world.do("unplug")
    world.wait(SECOND)
    assert services.collections == 3


@pytest.mark.hazard("H-09")
def test_heart_beats_five_times_a_second_and_stops_when_the_contactor_does_not_obey(
    charging: VirtualBox, services: CountingHost
) -> None:
    before = services.heartbeats
    charging.wait(SECOND)
    assert 4 <= services.heartbeats - before <= 6
    charging.breakage.broken["contactor.open"] = FaultKind.RAISE
    charging.do("unplug")
    charging.wait(100 * MS)
    before = services.heartbeats
    charging.wait(SECOND)
    assert services.heartbeats == before


@pytest.mark.hazard("H-09")
def test_run_ticks_on_absolute_deadlines_until_stopped(world: VirtualBox) -> None:
    loop = world.loop
    assert loop is not None
    deadlines: list[int] = []

    def sleep_until(instant_ns: int) -> None:
        deadlines.append(instant_ns)
        world.clock.sleep_until(instant_ns)
        if len(deadlines) == 5:
            world.clock.advance(23 * MS)  # another program took the processor
        if len(deadlines) == 10:
            loop.request_stop()

    loop.run(sleep_until)
    gaps = [later - earlier for earlier, later in itertools.pairwise(deadlines)]
    assert gaps == [10 * MS] * 4 + [30 * MS] + [10 * MS] * 4  # what was missed is not made up for


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize("method", ["pilot_pwm.set_low", "watchdog.pulse", "contactor.maintain"])
def test_driver_that_raises_opens_within_the_tick_and_is_named(charging: VirtualBox, method: str) -> None:
    charging.breakage.broken[method] = FaultKind.RAISE
    if method != "watchdog.pulse":  # which nothing needs any more once the box is open
        charging.breakage.broken["rcd.read_tripped"] = FaultKind.RAISE  # makes the box want state F
    charging.wait(11 * MS)
    assert not charging.asked_closed
    charging.wait(20 * MS)
    named = {"pilot_pwm": Fault.PILOT_PWM_FAILED, "watchdog": Fault.WATCHDOG_DRIVE_FAILED}
    assert named.get(method.split(".")[0], Fault.CONTACTOR_DRIVE_FAILED) in charging.faults


def test_a_pulse_that_fails_once_is_forgotten_after_its_delay(charging: VirtualBox) -> None:
    charging.breakage.broken["watchdog.pulse"] = FaultKind.RAISE
    charging.wait_for(lambda: Fault.WATCHDOG_DRIVE_FAILED in charging.faults, SECOND)
    charging.breakage.broken.clear()
    charging.wait_for(lambda: not charging.faults, 40 * SECOND)


@pytest.mark.hazard("H-11")
def test_reloaded_installation_is_in_force_at_once() -> None:
    alarms = frozenset({Fault.INSTALLATION_INVALID})
    world = VirtualBox(
        VirtualBoxSettings(BOARD, services=InstallerHost(circuit_capacity_ma=Milliamps(10_000)), alarms=alarms)
    )
    world.wait_for_state(EvseState.A, 3 * SECOND)
    assert Fault.INSTALLATION_INVALID in world.faults
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    world.wait(SECOND)
    assert not world.faults
    world.do("plug_in", cable_ma=32_000)
    world.wait_for_state(EvseState.B2, 3 * SECOND)
    assert world.node.snapshots[-1].offered_current_ma <= 10_000


@pytest.mark.hazard("H-08")
def test_refused_output_is_in_the_snapshot_of_the_same_tick(charging: VirtualBox) -> None:
    charging.breakage.broken["pilot_pwm.set_duty"] = FaultKind.RAISE
    charging.node.permit(charging.clock.now_ns, offered_ma=10_000)
    hits = charging.breakage.hits
    charging.wait_for(lambda: charging.breakage.hits > hits, 100 * MS)
    last = charging.node.snapshots[-1]
    assert last.faults == {Fault.PILOT_PWM_FAILED}
    assert not last.close_ordered


def led_changes(world: VirtualBox, for_ns: int = 2 * SECOND) -> int:
    """Return how often the light of the box changes in the time from here on."""
    seen = [world.plant.drives[Drive.LED]]
    for _ in range(for_ns // (50 * MS)):
        world.wait(50 * MS)
        seen.append(world.plant.drives[Drive.LED])
    return sum(before is not after for before, after in pairwise(seen))


def test_light_is_dark_when_idle_steady_while_charging_and_blinks_with_a_fault(world: VirtualBox) -> None:
    assert (led_changes(world), world.plant.drives[Drive.LED]) == (0, False)
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    world.wait_for(lambda: world.plant.vehicle.drawing, 10 * SECOND)
    world.wait(20 * MS)
    assert (led_changes(world), world.plant.drives[Drive.LED]) == (0, True)
    world.do("trip_rcd")
    world.wait(SECOND)
    assert led_changes(world) == 4


def test_light_blinks_faster_while_the_box_is_identified_and_no_longer_than_the_lease(world: VirtualBox) -> None:
    world.node.identifying = True
    world.wait(3 * SECOND)
    assert led_changes(world) == 8
    world.node.alive = False
    world.wait(16 * SECOND)
    assert (led_changes(world), world.plant.drives[Drive.LED]) == (0, False)


def test_light_that_fails_is_no_fault_and_is_told_again(charging: VirtualBox) -> None:
    charging.breakage.broken["status_led.set"] = FaultKind.RAISE
    charging.node.identifying = True
    charging.wait(3 * SECOND)
    assert charging.asked_closed
    assert not charging.node.snapshots[-1].faults
    charging.breakage.broken.clear()
    charging.wait(20 * MS)
    assert led_changes(charging) == 8


def wait_in_steps(world: VirtualBox, ns: int) -> None:
    """Let time pass in steps that a dead process ends in: it starts again at the next."""
    for _ in range(ns // (50 * MS)):
        world.wait(50 * MS)


def tripped_box(**settings: Any) -> VirtualBox:
    world = VirtualBox(VirtualBoxSettings(load_board("reference"), **settings))
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    wait_in_steps(world, 15 * SECOND)
    assert world.energised
    world.do("trip_rcd")
    wait_in_steps(world, SECOND)
    assert world.faults == {Fault.RCD_TRIPPED}
    return world


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("latch_starts_set", [True, False])
def test_a_trip_is_not_forgotten_by_a_power_cut_whatever_the_latch_says_afterwards(latch_starts_set: bool) -> None:
    world = tripped_box()
    rcd = world.plant.rcd
    rcd.settings = replace(rcd.settings, latch_starts_set=latch_starts_set)
    closings = world.plant.contactor.closings
    world.cut_power()
    wait_in_steps(world, 40 * SECOND)
    assert world.faults == {Fault.RCD_TRIPPED}
    assert world.plant.contactor.closings == closings
    world.node.order(world.clock.now_ns, Request.CLEAR_USER)
    wait_in_steps(world, 20 * SECOND)
    assert world.energised, "a person has looked"


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("killed", [True, False])
def test_neither_a_restart_nor_a_test_on_request_resets_a_latch_that_has_tripped(killed: bool) -> None:
    world = tripped_box()
    if killed:
        world.kill()
    else:
        world.node.order(world.clock.now_ns, Request.SELF_TEST)
    wait_in_steps(world, 20 * SECOND)
    assert world.faults == {Fault.RCD_TRIPPED}
    assert world.plant.rcd.tripped
    assert not [change for change in world.plant.history.changes if change.signal is Drive.RCD_RESET][2:]


@pytest.mark.parametrize("wakes_s", [0, 3, 8])
def test_a_latch_that_the_supply_sets_is_no_trip_once_the_monitor_is_awake(wakes_s: int) -> None:
    world = VirtualBox(VirtualBoxSettings(load_board("reference")))
    rcd = world.plant.rcd
    rcd.settings = replace(rcd.settings, latch_starts_set=True, wakes_ns=wakes_s * SECOND)
    world.cut_power()
    reasons = set()
    world.watchers.append(lambda: reasons.add(world.loop.state.status.reason if world.loop else None))
    wait_in_steps(world, 15 * SECOND)
    assert world.evse_state is EvseState.A
    assert not world.faults
    assert (Reason.RCM_STARTING in reasons) is (wakes_s > 0) or wakes_s == 0


@pytest.mark.hazard("H-05")
def test_a_monitor_that_never_wakes_counts_as_tripped_after_10_s() -> None:
    world = VirtualBox(VirtualBoxSettings(load_board("reference")))
    rcd = world.plant.rcd
    rcd.settings = replace(rcd.settings, wakes_ns=3_600 * SECOND)
    world.cut_power()
    wait_in_steps(world, 14 * SECOND)
    assert world.faults == {Fault.RCD_TRIPPED}


@pytest.mark.hazard("H-08")
def test_what_goes_wrong_between_two_ticks_opens_and_ends_the_process() -> None:
    class Broken(CountingHost):
        def remember(self, faults: frozenset[Fault]) -> None:
            raise RuntimeError("unexpected")

    world = VirtualBox(VirtualBoxSettings(BOARD, services=Broken()))
    world.may_crash = True
    world.wait(50 * MS)
    assert world.exit_status == 70


@pytest.mark.hazard("H-12")
def test_a_box_that_was_too_hot_is_too_hot_after_a_restart_until_it_has_cooled_down() -> None:
    world = VirtualBox(VirtualBoxSettings(load_board("reference")))
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    wait_in_steps(world, 15 * SECOND)
    world.do("set_temperature", celsius=72, sensor="socket contacts")
    wait_in_steps(world, 10 * SECOND)
    assert world.faults == {Fault.OVER_TEMPERATURE}
    world.kill()
    world.do("set_temperature", celsius=70.5, sensor="socket contacts")
    wait_in_steps(world, 90 * SECOND)
    assert world.faults == {Fault.OVER_TEMPERATURE}
    world.do("set_temperature", celsius=61, sensor="socket contacts")
    wait_in_steps(world, 90 * SECOND)
    assert not world.faults


def test_a_lower_capacity_is_put_in_force_once_and_not_in_every_tick() -> None:
    class Lowered(CountingHost):
        def reload(self) -> Installed | None:
            lower = replace(SIMULATED_INSTALLATION, circuit_capacity_ma=Milliamps(16_000))
            return Installed(MachineSettings(ratings(BOARD), lower), BOARD.pilot_adc.scale)

    world = VirtualBox(VirtualBoxSettings(BOARD, services=Lowered()))
    world.do("plug_in", cable_ma=32_000)
    world.do("auto")
    wait_in_steps(world, 15 * SECOND)
    world.node.order(world.clock.now_ns, Request.RELOAD_INSTALLATION)
    wait_in_steps(world, 8 * SECOND)
    assert world.energised
    assert world.loop is not None
    assert world.loop.state.offer.offered_ma == 16_000
    seen = set()
    for _ in range(20):
        world.wait(10 * MS)
        seen.add(id(world.loop._machine))
    assert len(seen) == 1


def test_a_board_without_a_residual_current_device_does_not_wait_for_one_after_power_up() -> None:
    board = replace(load_board("simulated"), rcd=NotFitted("an upstream device of type B"))
    world = VirtualBox(VirtualBoxSettings(board))
    world.cut_power()
    wait_in_steps(world, 15 * SECOND)
    assert world.evse_state is EvseState.A
    assert not world.faults
