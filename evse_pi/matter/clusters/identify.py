"""Identify: which of several devices is this one."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Field
from evse_pi.matter.wire.chip_objects import Identify

if TYPE_CHECKING:
    from evse_pi.matter.model.event_source import Change

SCHEMA = ClusterSchema(
    Identify,
    revision=6,
    attributes=(
        Attribute("IdentifyTime", "uint16", "RW VO", "Q", default=0),
        Attribute("IdentifyType", "enum8", default=Identify.Enums.IdentifyTypeEnum.kVisibleIndicator),
    ),
    commands=(
        Command("Identify", "M", fields=(Field("identifyTime", "uint16"),)),
        Command("TriggerEffect", "M", "O"),
    ),
)


class IdentifyServer(ClusterServer):
    """Counts IdentifyTime down to 0; listen to `events.identify_time_changed` to blink meanwhile."""

    schema = SCHEMA
    quiet_interval_s = MappingProxyType({"identify_time": 3600.0})

    class Internal:
        """The next second's timer."""

        timer: asyncio.TimerHandle | None = None

    def initialize(self) -> None:
        """Watch the attribute, however it is set."""
        self.react_to(self.events.identify_time_changed, self._changed)

    def close(self) -> None:
        """Stop counting."""
        self._stop()

    def identify(self, request: Any) -> None:
        """Show which device this is for so many seconds; 0 ends it."""
        self.write_identify_time(request.identifyTime)

    def write_identify_time(self, seconds: int) -> None:
        """Begin or end at once what a peer asks for."""
        self.state.identify_time = seconds
        self.publish("identify_time")

    def _changed(self, change: Change) -> None:
        self._stop()
        if change.value > 0:
            self.internal.timer = asyncio.get_running_loop().call_later(1, self.callback(self._tick))
        elif change.old > 0:
            self.publish("identify_time")

    def _tick(self) -> None:
        self.state.identify_time = max(0, self.state.identify_time - 1)

    def _stop(self) -> None:
        if self.internal.timer is not None:
            self.internal.timer.cancel()
            self.internal.timer = None
