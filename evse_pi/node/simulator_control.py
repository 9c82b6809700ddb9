"""The simulated plant as the node reaches it; on a real box there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.api.client import call_async

if TYPE_CHECKING:
    from pathlib import Path


class SimulatorControl:
    """Asks the simulator's control socket, over a connection of its own for each request."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def verb(self, verb: str, **args: Any) -> None:
        """Let a verb happen to car or plant.

        Raises: BoxError when no simulator answers, and with its words when it refuses.
        """
        await call_async(self._path, "verb", verb=verb, args=args)

    async def state(self) -> dict[str, Any]:
        """Return the plant's present state. Raises: as `verb`."""
        return dict((await call_async(self._path, "state"))["state"])
