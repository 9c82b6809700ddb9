"""The simulated plant as the node reaches it; on a real box there is none."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_LINE = 1 << 16


class SimulatorControl:
    """A client of the simulator's control socket: one JSON line asks, one answers, over a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def verb(self, verb: str, **args: Any) -> None:
        """Let a verb happen to car or plant.

        Raises: OSError when no simulator answers, ValueError with its words when it refuses.
        """
        await self._call({"do": "verb", "verb": verb, "args": args})

    async def state(self) -> dict[str, Any]:
        """Return the plant's present state. Raises: as `verb`."""
        return dict((await self._call({"do": "state"}))["state"])

    async def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST_LINE)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        if not line:
            raise ConnectionResetError(f"the simulator at {self._path} hung up")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ValueError(answer["error"])
        return answer
