"""A whole box of real processes whose power can be cut: the simulated plant stays, everything else dies at once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boards.loader import load_board
from evse_pi.charging.clock import SystemClock
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.installer.box_settings import BoxSettings, Who
from evse_pi.paths import DEVICE_TREE
from evse_pi.sim.board_wiring import simulator_settings
from evse_pi.sim.process import SimulatorProcess

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
BOOT_ID = "/proc/sys/kernel/random/boot_id"
PASSCODE = 20202021
POLL_S = 0.03
ANSWER_WITHIN_S = 12.0
PAGE = 4096
INSTALLER = Who("test", "root")
SIGNALS = ("duty_ppm", "coil", "poles", "s2", "plugged")


class RefusalError(Exception):
    """The box refused a request, with its own words."""


class CutBox:
    """Starts both processes, cuts their power, and asks them what they know. One folder, one simulator."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.state_dir, self.run_dir = folder / "state", folder / "run"
        self.board = load_board("simulated")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.lives = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.box_settings = BoxSettings(folder / "etc", SystemClock())
        self.box_settings.set_up(self.board, SIMULATED_INSTALLATION, INSTALLER)
        self.simulator = SimulatorProcess(
            folder / "sim", ROOT / "build" / "sim", simulator_settings(self.board), os.environ, fifo=60
        )
        self.plant = self.simulator.client()
        safety_run_id = self.simulator.folder / DEVICE_TREE / BOOT_ID.removeprefix("/")
        safety_run_id.parent.mkdir(parents=True, exist_ok=True)
        self._safety_run_id = safety_run_id
        redirected = f"{self.simulator.environment['EVSE_SIM_REDIRECT']}:{BOOT_ID}"
        self.environment = {**self.simulator.environment, "EVSE_SIM_REDIRECT": redirected}

    # Power.

    def start(self) -> int:
        """Let the power return, start both processes, and return when that was."""
        self.lives += 1
        self._safety_run_id.write_text(f"{uuid.uuid4()}\n")
        shutil.rmtree(self.run_dir, ignore_errors=True)  # it is in memory
        self.run_dir.mkdir(parents=True)
        self.plant.verb("lose_phase", on=False)
        at_ns = self.plant.verb("kill_pwm_stage", stuck_duty_ppm=None)
        shared = ["--board", "simulated", "--run-dir", str(self.run_dir)]
        shared += ["--installation", str(self.box_settings.installation_file)]
        matter = ["--state-dir", str(self.state_dir), f"--port={self.port}", f"--passcode={PASSCODE}"]
        matter += ["--discriminator=77", "--interface=none", "--no-web"]
        self._run("safety", ["-m", "evse_pi.safety", *shared, "--safety-state-dir", str(self.folder / "safety-state")])
        self._run("node", ["-m", "evse_pi.node", *shared, *matter])
        return at_ns

    def cut(self) -> int:
        """Cut the power and return when that was; the reset of the machine leaves the pilot at −12 V."""
        self.kill()
        at_ns = self.plant.verb("kill_pwm_stage", stuck_duty_ppm=0)
        self.plant.verb("lose_phase", on=True)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()
        safe_off = [sys.executable, "-m", "evse_pi.safety.safe_off", "--board", "simulated"]
        subprocess.run(safe_off, env=self.environment, cwd=self.folder, check=True)
        return at_ns

    def kill(self) -> None:
        """Kill both processes, as the first instant of a cut."""
        for process in self.processes.values():
            process.kill()

    def close(self) -> None:
        """End everything."""
        self.kill()
        for process in self.processes.values():
            process.wait()
        with suppress(OSError):
            self.plant.close()
        self.simulator.stop()

    def _run(self, name: str, arguments: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            log.write(f"--- life {self.lives}\n".encode())
            log.flush()
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, stderr=log, stdout=log, cwd=self.folder
            )

    # The card.

    @property
    def database(self) -> Path:
        return self.state_dir / "evse.db"

    def forget_shared_memory(self, rng: random.Random) -> None:
        """Leave of SQLite's index of the log what a power cut leaves, which is anything: it is never synced."""
        index = self.database.with_name("evse.db-shm")
        if index.exists() and rng.random() < 0.7:
            if rng.random() < 0.5:
                index.unlink()
            else:
                index.write_bytes(rng.randbytes(index.stat().st_size))

    def keep_aside(self) -> Path:
        """Return a copy of everything that is stored, to go back to."""
        copy = self.folder / "intact"
        shutil.rmtree(copy, ignore_errors=True)
        for name in ("state", "etc"):
            shutil.copytree(self.folder / name, copy / name)
        return copy

    def go_back(self, copy: Path) -> None:
        """Have everything stored as it was when the copy was made."""
        for name in ("state", "etc"):
            shutil.rmtree(self.folder / name)
            shutil.copytree(copy / name, self.folder / name)

    def tear(self, rng: random.Random) -> str:
        """Spoil the end of what is stored, as a card does that had confirmed what it had not written."""
        log = self.database.with_name("evse.db-wal")
        self.database.with_name("evse.db-shm").unlink(missing_ok=True)
        size = log.stat().st_size if log.exists() else 0
        frame = PAGE + 24
        ways: dict[str, Callable[[], None]] = {
            "page of the database garbled": lambda: _spoil(self.database, PAGE, rng),
            "page of the database missing": lambda: _shorten(self.database, PAGE),
            "installer's file cut off": lambda: _shorten(self.box_settings.installation_file, rng.randrange(1, 200)),
        }
        if size > frame:
            ways |= {
                "frame of the log garbled": lambda: _spoil(log, frame, rng),
                "frames of the log garbled": lambda: _spoil(log, min(4 * frame, size), rng),
                "log cut off in a frame": lambda: _shorten(log, rng.randrange(1, frame)),
                "log cut off anywhere": lambda: _shorten(log, rng.randrange(1, size)),
                "log gone": log.unlink,
            }
        way = rng.choice(sorted(ways))
        ways[way]()
        return way

    # What it says.

    async def ask(self, command: str, **fields: Any) -> Any:
        """Return the answer to one request. Raises: RefusalError, OSError while no server listens."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(str(self.run_dir / "control.sock"), limit=1 << 20)
            try:
                writer.write(json.dumps({"command": command, **fields}).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
        if not line.endswith(b"\n"):
            raise ConnectionResetError(f"no answer to {command}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise RefusalError(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    async def until(self, holds: Callable[[dict[str, Any]], bool], within_s: float, what: str) -> dict[str, Any]:
        """Return the first status for which `holds` is true. Raises: TimeoutError with what is known."""
        deadline = time.monotonic() + within_s
        now: dict[str, Any] | None = None
        while time.monotonic() < deadline:
            with suppress(OSError, RefusalError):
                now = await self.ask("status")
                if holds(now):
                    return now
            await asyncio.sleep(POLL_S)
        logs = "\n".join((self.folder / f"{name}.log").read_text(errors="replace")[-1500:] for name in self.processes)
        raise TimeoutError(f"{what} not within {within_s} s; status {now}\n{logs}")

    def changes(self, since_ns: int) -> list[tuple[int, str, int]]:
        """Return what changed in the plant after an instant."""
        answer = self.plant.call("history", since_ns=since_ns, signals=SIGNALS)
        return [(at_ns, name, value) for at_ns, name, value in answer["changes"]]


def _spoil(path: Path, octets: int, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-octets] + rng.randbytes(octets))


def _shorten(path: Path, octets: int) -> None:
    size = path.stat().st_size
    os.truncate(path, max(size - octets, 0))
