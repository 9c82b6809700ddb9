"""The composition root of the safety process: board, installer's limits, drivers, link, loop."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from boards.build_safety import build_safety
from boards.loader import BoardError, choose_board
from evse_pi.clearance import ProvenDemands, kernel_boot_id
from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.installation_limits import Installation
from evse_pi.core.machine_settings import MachineSettings
from evse_pi.installation.files import CALIBRATION_FILE, INSTALLATION, ConfigError, ratings, read_proven
from evse_pi.installation.seal import KEY_FILE, SealError, read_key
from evse_pi.installation.service_manager import ServiceManager
from evse_pi.link import FOLDER_MODE, LinkError, uid_of
from evse_pi.paths import NODE_SOCKET, REFUSAL_FILE, RING_FILE, SAFETY_SOCKET, SYSTEM_RUN, SYSTEM_SAFETY_STATE
from evse_pi.safety.fault_memory import FaultMemory
from evse_pi.safety.loop import LoopSettings, SafetyLoop
from evse_pi.safety.loop_interfaces import Installed
from evse_pi.safety.node_link import NodeLink
from evse_pi.safety.process_services import SystemServices, sleep_until
from evse_pi.safety.realtime import prefer_this_process, shrink_thread_stacks
from evse_pi.safety.recorder import BlackBoxWriter, RingMemory
from evse_pi.safety.startup import when_devices_are_there
from hal.errors import HalError
from hal.kernel import read_output_persistence
from hal.units import Milliamps

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from boards.spec import BoardSpec
    from evse_pi.recorder.histogram import Histogram


MEMORY_FILE = "safety/former-faults"
KEPT_FILE = "former-faults"
NO_INSTALLATION = Installation(circuit_capacity_ma=Milliamps(6_000), phases=1, country="XX")
"""What the machine runs on while the installer's file cannot be used; Fault.INSTALLATION_INVALID keeps it open."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the safety process until it is asked to stop, and return its exit status."""
    arguments = _parse(argv)
    try:
        board = choose_board(arguments.board)
        if board.bench_only:
            _say(f"board {board.name} is for the bench only: {board.bench_only}")
        with ExitStack() as resources:
            return _serve(board, arguments, resources)
    except BoardError as error:
        _refuse(arguments.run_dir, str(error))
        return os.EX_CONFIG
    except (HalError, LinkError, ImportError) as error:
        _refuse(arguments.run_dir, str(error))
        return os.EX_UNAVAILABLE


def _serve(board: BoardSpec, arguments: argparse.Namespace, resources: ExitStack) -> int:
    """Put the process together, run the loop, and take everything apart again, the contactor first."""
    run_dir, installation = arguments.run_dir, arguments.installation
    shrink_thread_stacks()
    memory = _memory(run_dir / MEMORY_FILE, arguments.safety_state_dir / KEPT_FILE)
    resources.callback(memory.close)
    hardware = when_devices_are_there(lambda: build_safety(board), partial(_refuse, run_dir))
    resources.callback(hardware.close)
    node_uid = uid_of(arguments.node_user)
    demands = ProvenDemands(kernel_boot_id(), time.monotonic_ns, one_user=node_uid == os.geteuid())
    link = NodeLink(run_dir / SAFETY_SOCKET, run_dir / NODE_SOCKET, demands.decode, node_uid)
    resources.callback(link.close)
    installed = _installed(board, installation, demands)
    settings = LoopSettings(
        machine=installed.machine if installed else MachineSettings(ratings(board), NO_INSTALLATION),
        pilot_scale=installed.pilot_scale if installed else board.pilot_adc.scale,
        safety_run_id=int.from_bytes(os.urandom(4), "little"),
        alarms=_persistence() | (NO_FAULTS if installed else {Fault.INSTALLATION_INVALID}),
        former=memory.former,
        powered_up=memory.first_of_boot,
    )
    manager = ServiceManager(os.environ.get("NOTIFY_SOCKET"))
    resources.callback(manager.close)
    files = [installation.with_name(name) for name in (installation.name, CALIBRATION_FILE, KEY_FILE)]
    services = SystemServices(manager, memory, lambda: _installed(board, installation, demands), files)
    black_box = _black_box(run_dir, settings, resources)
    loop = SafetyLoop(hardware, link, settings, time.monotonic_ns, services, black_box)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.request_stop())
    for refusal in prefer_this_process(arguments.cpu):
        _say(refusal)
    with suppress(OSError):
        (run_dir / REFUSAL_FILE).unlink(missing_ok=True)
    gc.collect()
    gc.freeze()
    gc.disable()
    return _run(loop, services)


def _memory(run: Path, disk: Path) -> FaultMemory:
    """Return the fault memory, which is also what keeps a second safety process out. Raises: HalError."""
    try:
        run.parent.mkdir(FOLDER_MODE, exist_ok=True)
        return FaultMemory(run, disk, _say)
    except BlockingIOError as error:
        raise HalError(f"another safety process runs here: it holds {run}") from error
    except OSError as error:
        raise HalError(f"no fault memory: {error}") from error


def _black_box(run_dir: Path, settings: LoopSettings, resources: ExitStack) -> BlackBoxWriter | None:
    """Return where the ticks are kept; a box without one is as safe, but its faults leave less behind."""
    try:
        ring = RingMemory(run_dir / RING_FILE)
        resources.callback(ring.close)
        former = ring.read()
    except OSError as error:
        _say(f"no black box: {error}")
        return None
    black_box = BlackBoxWriter(
        former,
        ring.write,
        safety_run_id=settings.safety_run_id,
        scale=settings.pilot_scale,
        board=settings.machine.board,
        started_ns=time.monotonic_ns(),
    )
    resources.callback(black_box.end)
    return black_box


def _run(loop: SafetyLoop, services: SystemServices) -> int:
    status = 0
    try:
        loop.run(sleep_until)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        traceback.print_exception(end.__cause__)
    timing = loop.timing
    _say(
        f"ends with status {status} after {timing.lateness.total} ticks; "
        f"lateness {_figures(timing.lateness)}; window {_figures(timing.window)}; "
        f"reaction {_figures(timing.reaction)}; collector {_figures(services.pauses)}"
    )
    return status


def _installed(board: BoardSpec, path: Path, demands: ProvenDemands) -> Installed | None:
    """Return what the installer's files say, None when one of them cannot be trusted; orders are judged by their key.

    A key that cannot be read proves nothing, and nothing is taken without proof.
    """
    demands.use(None, set_up=True)
    with suppress(OSError, SealError):
        key = read_key(path.parent)
        demands.use(key, set_up=key is not None)
    try:
        return Installed(*read_proven(path, board))
    except ConfigError as error:
        _say(str(error))
        return None


def _persistence() -> frozenset[Fault]:
    """Return the alarm of a kernel that would keep the contactor closed after this process died. Hazard: H-08."""
    persistence = read_output_persistence()
    if persistence.released:
        return NO_FAULTS
    _say(f"the contactor stays open: {persistence.detail}")
    return frozenset((Fault.OUTPUTS_PERSIST,))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments, and let go of the parser and what it alone loads: the next modules take its 0.9 MB."""
    if argv is not None:
        return _arguments().parse_args(argv)
    arguments = _arguments().parse_args()
    for name in ("argparse", "gettext", "locale", "shutil", "bz2", "lzma"):
        sys.modules.pop(name, None)
    gc.collect()
    return arguments


def _arguments() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(prog="evse-pi-safety", description="The safety process of an evse-pi wallbox.")
    parser.add_argument("--board", required=True, help="name of the board file")
    parser.add_argument("--installation", type=Path, default=INSTALLATION, help="the installer's file (%(default)s)")
    parser.add_argument("--run-dir", type=Path, default=SYSTEM_RUN, help="folder of the sockets (%(default)s)")
    parser.add_argument(
        "--node-user", help="user of the node process, the only one whose demands count; else this one's"
    )
    parser.add_argument(
        "--safety-state-dir", type=Path, default=SYSTEM_SAFETY_STATE, help="folder of the fault memory (%(default)s)"
    )
    parser.add_argument("--cpu", type=int, action="append", default=[], help="run on this CPU only; may be repeated")
    return parser


def _figures(histogram: Histogram) -> str:
    """Return p50/p99/p99.9/max in microseconds."""
    quantiles = [histogram.quantile_ns(per_mille) for per_mille in (500, 990, 999)]
    return "/".join(str(ns // 1000) for ns in (*quantiles, histogram.largest_ns)) + " us"


def _refuse(run_dir: Path, text: str) -> None:
    """Say why this process does not start, or not yet, also in the file that the node process reports."""
    _say(text)
    with suppress(OSError):
        (run_dir / REFUSAL_FILE).parent.mkdir(FOLDER_MODE, exist_ok=True)
        (run_dir / REFUSAL_FILE).write_text(text)


def _say(text: str) -> None:
    with suppress(OSError):  # the reader is gone
        print(f"evse-pi-safety: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
