"""Test event triggers: what a certification run wants to happen is done to the simulated car and plant.

A trigger is answered once the box has settled, so that pilot, state machine, contactor and cluster have all taken part.
Without a simulator triggers have no listener, and each is refused as unknown.
Source: Matter test plans, Energy EVSE cluster.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from evse_pi.api.client import BoxError
from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.vehicle_data import NO_VEHICLE_DATA, VehicleData
from evse_pi.core.faults import FAULTS, NO_FAULTS, Fault, worst
from evse_pi.core.states import FaultState, MatterState, SupplyState
from evse_pi.device.charge_point_view import EVSE_ENDPOINT, NO_DISCHARGE_MA
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from evse_pi.device.energy_evse import EnergyEvseServer
    from evse_pi.matter.model.event_source import Change
    from evse_pi.node.charge_point_adapter import ChargePointAdapter
    from evse_pi.node.simulator_control import SimulatorControl

log = logging.getLogger(__name__)

ENDPOINT_SHIFT, ENDPOINT_MASK = 32, 0xFFFF
EVSE_CODES = 0x0099_0000_0000_0000
SETTLE_S = 9.0  # controllers were seen to give up a command after 10 s
POLL_S = 0.02
ACKNOWLEDGE_S = 0.3  # an acknowledgement comes to nothing while a sensor, read every 2 s, still shows the fault
BASIC_LIMIT_MA = Milliamps(32_000)
LARGEST_CABLE_MA = 63_000
HOT_CELSIUS = 90.0
LOW_PERCENT, HIGH_PERCENT, BATTERY_MWH = 20, 95, 70_000_000
IDENTIFIER = "Test-Vehicle-ID-012345789-ABCDEF"
CARD = "00112233445566778899"


class Code(IntEnum):
    """The triggers of the Energy EVSE cluster."""

    BASIC = 0x00
    BASIC_CLEAR = 0x01
    PLUGGED_IN = 0x02
    PLUGGED_IN_CLEAR = 0x03
    DEMAND = 0x04
    DEMAND_CLEAR = 0x05
    TIME_OF_USE = 0x06
    GROUND_FAULT = 0x10
    OVER_TEMPERATURE = 0x11
    FAULTS_CLEAR = 0x12
    DIAGNOSTICS_COMPLETE = 0x20
    TIME_OF_USE_CLEAR = 0x21
    CHARGE_LOW = 0x30
    CHARGE_HIGH = 0x31
    CHARGE_CLEAR = 0x32
    VEHICLE_ID = 0x40
    RFID = 0x50


def code_of(trigger: int) -> Code | None:
    """Return the trigger of the EVSE that `trigger` names, None for any other; endpoint 0 stands for the EVSE's."""
    endpoint = trigger >> ENDPOINT_SHIFT & ENDPOINT_MASK
    low = (trigger & ~(ENDPOINT_MASK << ENDPOINT_SHIFT)) - EVSE_CODES
    return next((code for code in Code if code == low and endpoint in (0, EVSE_ENDPOINT)), None)


@dataclass(frozen=True, slots=True)
class Former:
    """What the basic trigger replaced."""

    user_maximum_ma: int | None


class EventTriggers:
    """Does to the simulated plant what each trigger says, one after the other."""

    def __init__(
        self,
        simulator: SimulatorControl,
        charger: ChargePointAdapter,
        evse: EnergyEvseServer,
        *,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._simulator = simulator
        self._charger = charger
        self._evse = evse
        self._settle_s = settle_s
        self._former: Former | None = None
        self._former_mode: ChargeMode | None = None
        self._turn = asyncio.Lock()
        self._slow_turn = asyncio.Lock()
        self._slowing: set[asyncio.Task[None]] = set()
        self._actions: dict[Code, Callable[[], Awaitable[None]]] = {
            Code.BASIC: self._basic,
            Code.BASIC_CLEAR: self._basic_clear,
            Code.PLUGGED_IN: self._plug_in,
            Code.PLUGGED_IN_CLEAR: self._unplug,
            Code.DEMAND: self._demand,
            Code.DEMAND_CLEAR: self._demand_clear,
            Code.TIME_OF_USE: self._time_of_use,
            Code.TIME_OF_USE_CLEAR: self._time_of_use_clear,
            Code.GROUND_FAULT: self._ground_fault,
            Code.OVER_TEMPERATURE: self._over_temperature,
            Code.FAULTS_CLEAR: self._faults_clear,
            Code.DIAGNOSTICS_COMPLETE: self._diagnostics_complete,
            Code.CHARGE_LOW: lambda: self._battery(LOW_PERCENT, BATTERY_MWH),
            Code.CHARGE_HIGH: lambda: self._battery(HIGH_PERCENT, BATTERY_MWH),
            Code.CHARGE_CLEAR: lambda: self._battery(None, None),
            Code.VEHICLE_ID: self._vehicle_id,
            Code.RFID: self._card,
        }
        evse.events.supply_state_changed.on(self._supply_changed)

    async def handle(self, trigger: int) -> bool:
        """Carry out a trigger and return True once the box has settled; False for one that is not the EVSE's.

        Raises: MatterStatus FAILURE when the plant does not answer, refuses, or does not settle in time.
        """
        code = code_of(trigger)
        if code is None:
            return False
        try:
            async with asyncio.timeout(self._settle_s), self._turn:
                log.info("test event trigger %s", code.name)
                await self._actions[code]()
        except TimeoutError as error:
            faults = ",".join(sorted(fault.name for fault in self._charger.view().faults))
            log.warning("%s is not settled: state=%s faults=%s", code.name, self._evse.state.state, faults)
            raise MatterStatus(
                StatusCode.FAILURE, f"{code.name}: the box did not settle in {self._settle_s} s"
            ) from error
        except (BoxError, ValueError) as error:
            raise MatterStatus(StatusCode.FAILURE, f"{code.name}: {error}") from error
        return True

    # The car.

    async def _basic(self) -> None:
        """Begin with a healthy box, no car, and nothing permitted: any run before may have left something."""
        if self._former is None:
            self._former = Former(self._charger.view().settings.user_maximum_ma)
        await self._simulator.verb("unplug")
        await self._simulator.verb("repair")
        await self._acknowledge()
        self._charger.rated_discharge_ma = BASIC_LIMIT_MA  # of the plant, which nothing else makes bidirectional
        self._charger.apply(replace(self._charger.view().settings.disabled(), user_maximum_ma=BASIC_LIMIT_MA))
        await self._settle()
        await self._end_of_diagnostics()

    async def _basic_clear(self) -> None:
        if self._former is not None:
            settings = self._charger.view().settings
            self._charger.apply(replace(settings, user_maximum_ma=self._former.user_maximum_ma))
            self._former = None
        self._charger.rated_discharge_ma = NO_DISCHARGE_MA
        await self._simulator.verb("tell_battery")
        await self._simulator.verb("tell_identifier")
        self._charger.set_vehicle(NO_VEHICLE_DATA)

    async def _plug_in(self) -> None:
        await self._simulator.verb("auto", on=False)
        await self._simulator.verb("insist", on=False)
        if not (await self._simulator.state())["vehicle"]["plugged"]:
            await self._simulator.verb("plug_in", cable_ma=LARGEST_CABLE_MA)
        await self._settle()

    async def _unplug(self) -> None:
        """Pull the plug; under a fault the box may miss its contact before the pilot shows that the car is gone."""
        await self._simulator.verb("unplug")
        await self._until(lambda: self._charger.view().session is None)
        await self._until(lambda: Fault.CABLE_REMOVED not in self._charger.view().faults)
        await self._settle()

    async def _demand(self) -> None:
        if not (await self._simulator.state())["vehicle"]["plugged"]:
            raise ValueError("no vehicle is plugged in")
        await self._simulator.verb("insist")
        await self._settle()

    async def _demand_clear(self) -> None:
        await self._simulator.verb("insist", on=False)
        await self._settle()

    async def _time_of_use(self) -> None:
        if self._former_mode is None:
            self._former_mode = self._charger.view().settings.mode
        self._select(ChargeMode.TIME_OF_USE)

    async def _time_of_use_clear(self) -> None:
        self._select(self._former_mode or ChargeMode.MANUAL)
        self._former_mode = None

    def _select(self, mode: ChargeMode) -> None:
        self._charger.apply(replace(self._charger.view().settings, mode=mode))

    async def _battery(self, percent: int | None, mwh: int | None) -> None:
        await self._simulator.verb("tell_battery", percent=percent, mwh=mwh)
        await self._hear_vehicle()

    async def _vehicle_id(self) -> None:
        await self._simulator.verb("tell_identifier", identifier=IDENTIFIER)
        await self._hear_vehicle()

    async def _hear_vehicle(self) -> None:
        """Take in what the simulated car says, in place of a modem for the protocol that cars say it by."""
        told = (await self._simulator.state())["vehicle"]
        self._charger.set_vehicle(VehicleData(told["battery_percent"], told["battery_mwh"], told["identifier"]))

    async def _card(self) -> None:
        """Read the card that is held to the simulated box; one without a reader does not notice it."""
        await self._simulator.verb("hold_card", uid=CARD)
        seen = (await self._simulator.state())["card"]
        if "RFID" in self._evse.cluster.features:
            self._evse.card_read(bytes.fromhex(seen))
        await self._simulator.verb("hold_card")

    # Faults and diagnostics.

    async def _ground_fault(self) -> None:
        await self._simulator.verb("trip_rcd")
        await self._until(lambda: Fault.RCD_TRIPPED in self._charger.view().faults)
        await self._settle()

    async def _over_temperature(self) -> None:
        """Heat the box; a fault that outranks the heat is repaired while it is hot, so that one follows the other."""
        if self._charger.view().temperature is None:
            raise ValueError("the board has no thermometer")
        place = next(iter((await self._simulator.state())["temperatures"]))
        await self._simulator.verb("set_temperature", celsius=HOT_CELSIUS, sensor=place)
        await self._until(lambda: Fault.OVER_TEMPERATURE in self._charger.view().faults)
        await self._acknowledge(but=frozenset((Fault.OVER_TEMPERATURE,)))
        await self._settle()

    async def _faults_clear(self) -> None:
        await self._simulator.verb("repair")
        await self._acknowledge()
        await self._settle()

    async def _acknowledge(self, but: frozenset[Fault] = NO_FAULTS) -> None:
        """Clear faults as an installer does, until no others are left."""
        while self._charger.view().faults - but:
            self._charger.clear_faults()
            await asyncio.sleep(ACKNOWLEDGE_S)

    async def _diagnostics_complete(self) -> None:
        await self._slow(on=False)
        await self._end_of_diagnostics()

    async def _end_of_diagnostics(self) -> None:
        await self._until(lambda: self._evse.state.supply_state != SupplyState.DISABLED_DIAGNOSTICS)

    def _supply_changed(self, change: Change) -> None:
        """Give a certification run the time to see the self-test: its residual current device takes all it may."""
        diagnosing = change.value == SupplyState.DISABLED_DIAGNOSTICS
        if diagnosing and self._former is not None:
            self._slow_soon(on=True)
        elif change.old == SupplyState.DISABLED_DIAGNOSTICS:
            self._slow_soon(on=False)

    def _slow_soon(self, *, on: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._slow(on=on), name="slow residual current device")
        self._slowing.add(task)
        task.add_done_callback(self._slowing.discard)

    async def _slow(self, *, on: bool) -> None:
        try:
            async with self._slow_turn:
                await self._simulator.verb("break_rcd", how="slow", on=on)
        except (BoxError, ValueError) as error:
            log.warning("the simulated residual current device stays as it is: %s", error)

    # Settling.

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 (the view changes with every snapshot, and with time)
            await asyncio.sleep(POLL_S)

    async def _settle(self) -> None:
        """Return once the cluster shows what car and plant are, and pilot and contacts do as it says."""
        while not self._settled(await self._simulator.state()):  # noqa: ASYNC110 (as above)
            await asyncio.sleep(POLL_S)

    def _settled(self, plant: dict[str, Any]) -> bool:
        view, shown = self._charger.view(), self._evse.state
        state, fault = self._expected(plant["vehicle"]), worst(view.faults)
        if fault is not None:
            expected = (MatterState.FAULT, FAULTS[fault].fault_state)
            return (shown.state, shown.fault_state) == expected and not any(plant["poles"])
        offers = bool(view.offered_current_ma)
        if state is MatterState.NOT_PLUGGED_IN:
            stands = view.session is None and not offers
        else:
            stands = offers is self._charger.offering
        contacts = all(plant["poles"]) if state is MatterState.PLUGGED_IN_CHARGING else not any(plant["poles"])
        return (shown.state, shown.fault_state) == (state, FaultState.NO_ERROR) and stands and contacts

    def _expected(self, car: dict[str, Any]) -> MatterState:
        """Return the State that a healthy box has with the car as it is."""
        if not car["plugged"]:
            return MatterState.NOT_PLUGGED_IN
        if car["s2"] == "open" and not car["insistent"]:
            return MatterState.PLUGGED_IN_NO_DEMAND
        return MatterState.PLUGGED_IN_CHARGING if self._charger.offering else MatterState.PLUGGED_IN_DEMAND
