"""Whatever car, people, controllers, faults and power cuts do, in whatever order: what must hold for the whole device.

The machine, the box, the clusters and the store are the real ones; numbers are literal.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from evse_pi.charging.modes import ChargeMode
from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.core.states import PilotMode
from evse_pi.device.energy_evse_mode import MODES
from evse_pi.matter.wire.chip_objects import DeviceEnergyManagement, EnergyEvse
from evse_pi.matter.wire.status_code import StatusCode
from hal.units import Milliamps
from tests.support.checked_box import CABLES
from tests.support.evse_bench import EvseBench
from tests.support.ideal_box import FULL_BOARD, MS, PLAIN_BOARD, settings_for
from tests.support.virtual_loop import VirtualTimeLoop
from tests.support.whole_device import WholeDevice

NO_ERROR, DISABLED_ERROR, STATE_FAULT, STATE_CHARGING = 0, 3, 6, 3
DISABLED, CHARGING_ENABLED, DIAGNOSTICS, ENABLED = 0, 1, 4, 5
EPOCH_S = 946_684_800
CURRENTS = [6_000, 8_000, 10_000, 16_000, 20_000, 32_000]
DRIVERS = [fault for fault in Fault if fault.name.endswith("_FAILED") and fault >= Fault.PILOT_ADC_FAILED]
ALARMS = [None, None, Fault.TIMING_BUDGET]
WAITS_MS = [10, 100, 500, 1_000, 3_000, 5_000, 5_990, 6_100, 10_000, 15_100]


def offerable_ma(limit_ma: int) -> int:
    """Return what the pilot can say of a limit, from 6 A on: steps of 60 mA up to 51 A. Source: IEC 61851-1 Annex A."""
    return limit_ma if limit_ma >= 6_000 else 0


@dataclass
class Peer:
    """A controller that believes the events: what they must add up to."""

    connected: int | None = None
    transfer: int | None = None
    fault: int = NO_ERROR
    last_session: int = -1
    sessions: list[int] = field(default_factory=list)

    def hear(self, name: str, fields: dict[str, Any]) -> None:
        getattr(self, name)(fields)

    def restart(self, _fields: dict[str, Any]) -> None:
        """Believe on: what was told holds over every restart."""

    def ev_connected(self, fields: dict[str, Any]) -> None:
        assert self.connected is None, f"{fields} while {self.connected} is connected"
        assert fields["sessionID"] > self.last_session, "session ids strictly increase"
        self.connected = self.last_session = fields["sessionID"]

    def ev_not_detected(self, fields: dict[str, Any]) -> None:
        assert fields["sessionID"] == self.connected
        assert self.transfer is None, "a transfer ends before its session"
        assert fields["sessionID"] not in self.sessions, "ended twice"
        self.sessions.append(fields["sessionID"])
        self.connected = None

    def energy_transfer_started(self, fields: dict[str, Any]) -> None:
        assert fields["sessionID"] == self.connected
        assert self.transfer is None
        self.transfer = fields["sessionID"]

    def energy_transfer_stopped(self, fields: dict[str, Any]) -> None:
        assert fields["sessionID"] == self.transfer
        assert fields["energyTransferred"] >= 0
        self.transfer = None

    def fault_(self, fields: dict[str, Any]) -> None:
        assert int(fields["faultStatePreviousState"]) == self.fault
        assert int(fields["faultStateCurrentState"]) != self.fault, "one event a change"
        self.fault = int(fields["faultStateCurrentState"])


class Promises:
    """What was acknowledged and must outlive whatever ends the process."""

    def __init__(self, device: WholeDevice) -> None:
        settings, reported = device.box.permission.settings, device.evse.internal.reported
        self.values = {
            "grant": replace(settings, targets=(), window_s=None),
            "targets": settings.targets,
            "window": device.evse.state.randomization_delay_window,
            "mode": device.mode.state.current_mode,
            "management": device.allowed.state.current_mode,
            "owner": device.box.owner.limit_ma,
            "connected": reported.session,
        }
        if not device.commissioned:
            self.values["permitted"] = device.box.owner.permitted


class World(RuleBasedStateMachine):
    """Verbs of the world over a whole device."""

    device: WholeDevice

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.peer = Peer()
        self.heard = 0
        self.energy: dict[int, int] = {}
        self.owner_unstored = False
        self.unfit: list[str] = []
        self.calm = True  # no clock has stepped in the last 2 s

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def wait_ms(self, duration_ms: int) -> None:
        self.run(self.device.run(duration_ms * MS))
        self.calm = self.calm or duration_ms >= 2_000
        self.check()

    def call(self, action: Any) -> StatusCode:
        """Give an order to a cluster and look at once at what became of it."""

        async def give() -> StatusCode:
            status = EvseBench.status(action)
            await asyncio.sleep(0)
            return status

        status: StatusCode = self.run(give())
        self.check()
        return status

    @initialize(
        full=st.booleans(),
        ventilated=st.booleans(),
        capacity_ma=st.sampled_from(CURRENTS),
        commissioned=st.sampled_from([True, True, True, False]),
        lucky=st.booleans(),
    )
    def begin(self, full: Any, ventilated: Any, capacity_ma: Any, commissioned: Any, lucky: Any) -> None:
        board = FULL_BOARD if full else PLAIN_BOARD
        house = settings_for(board, ventilated=ventilated, circuit_capacity_ma=capacity_ma)
        self.device = WholeDevice(Path(self.folder.name), house, commissioned=commissioned, vehicle="A", ohms=220)
        self.run(self.device.start())
        self.device.watchers.append(self.check_published)
        if lucky:  # random verbs seldom get as far as to charge
            self.wait_ms(11_000)
            self.call(lambda: self.device.evse.write_randomization_delay_window(0))
            self.enable(None, 6_000, 32_000)
            self.device.machine.plug_in("B")
            self.wait_ms(3_000)
            self.device.machine.vehicle = "C"
            self.device.machine.drawn_ma = (6_000, 6_000, 6_000)
            self.wait_ms(7_000)

    # The car.

    @rule(ohms=st.sampled_from(sorted(CABLES)))
    @precondition(lambda self: self.device.machine.vehicle == "A")
    def plug_in(self, ohms: Any) -> None:
        self.device.machine.ohms = ohms
        self.wait_ms(300)
        self.device.machine.vehicle = "B"

    @rule(vehicle=st.sampled_from("BCCCD"))
    @precondition(lambda self: self.device.machine.vehicle != "A")
    def ask(self, vehicle: Any) -> None:
        self.device.machine.vehicle = vehicle

    @rule()
    def unplug(self) -> None:
        self.device.machine.vehicle = "A"

    @rule(ohms=st.sampled_from(sorted(CABLES)))
    def change_cars(self, ohms: Any) -> None:
        for vehicle in "ABAB":
            self.device.machine.vehicle, self.device.machine.ohms = vehicle, ohms
            self.wait_ms(1_200)

    @rule(diode=st.booleans(), short=st.booleans())
    @precondition(lambda self: self.device.machine.vehicle != "A")
    def wrong_cable(self, diode: Any, short: Any) -> None:
        self.device.machine.diode = diode
        self.device.machine.vehicle = "E" if short else self.device.machine.vehicle

    @rule(drawn_ma=st.sampled_from([0, 6_000, 6_000, 40_000]))
    def draw(self, drawn_ma: Any) -> None:
        self.device.machine.drawn_ma = (drawn_ma,) * 3

    # Controllers.

    @rule(
        until_s=st.sampled_from([None, None, 0, 3, 8, 30, -10]),
        low=st.sampled_from([0, 6_000, 10_000]),
        high=st.sampled_from([0, *CURRENTS, 80_000]),
    )
    @precondition(lambda self: self.device.node_up)
    def enable(self, until_s: Any, low: Any, high: Any) -> None:
        evse, now_s = self.device.evse, self.device.clock.unix_s()
        before, faulty = self.device.box.permission.settings, evse.state.fault_state != NO_ERROR
        until = until_s if not until_s else max((now_s or 1_000_000_000) - EPOCH_S + until_s, 1)
        diagnosing = evse.state.supply_state == DIAGNOSTICS
        status = self.call(lambda: evse.enable_charging(EnergyEvse.Commands.EnableCharging(until, low, high)))
        if low > high:
            assert status is StatusCode.CONSTRAINT_ERROR
        elif faulty or diagnosing:
            assert status is StatusCode.FAILURE
        else:
            assert status is StatusCode.SUCCESS
        if status is not StatusCode.SUCCESS:
            assert self.device.box.permission.settings == before, "a refused command changes nothing"

    @rule(until_s=st.sampled_from([3, 8]))
    @precondition(lambda self: self.device.node_up)
    def enable_for_a_while(self, until_s: Any) -> None:
        self.enable(until_s, 6_000, 16_000)
        self.wait_ms(11_000)

    @rule()
    @precondition(lambda self: self.device.node_up)
    def disable(self) -> None:
        self.call(self.device.evse.disable)
        assert self.device.evse.state.charging_enabled_until == 0

    @rule()
    @precondition(lambda self: self.device.node_up)
    def start_diagnostics(self) -> None:
        disabled = self.device.evse.state.supply_state == DISABLED
        status = self.call(self.device.evse.start_diagnostics)
        assert (status is StatusCode.SUCCESS) == disabled

    @rule(days=st.sampled_from([1, 0x7F]), minutes=st.integers(0, 1439), energy=st.sampled_from([0, 5_000_000]))
    @precondition(lambda self: self.device.node_up)
    def set_targets(self, days: Any, minutes: Any, energy: Any) -> None:
        structs = EnergyEvse.Structs
        target = structs.ChargingTargetStruct(minutes, None, energy)
        request = EnergyEvse.Commands.SetTargets([structs.ChargingTargetScheduleStruct(days, [target])])
        assert self.call(lambda: self.device.evse.set_targets(request)) is StatusCode.SUCCESS

    @rule()
    @precondition(lambda self: self.device.node_up)
    def clear_targets(self) -> None:
        assert self.call(self.device.evse.clear_targets) is StatusCode.SUCCESS

    @rule(user_ma=st.sampled_from(CURRENTS), window_s=st.sampled_from([0, 1, 10, 600]))
    @precondition(lambda self: self.device.node_up)
    def write(self, user_ma: Any, window_s: Any) -> None:
        self.call(lambda: self.device.evse.write_user_maximum_charge_current(user_ma))
        self.call(lambda: self.device.evse.write_randomization_delay_window(window_s))

    @rule(mode=st.sampled_from([ChargeMode.MANUAL, ChargeMode.MANUAL, *ChargeMode]), opt_out=st.integers(0, 3))
    @precondition(lambda self: self.device.node_up)
    def choose_mode(self, mode: Any, opt_out: Any) -> None:
        self.call(lambda: self.device.mode.choose([one for one, _, _ in MODES].index(mode)))
        self.call(lambda: self.device.allowed.select(opt_out))

    @rule(power_mw=st.sampled_from([0, 5_000_000, 11_040_000, 50_000_000]), cause=st.integers(0, 1))
    @precondition(lambda self: self.device.node_up)
    def adjust_power(self, power_mw: Any, cause: Any) -> None:
        kind = DeviceEnergyManagement.Enums.AdjustmentCauseEnum
        request = DeviceEnergyManagement.Commands.PowerAdjustRequest(power_mw, 60, kind(cause))
        management = self.device.management
        self.call(lambda: management.callback(management.power_adjust_request)(request))

    @rule()
    @precondition(lambda self: self.device.node_up)
    def cancel_adjustment(self) -> None:
        management = self.device.management
        self.call(lambda: management.callback(management.cancel_power_adjust_request))

    # Owner and installer.

    @rule(permitted=st.booleans(), limit_ma=st.sampled_from([None, None, 6_000, 16_000]))
    @precondition(lambda self: self.device.node_up)
    def own(self, permitted: Any, limit_ma: Any) -> None:
        self.owner_unstored = not self.run(self.say(permitted, limit_ma))
        self.wait_ms(1_000)

    async def say(self, permitted: Any, limit_ma: Any) -> bool:
        return self.device.set_owner_permission(permitted=permitted, limit_ma=limit_ma)

    @rule(capacity_ma=st.sampled_from(CURRENTS))
    def install(self, capacity_ma: Any) -> None:
        self.call(lambda: self.device.install(capacity_ma))

    @rule(request=st.sampled_from([Request.CLEAR_USER, Request.CLEAR_USER | Request.CLEAR_INSTALLER]))
    @precondition(lambda self: self.device.node_up)
    def order(self, request: Request) -> None:
        self.device.order(request)

    # Faults.

    @rule(drivers=st.sets(st.sampled_from(DRIVERS), max_size=1), alarm=st.sampled_from(ALARMS))
    def trouble(self, drivers: Any, alarm: Any) -> None:
        self.device.machine.failures = frozenset(drivers)
        self.device.machine.alarms = frozenset() if alarm is None else frozenset({alarm})

    @rule(what=st.sampled_from(["rcd_latched", "stuck_closed", "emergency_stop", "stuck_open"]), on=st.booleans())
    def break_something(self, what: Any, on: Any) -> None:
        setattr(self.device.machine, what, on)

    @rule(meter=st.booleans(), heat=st.sampled_from([25_00, 25_00, 66_00, 75_00]), thermometer=st.booleans())
    def sensors(self, meter: Any, heat: Any, thermometer: Any) -> None:
        machine = self.device.machine
        machine.meter_alive, machine.thermometer_alive, machine.temperature = meter, thermometer, heat

    @rule(windows=st.integers(1, 8))
    def garble(self, windows: Any) -> None:
        self.device.machine.garbled = True
        self.wait_ms(windows * 10)
        self.device.machine.garbled = False

    @rule(loses=st.booleans(), stuck=st.booleans())
    def bad_roads(self, loses: Any, stuck: Any) -> None:
        self.device.loses, self.device.storage_stuck = loses, stuck

    # Lives and clocks.

    @rule()
    def crash_safety(self) -> None:
        self.device.crash_safety()

    @rule(gone_ms=st.sampled_from([500, 3_000, 20_000]))
    @precondition(lambda self: self.device.node_up)
    def crash_node(self, gone_ms: Any) -> None:
        before = Promises(self.device)
        self.run(self.device.end_node())
        self.run(self.device.run(gone_ms * MS))
        self.run(self.device.start())
        self.compare(before)

    @rule(outage_s=st.sampled_from([2, 600, 40_000]), knows_time=st.sampled_from([True, True, False]))
    def cut_power(self, outage_s: Any, knows_time: Any) -> None:
        before = Promises(self.device)
        self.run(self.device.cut_power(outage_s, knows_time=knows_time))
        self.compare(before)

    @rule(by_s=st.sampled_from([-100_000, -5, 5, 100_000]))
    @precondition(lambda self: self.device.clock.unix_s() is not None)
    def step_clock(self, by_s: Any) -> None:
        clock = self.device.clock
        clock.set_unix_s(clock.unix_s() + by_s)
        self.calm = False

    @rule()
    @precondition(lambda self: self.device.clock.unix_s() is None)
    def find_clock(self) -> None:
        self.device.clock.set_unix_s(1_800_000_000)
        self.calm = False

    @rule(wait_ms=st.sampled_from(WAITS_MS))
    def wait(self, wait_ms: Any) -> None:
        self.wait_ms(wait_ms)

    @rule()
    def wait_long(self) -> None:
        self.wait_ms(20_000)

    @rule()
    def make_all_well(self) -> None:
        """Repair everything; then the box settles, and charges where it may."""
        device, machine = self.device, self.device.machine
        machine.failures = machine.alarms = frozenset()
        machine.emergency_stop = machine.garbled = machine.rcd_latched = machine.stuck_closed = machine.stuck_open = (
            False
        )
        machine.diode = machine.meter_alive = machine.thermometer_alive = True
        machine.temperature, machine.drawn_ma, machine.vehicle = 25_00, (0, 0, 0), "A"
        device.loses = device.storage_stuck = False
        self.wait_ms(2_000)
        device.order(Request.CLEAR_USER | Request.CLEAR_INSTALLER)
        for _ in range(15):  # some faults clear a minute after their cause
            self.wait_ms(5_000)
            if not machine.faults:
                break
        assert not machine.faults, "all faults are cleared"
        permitted = device.box.permission.now.charging
        expected = CHARGING_ENABLED if permitted else DISABLED
        assert device.evse.state.supply_state in (expected, DIAGNOSTICS), "SupplyState is what it was before the fault"

    # What must hold.

    def compare(self, before: Promises) -> None:
        """Nothing that was acknowledged is lost."""
        after = Promises(self.device)
        if not self.device.box.ratings.meter_fitted:
            self.energy.clear()  # an estimate is saved every 5 min
        for name, value in before.values.items():
            if name in ("owner", "permitted") and self.owner_unstored:
                continue
            if name == "connected":
                continue  # the vehicle may have left meanwhile; the events tell
            found = after.values[name]
            if name == "grant" and self.device.commissioned:
                now_s = self.device.clock.unix_s()  # both by one clock: the power may go in the instant of its change
                found, value = (each.expired(now_s) for each in (found, value))
            assert found == value, f"{name} was acknowledged"
        self.check()

    def check(self) -> None:
        device = self.device
        while self.heard < len(device.events):
            name, fields = device.events[self.heard]
            self.heard += 1
            self.peer.hear("fault_" if name == "fault" else name, fields)
        if not device.node_up:
            return
        assert not self.unfit, "9.3.8.1, 9.3.8.3: in every report"
        self.check_attributes()
        self.check_sessions()
        self.check_demands()
        self.check_offer()
        self.check_transitions()

    def check_published(self) -> None:
        """Look at what a report would say right now; a listener may not raise."""
        state = self.device.evse.state
        faulty = state.fault_state != NO_ERROR
        if not faulty == (state.supply_state == DISABLED_ERROR) == (state.state == STATE_FAULT):
            self.unfit.append(str(state))

    def check_attributes(self) -> None:
        state, snapshot = self.device.evse.state, self.device.box.snapshot
        faulty = state.fault_state != NO_ERROR
        if snapshot is not None:  # before that what was told is shown
            assert faulty == bool(snapshot.faults), "every fault is shown, and nothing else"
        assert faulty == (state.supply_state == DISABLED_ERROR), "9.3.8.3"
        assert faulty == (state.state == STATE_FAULT), "9.3.8.1"
        if not faulty and state.supply_state != DIAGNOSTICS:
            assert (state.supply_state in (CHARGING_ENABLED, ENABLED)) == self.device.box.permission.now.charging
        if self.device.commissioned:
            until = state.charging_enabled_until
            if until == 0:
                assert not self.device.box.permission.now.charging, "0 is disabled"
            if until is None:
                assert self.device.box.permission.now.charging, "null is for good"
            now_s = self.device.clock.unix_s()
            if until and now_s is not None and self.calm:
                assert now_s - EPOCH_S <= until + 2, "what is past is disabled"
        if not self.device.box.permission.now.charging:
            assert state.maximum_charge_current == 0
        assert self.device.box.installation is not None
        assert state.circuit_capacity == self.device.box.installation.circuit_capacity_ma

    def check_sessions(self) -> None:
        device, session = self.device, self.device.box.event_recorder.session
        if self.peer.connected is not None:
            assert device.evse.state.session_id == self.peer.connected
        metered = device.box.ratings.meter_fitted
        if session is not None and (device.box.reading is not None or not metered):
            assert session.energy_mwh >= self.energy.get(session.number, 0), "energy never goes backwards"
            self.energy[session.number] = session.energy_mwh

    def check_demands(self) -> None:
        """A source that forbids wins, and MaximumChargeCurrent is what the safety process is asked for at least."""
        device = self.device
        device.demands, demands = [], device.demands
        if not demands or device.renewal:
            return
        demand, machine, grant = demands[-1], device.machine, device.box.permission.settings
        if not device.box.permission.now.charging:
            assert not demand.permitted, "forbidden is forbidden"
        if demand.permitted:
            wanted = [device.box.owner.limit_ma]
            wanted += [Milliamps(grant.maximum_ma)] if device.commissioned else []
            assert all(each is None or demand.offered_current_ma <= each for each in wanted), "no limit is passed"
        assert device.box.installation is not None
        limits = [demand.offered_current_ma, 32_000, device.box.installation.circuit_capacity_ma]
        cable_ma = device.charger.view().cable_ma
        limits += [] if cable_ma is None else [cable_ma]
        if demand.permitted and machine.temperature < 60_00 and machine.thermometer_alive and machine.meter_alive:
            assert offerable_ma(min(limits)) >= device.evse.state.maximum_charge_current

    def check_offer(self) -> None:
        """What the PWM offers is never above MaximumChargeCurrent once demand and capacity have had their tick."""
        device, machine = self.device, self.device.machine
        if machine.mode is PilotMode.PWM and not device.loses and not device.renewal and machine.mail is None:
            ticked = device.clock.now_ns != device.installed_ns  # a lower capacity is in force with the next tick
            fresh = machine.demand is not None and machine.demand.number == device.box.arbiter._number
            if fresh and ticked and self.settled():
                assert machine.state.offer.offered_ma <= device.evse.state.maximum_charge_current

    def settled(self) -> bool:
        """Return whether the newest demand was taken in and the snapshot after it was heard."""
        snapshot = self.device.box.snapshot
        return snapshot is not None and snapshot.demand_number == self.device.box.arbiter._number

    def check_transitions(self) -> None:
        told = self.device.told
        assert all(after > before for before, after in pairwise(told)), "I8: each once, in order"
        self.device.told = told[-1:]

    def teardown(self) -> None:
        if hasattr(self, "device") and self.device.node_up:
            self.run(self.device.end_node())
        self.runner.close()
        self.folder.cleanup()


COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.hazard("H-10")
@pytest.mark.hazard("H-11")
@pytest.mark.hazard("H-18")
def test_no_order_of_events_breaks_the_device() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=25, stateful_step_count=25, derandomize=True, database=None, phases=[Phase.generate], **COMMON
        ),
    )


@pytest.mark.nightly
def test_no_order_of_events_breaks_the_device_in_a_long_search() -> None:
    run_state_machine_as_test(World, settings=settings(max_examples=1_000, stateful_step_count=50, **COMMON))
