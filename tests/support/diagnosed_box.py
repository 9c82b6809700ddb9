"""A whole box under virtual time with the technician's side of its node: world, node box, ring, diagnosis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from boards.loader import load_board
from evse_pi.api.status import Board, Notice, NoticeKind
from evse_pi.api.texts.trouble_texts import clock_trouble
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.startup_state import StartupState
from evse_pi.charging.wall_clock import WallClockWatch
from evse_pi.diagnostics.explanation import why
from evse_pi.installation.files import ratings
from evse_pi.node.box_status import NodeStatus, status
from evse_pi.node.diagnosis_commands import Diagnosis
from evse_pi.recorder.archive import RecordingArchive
from evse_pi.recorder.reader import Ring
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.harness.virtual_clock import UNIX_S
from hal.units import MILLISECOND, SECOND
from tests.support.node_box import HandWriter

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.api.status import Status
    from evse_pi.api.why import Why

LOOK_NS = 100 * MILLISECOND


class DirectStorage:
    """Calls at once what a node calls on its storage thread."""

    async def call(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


class DiagnosedBox:
    """A world whose snapshots reach a node box and its diagnosis; `why` is what a technician would be told."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        board = settings.pop("board", None) or load_board("simulated")
        self.world = VirtualBox(VirtualBoxSettings(board, records=True, **settings))
        self.clock = self.world.clock
        self.calendar = WallClockWatch(self.clock, UNIX_S)
        self.box = ChargePoint(
            self.clock, ratings(board), self.world.settings.installation, StartupState(), HandWriter()
        )
        self.archive = RecordingArchive(folder)
        ring = Ring(lambda: memoryview(self.world.black_box))
        self.diagnosis = Diagnosis(board, self.box, ring, self.archive, None)
        self._heard = 0
        self._looked_ns = 0
        self.world.watchers.append(self._follow)

    def _follow(self) -> None:
        node, now_ns = self.world.node, self.world.clock.now_ns
        for snapshot in node.snapshots[self._heard :]:
            self.box.on_snapshot(snapshot)
            self.diagnosis.on_snapshot(snapshot)
        self._heard = len(node.snapshots)
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            self.diagnosis.tick()

    def do(self, verb: str, **arguments: Any) -> None:
        self.world.do(verb, **arguments)

    def wait(self, seconds: float) -> None:
        self.world.wait(int(seconds * SECOND))

    def ready(self) -> DiagnosedBox:
        """Let the box start and test itself."""
        self.wait(8)
        return self

    def charging(self, seconds: float = 1) -> DiagnosedBox:
        """Let a vehicle come and charge for so long."""
        self.ready()
        self.do("plug_in", cable_ma=32_000)
        self.do("auto")
        self.world.wait_for(lambda: self.world.energised, 12 * SECOND)
        self.wait(seconds)
        return self

    def save(self) -> None:
        """Write the recordings that wait."""
        asyncio.run(self.diagnosis.keep(DirectStorage()))  # type: ignore[arg-type]

    def status(self, **beside: Any) -> Status:
        trouble = self.calendar.trouble
        clock = () if trouble is None else (Notice(NoticeKind.CLOCK, clock_trouble(trouble)),)
        own = NodeStatus(Board("simulated", "a board"), "0", self.box.owner.permitted)
        beside = {"notices": (*self.diagnosis.notices, *clock), **beside}
        return status(self.box, own._replace(**beside))

    def why(self, **extras: Any) -> Why:
        return why(self.status(**extras))
