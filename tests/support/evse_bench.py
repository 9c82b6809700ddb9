"""An EVSE cluster on the real charge point, for tests without processes and network."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evse_pi.charging.startup_state import StartupState
from evse_pi.device.energy_evse import EnergyEvseServer
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from tests.support.model_bench import attached, model_node
from tests.support.played_box import PlayedBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NOW_S = UNIX_S - MATTER_EPOCH_UNIX_S


@functools.cache
def evse_class(features: tuple[str, ...]) -> type[EnergyEvseServer]:
    """Return the cluster with features; resolving its tables takes longer than any test of it."""
    return EnergyEvseServer.with_features(*features) if features else EnergyEvseServer


@dataclass
class EvseBench:
    """One cluster with its box, its clock, and everything that peers would hear of it."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    commissioned: bool = True
    features: tuple[str, ...] = ()
    charger: PlayedBox = None  # type: ignore[assignment]
    heard: list[tuple[str, Any]] = field(default_factory=list)
    reports: list[set[str]] = field(default_factory=list)

    async def start(self, *, hears: bool = True) -> EvseBench:
        """Start the cluster; the box has heard of the safety process before, unless that is silent."""
        if self.charger is None:
            self.charger = PlayedBox(self.clock, StartupState(commissioned=self.commissioned))
        self.charger.adapter.recall(self.store)
        if hears:
            self.charger.link_up()
        self.server = evse_class(self.features)(self.charger.adapter)
        self.node = await attached(self.server, node=model_node(self.store))
        for event in self.server.cluster.events.values():
            getattr(self.server.events, event.key).on(self._hear(event.key))
        self.node.changes.on(lambda change: self.reports.append({self._key(one) for one in change.attributes}))
        return self

    async def restart(self, *, hears: bool = True) -> EvseBench:
        """Restart the process on what is stored; the safety process lives on."""
        await self.node.close()
        box = self.charger.restarted(commissioned=self.commissioned)
        again = EvseBench(self.clock, self.store, self.commissioned, self.features, box)
        return await again.start(hears=hears)

    def _hear(self, name: str) -> Callable[[Any], None]:
        return lambda payload: self.heard.append((name, payload))

    def _key(self, attribute_id: int) -> str:
        return self.server.cluster.attributes[attribute_id].key

    @property
    def state(self) -> Any:
        return self.server.state

    @property
    def names(self) -> list[str]:
        """The events so far by name; reading them forgets them."""
        found = [name for name, _ in self.heard]
        self.heard.clear()
        return found

    def enable(self, until: int | None = None, minimum_ma: int = 6_000, maximum_ma: int = 32_000) -> StatusCode:
        request = EnergyEvse.Commands.EnableCharging(until, minimum_ma, maximum_ma)
        return self.done(lambda: self.server.enable_charging(request))

    def disable(self) -> StatusCode:
        return self.done(self.server.disable)

    def targets(self, *schedules: tuple[int, Iterable[tuple[int, int | None, int | None]]]) -> StatusCode:
        structs = EnergyEvse.Structs
        made = [
            structs.ChargingTargetScheduleStruct(days, [structs.ChargingTargetStruct(*target) for target in targets])
            for days, targets in schedules
        ]
        return self.done(lambda: self.server.set_targets(EnergyEvse.Commands.SetTargets(made)))

    def done(self, action: Callable[[], Any]) -> StatusCode:
        """Return how an action ends, once all have reacted to it."""
        status = self.status(action)
        self.charger.settle()
        return status

    @staticmethod
    def status(action: Callable[[], Any]) -> StatusCode:
        """Return how an action ends; a command that waits for its store finds one here that has stored at once."""
        try:
            answer = action()
            if inspect.iscoroutine(answer):
                answer.send(None)
                raise AssertionError("the command waits")
        except MatterStatus as refusal:
            return refusal.status
        except StopIteration:
            pass
        return StatusCode.SUCCESS
