"""Attributes that are computed from the world outside, which does not say when it changes: they are looked at again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evse_pi.matter.model.cluster_server import ClusterServer

LOOK_S = 10.0
"""How soon subscribers hear of a change: a cable, an address, a clock. A read brings the present value at once."""


class Watch:
    """Looks at computed attributes of one server, and reports those that read otherwise than the time before."""

    def __init__(self, server: ClusterServer, *keys: str) -> None:
        self._server = server
        self._keys = keys
        self._seen: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Note what is there now, and look again from time to time."""
        self._seen = self._values()
        self._again()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Report what reads otherwise now."""
        values = self._values()
        changed = [key for key in self._keys if values[key] != self._seen[key]]
        self._seen = values
        if changed:
            self._server.changed(*changed)

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._due)

    def _due(self) -> None:
        self._again()
        self.look()

    def _values(self) -> dict[str, Any]:
        guard = self._server.schema_guard
        return {key: self._server.value(guard.attribute(key)) for key in self._keys}
