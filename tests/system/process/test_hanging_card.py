"""A card that does not answer: the real node, a Matter device, keeps its lease and says what is not stored.

An SD card that collects its garbage, or dies, lets fsync wait for tens of seconds, and with it whatever needs the card:
a name that is looked up, a file that is opened.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.client import BoxError, BoxNotRunning, call
from evse_pi.charging.clock import SystemClock
from evse_pi.charging.demand_arbiter import OWNER_DEFAULT
from evse_pi.charging.settings import ChargingSettings, settings_row
from evse_pi.charging.startup_state import owner_row
from evse_pi.charging.targets import DaySchedule, Target
from evse_pi.installation.files import SIMULATED_INSTALLATION, write_installation
from evse_pi.installer.pin import Pin
from evse_pi.storage.database import Store
from hal.units import SECOND, MilliwattHours
from tests.support.node_process import NodeProcess
from tests.support.web_box import HOST, PIN, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


SOURCE = Path(__file__).parents[2] / "support" / "hanging_card.c"
PORT = 5795
HUNG_S = 20.0  # longer than the 15 s that a lease lasts, as a card that collects its garbage
LONGEST_GAP_S = 2.1
"""A node renews its demand every 2 s, docs/adr/0004-demand-lease.md, and a tenth of a second is ample for its work.
What the node's threads waited for a processor while they could run is not counted: see `starved_s` below."""
COMMANDS = (
    "status",
    "why",
    "version",
    "limits",
    "counters",
    "commission",
    "faults",
    "sessions",
    "recordings",
    "reload",
)
"""What a person may ask meanwhile; the last four are answered from the card, and so not at all."""


class NodeOnHangingCard(NodeProcess):
    """A real node, a Matter device, on a card that can hang."""

    def __init__(self, folder: Path, library: Path) -> None:
        run_dir = folder / "run"
        run_dir.mkdir()
        self.flag = run_dir / "hang"
        self.starved: list[tuple[float, float]] = []
        write_installation(folder / "installation.toml", SIMULATED_INSTALLATION)
        Pin(folder, SystemClock()).choose(PIN)
        keep_target(folder)
        self.web_port = free_port(socket.SOCK_STREAM)
        card = {"LD_PRELOAD": str(library), "HANGING_CARD": str(self.flag), "SPARED_FOLDER": str(run_dir)}
        matter = ["--port", str(PORT), "--interface", "lo"]
        matter += ["--web-port", str(self.web_port), "--web-address", HOST]
        super().__init__(folder, *matter, run_dir=run_dir, environment=card)

    def start(self) -> None:
        super().start()
        self.until(lambda: self.asked("commission", action="SHOW").get("running"))
        self.until(lambda: (self.asked("status").get("web") or {}).get("serving"))

    def asked(self, command: str, **fields: Any) -> dict[str, Any]:
        """Return the answer to a command, empty if there is none."""
        with suppress(BoxError, BoxNotRunning, OSError):
            answer: dict[str, Any] = call(self.run_dir / "control.sock", command, **fields)
            return answer
        return {}

    def page(self, path: str) -> str:
        """Return a page, empty where it does not come."""
        connection = http.client.HTTPConnection(HOST, self.web_port, timeout=HUNG_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()

    def speak(self) -> None:
        self.starved.append((time.monotonic(), self._starved_s()))
        super().speak()

    def _starved_s(self) -> float:
        """Return how long the node's threads together were ready to run and waited for a processor."""
        waited_ns = 0
        for thread in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has ended
                waited_ns += int(thread.read_text().split()[1])  # time on a run queue, kernel: sched-stats.rst
        return waited_ns / SECOND

    def starved_s(self, since_s: float, until_s: float) -> float:
        """Return how much of a time a busy machine took from the node: it tells one from a node that waits."""
        before = [waited_s for at_s, waited_s in self.starved if at_s <= since_s][-1:] or [self.starved[0][1]]
        after = next((waited_s for at_s, waited_s in self.starved if at_s >= until_s), self.starved[-1][1])
        return after - before[0]

    def longest_gap_s(self, since_s: float) -> float:
        """Return the longest time without a demand, without what the machine took, and print it."""
        gaps = list(pairwise([since_s, *self.made_s()]))
        begin_s, end_s = max(gaps, key=lambda gap: gap[1] - gap[0])
        longest_s = max(end - begin - self.starved_s(begin, end) for begin, end in gaps)
        sys.stdout.write(
            f"longest time without a demand on a card that hangs for {HUNG_S:.0f} s: {end_s - begin_s:.3f} s, of which "
            f"{self.starved_s(begin_s, end_s):.3f} s without a processor; longest without that {longest_s:.3f} s\n"
        )
        return longest_s

    def hang(self) -> float:
        """Let no sync return from now on, and forget the demands until now; return when that was."""
        self.flag.write_text("")
        self.demands.clear()
        return time.monotonic()

    def end(self) -> None:
        self.flag.unlink(missing_ok=True)
        super().end()


def keep_target(folder: Path) -> None:
    """Store what a controller set before: more by the next hour than any supply gives, each day.

    The planner asks for the zone of the place whenever it plans, and tells people that the target cannot be reached.
    """
    soon = datetime.now(SystemClock().zone) + timedelta(hours=1)
    target = Target(soon.hour * 60 + soon.minute, None, MilliwattHours(90_000_000))
    store = Store(folder / "evse.db")
    store.write([settings_row(ChargingSettings(targets=(DaySchedule(0x7F, (target,)),))), owner_row(OWNER_DEFAULT)])
    store.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[NodeOnHangingCard]:
    library = tmp_path / "hanging_card.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    made = NodeOnHangingCard(tmp_path, library)
    try:
        yield made
    finally:
        made.end()


PIN_PAGES = {"/pin": 'name="pin"', "/codes": "Enter the PIN"}
"""Pages that say otherwise where there is no PIN file, and what they have where there is one."""
QUESTIONS = {"commission": {"action": "SHOW"}}


def warnings(box: NodeOnHangingCard) -> str:
    return " ".join(notice["text"] for notice in box.asked("status").get("notices", []))


@pytest.mark.hazard("H-18")
@pytest.mark.hazard("H-10")
def test_a_card_that_hangs_ends_no_lease_and_no_word_is_called_stored_that_is_not(box: NodeOnHangingCard) -> None:
    assert box.asked("set", limit_ma=16_000, permitted=True)["stored"] is True
    box.until(lambda: len(box.demands) >= 2)
    hung_s = box.hang()
    box.safety.become("B")
    with ThreadPoolExecutor() as people:
        answers = {command: people.submit(box.asked, command, **QUESTIONS.get(command, {})) for command in COMMANDS}
        pages = {path: people.submit(box.page, path) for path in PIN_PAGES}
        box.until(lambda: "cannot be reached in time" in warnings(box))
        box.until(lambda: box.demands and box.made_s()[-1] - hung_s >= HUNG_S)
        assert [path for path, page in pages.items() if PIN_PAGES[path] not in page.result()] == []
        assert [command for command, answer in answers.items() if not answer.result()] == list(COMMANDS[-4:])
    assert box.longest_gap_s(hung_s) <= LONGEST_GAP_S
    assert "the disk has not answered" in warnings(box)

    stopped = box.asked("stop")
    assert (stopped["stored"], "has not answered" in stopped["not_stored_because"]) == (False, True)
    box.until(lambda: box.demands and not box.demands[-1].permitted)

    box.flag.unlink()
    box.until(lambda: box.asked("set", limit_ma=10_000, permitted=False)["stored"])
    box.until(lambda: "not answered" not in warnings(box))
    box.kill()
    box.start()
    assert box.asked("status")["owner"] == {"permitted": False, "limit_ma": 10_000}
    assert [session["number"] for session in box.ask("sessions")] == [1]
