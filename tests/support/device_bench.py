"""All clusters of the charger on one endpoint, on a box that is moved by hand."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from evse_pi.device.device_energy_management import DeviceEnergyManagementServer
from evse_pi.device.device_energy_management_mode import DeviceEnergyManagementModeServer
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.device.energy_evse_mode import MODES, EnergyEvseModeServer
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import DeviceEnergyManagement, EnergyEvse
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND
from tests.support.evse_bench import EvseBench
from tests.support.model_bench import attached, model_node
from tests.support.played_box import PlayedBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.charging.charging_planner import ChargingPlanner
    from evse_pi.charging.demand_arbiter import LimitRequest
    from evse_pi.charging.modes import ChargeMode
    from evse_pi.core.states import LimitSource
    from evse_pi.matter.wire.status_code import StatusCode

ZONE = VirtualClock.zone
WEDNESDAY_EVENING = "2026-01-07T18:00"
KWH = 1_000_000


class Dice:
    """Draws the number that the test wants, at most the greatest one, and counts."""

    def __init__(self, wanted: int = 1 << 30) -> None:
        self.wanted = wanted
        self.thrown: list[int] = []

    def octets(self, count: int) -> bytes:
        return bytes(count)

    def below(self, limit: int) -> int:
        self.thrown.append(limit)
        return min(self.wanted, limit - 1)


class DeviceBench:
    """One box with its clusters; `restart` restarts the process."""

    def __init__(self, **given: Any) -> None:
        self.dice: Dice = given.get("dice") or Dice()
        self.clock: VirtualClock = given.get("clock") or VirtualClock(unix_s=unix_s(WEDNESDAY_EVENING))
        self.store: MemoryStore = given.get("store") or MemoryStore()
        self.charger: PlayedBox = given.get("charger") or PlayedBox(self.clock, draw=self.dice.below)
        self.charger.adapter.recall(self.store)
        self.charger.link_up()
        self.heard: list[tuple[str, Any]] = []
        self.mode = EnergyEvseModeServer(self.charger.adapter)
        self.allowed = DeviceEnergyManagementModeServer()
        self.management = DeviceEnergyManagementServer(self.charger.adapter)
        self.evse = EnergyEvseServer(self.charger.adapter)

    async def start(self) -> DeviceBench:
        self.node = await attached(self.evse, self.mode, self.allowed, self.management, node=model_node(self.store))
        for event in self.management.cluster.events.values():
            getattr(self.management.events, event.key).on(self._hear(event.key))
        return self

    def _hear(self, name: str) -> Any:
        return lambda payload: self.heard.append((name, payload))

    async def restart(self, *, power_cut: bool = False) -> DeviceBench:
        """Restart the process alone, or the machine."""
        await self.node.close()
        box = self.charger.restarted(outage_s=0 if power_cut else None)
        again = DeviceBench(charger=box, clock=self.clock, store=self.store, dice=self.dice)
        return await again.start()

    # What controllers and users do.

    def enable(self, minimum_ma: int = 6_000, maximum_ma: int = 32_000) -> StatusCode:
        request = EnergyEvse.Commands.EnableCharging(None, minimum_ma, maximum_ma)
        return self.done(lambda: self.evse.enable_charging(request))

    def targets(self, *targets: tuple[str, int | None, int | None], days: int = 0x7F) -> StatusCode:
        structs = EnergyEvse.Structs
        made = [structs.ChargingTargetStruct(minutes(at), percent, energy) for at, percent, energy in targets]
        request = EnergyEvse.Commands.SetTargets([structs.ChargingTargetScheduleStruct(days, made)])
        return self.done(lambda: self.evse.set_targets(request))

    def adjust(self, power_mw: int, duration_s: int = 600, cause: int = 0) -> StatusCode:
        enum = DeviceEnergyManagement.Enums.AdjustmentCauseEnum
        request = DeviceEnergyManagement.Commands.PowerAdjustRequest(power_mw, duration_s, enum(cause))
        return self.done(lambda: self.management.callback(self.management.power_adjust_request)(request))

    def cancel(self) -> StatusCode:
        return self.done(self.management.callback(self.management.cancel_power_adjust_request))

    def done(self, action: Callable[[], Any]) -> StatusCode:
        status = EvseBench.status(action)
        self.charger.settle()
        return status

    def choose(self, mode: ChargeMode) -> None:
        self.mode.choose([one for one, _, _ in MODES].index(mode))
        self.charger.settle()

    @property
    def planner(self) -> ChargingPlanner:
        return self.charger.planner

    # What the world does.

    def spend(self, seconds: int, energy_mwh: int = 0) -> None:
        """Let time pass."""
        self.charger.spend(seconds, energy_mwh)

    def until(self, text: str) -> None:
        """Let time pass until a local time, minute by minute."""
        wanted = unix_s(text)
        while (now_s := self.clock.unix_s()) is not None and now_s < wanted:
            self.spend(min(60, wanted - now_s))

    # What can be seen.

    def ask(self, source: LimitSource) -> LimitRequest | None:
        return self.charger.request_of(source)

    @property
    def asks(self) -> set[LimitSource]:
        return set(self.charger.asks)

    def in_s(self, source: LimitSource) -> int | None:
        """Return for how long an ask holds from now on."""
        ask = self.charger.request_of(source)
        return None if ask is None or ask.until_ns is None else (ask.until_ns - self.clock.now_ns) // SECOND

    @property
    def next_charge(self) -> tuple[str | None, str | None, int | None, int | None]:
        """Start and target as local times, energy and state of charge, as controllers read them."""
        state = self.evse.state
        times = (state.next_charge_start_time, state.next_charge_target_time)
        shown = [None if one is None else local(one) for one in times]
        return shown[0], shown[1], state.next_charge_required_energy, state.next_charge_target_soc


def unix_s(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


def local(matter_time_s: int) -> str:
    return datetime.fromtimestamp(matter_time_s + MATTER_EPOCH_UNIX_S, ZONE).strftime("%Y-%m-%dT%H:%M:%S")


def minutes(text: str) -> int:
    hours, left = text.split(":")
    return int(hours) * 60 + int(left)
