"""The real safety process, and users of the machine who are not its node process but want the contactor."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from boards.loader import load_board
from evse_pi.charging.clock import SystemClock
from evse_pi.clearance import make_clearance
from evse_pi.core.faults import Fault
from evse_pi.core.records import Demand, Request, encode_demand
from evse_pi.core.states import EvseState, LimitSource
from evse_pi.installation.files import SIMULATED_INSTALLATION, write_installation
from evse_pi.installation.seal import make_key
from evse_pi.node_run import NodeRun, stamped
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET
from evse_pi.sim.harness.process_box import ProcessBox
from hal.units import SECOND, Milliamps
from tests.support.emulation import CACHE
from tests.support.other_user import PEOPLE, PERSON, PROCESSES, STRANGER, as_user, lay_out, open_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOARD = load_board("simulated")
START_S = 60
ALL = Request.CLEAR_USER | Request.CLEAR_INSTALLER | Request.SELF_TEST
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")


@pytest.fixture
def box() -> Iterator[ProcessBox]:
    """A box of root's processes in a run directory as on an installed box; its owner has said stop."""
    with open_folder() as folder:
        lay_out(folder, {"evse-safety": 0, "evse-node": 0})
        with ProcessBox(folder, CACHE, BOARD) as box:
            box.permitted = False
            box.start_safety("--node-user", "root")
            box.wait_for_snapshot(lambda now: now.evse_state is EvseState.A, START_S, "state A")
            for name in (SAFETY_SOCKET, NODE_SOCKET):
                os.chown(folder / name, -1, PEOPLE)  # Group= of both units
            yield box


def asking(box: ProcessBox) -> None:
    """Plug in a vehicle that wants to be charged."""
    box.do("plug_in", cable_ma=32_000)
    box.do("close_s2")
    box.wait_for_snapshot(lambda now: now.evse_state in (EvseState.B1, EvseState.C1), 10)


def demands(address: Path, within_s: float, run: int) -> Callable[[], tuple[int, set[str]]]:
    """Return a case that sends permissions and clears, and tells how many were taken, and why the others were not."""

    def attack() -> tuple[int, set[str]]:
        sent, refused, number = 0, set(), 1 << 20
        deadline = time.monotonic() + within_s
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as hand:
            while time.monotonic() < deadline:
                number += 1
                now_ns = time.monotonic_ns()
                demand = Demand(
                    number, True, Milliamps(32_000), LimitSource.OWNER, now_ns + 15 * SECOND, None, None, ALL, number
                )
                try:
                    hand.sendto(stamped(run, number, encode_demand(demand)), str(address))
                    sent += 1
                except OSError as error:
                    refused.add(type(error).__name__)
                time.sleep(0.002)
        return sent, refused

    return attack


def closings(box: ProcessBox, since_ns: int) -> int:
    return sum(value > 0 for _, _, value in box.changes(since_ns, "poles"))


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize(("uid", "groups"), [(PERSON, (PEOPLE,)), (STRANGER, ())])
def test_only_the_node_reaches_the_link(box: ProcessBox, uid: int, groups: tuple[int, ...]) -> None:
    asking(box)
    since_ns = time.monotonic_ns()
    sent, refused = as_user(uid, demands(box.folder / SAFETY_SOCKET, 2.0, box.run.run), groups)
    assert (sent, refused) == (0, {"PermissionError"})
    box.wait_for_snapshot(lambda now: True, 5)
    assert closings(box, since_ns) == 0


@pytest.mark.hazard("H-14")
def test_demands_of_another_user_count_for_nothing_though_every_door_stands_open(box: ProcessBox) -> None:
    asking(box)
    box.do("trip_rcd")
    box.wait_for_snapshot(lambda now: Fault.RCD_TRIPPED in now.faults, 5)
    (box.folder / "safety").chmod(0o755)
    (box.folder / SAFETY_SOCKET).chmod(0o666)
    since_ns = time.monotonic_ns()
    sent, _ = as_user(PERSON, demands(box.folder / SAFETY_SOCKET, 3.0, box.run.run), (PEOPLE, PROCESSES))
    assert sent > 100
    now = box.wait_for_snapshot(lambda now: now.at_ns > since_ns + 3 * SECOND, 5)
    assert Fault.RCD_TRIPPED in now.faults
    assert not now.permitted
    assert closings(box, since_ns) == 0


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize(
    "name", [SAFETY_SOCKET, NODE_SOCKET, "control.sock", "black-box", "safety/former-faults", "new"]
)
def test_no_other_user_puts_a_file_where_the_processes_look(name: str) -> None:
    with open_folder() as folder:
        lay_out(folder, {"evse-safety": STRANGER + 10, "evse-node": STRANGER + 11})

        def squat() -> set[str]:
            outcomes = set()
            for act in (
                lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(str(folder / name)),
                lambda: (folder / name).symlink_to("/etc/passwd"),
                lambda: (folder / name).write_bytes(b"\0" * 8),
                lambda: (folder / name).parent.rename(folder / "away"),
                lambda: (folder / name).unlink(),
            ):
                try:
                    act()
                except OSError as error:
                    outcomes.add(type(error).__name__)
                else:
                    outcomes.add("done")
            return outcomes

        for uid, groups in ((PERSON, (PEOPLE,)), (STRANGER, ())):
            outcomes = as_user(uid, squat, groups)
            assert "done" not in outcomes, outcomes


@pytest.mark.hazard("H-03")
def test_a_captured_node_clears_nothing_for_which_it_has_no_proof() -> None:
    with open_folder() as folder:
        lay_out(folder, {"evse-safety": 0, "evse-node": 0})
        with ProcessBox(folder, CACHE, BOARD) as box:
            key = make_key(folder)
            write_installation(box.installation, SIMULATED_INSTALLATION, key)
            box.start_safety()
            box.wait_for_snapshot(lambda now: now.evse_state is EvseState.A, START_S, "state A")
            box.do("weld")
            box.wait_for_snapshot(lambda now: Fault.CONTACTOR_WELDED in now.faults, 10, "weld seen")
            box.do("repair")
            clock = SystemClock()
            right = make_clearance(key, clock.kernel_boot_id, time.monotonic_ns())
            wrong = make_clearance(bytes(32), clock.kernel_boot_id, time.monotonic_ns())
            early = make_clearance(key, clock.kernel_boot_id, time.monotonic_ns() + 60 * SECOND)
            for proof in (None, wrong, early):
                box.clearance = proof
                box.order(ALL)
                heard = box.wait_for_snapshot(lambda now: now.request_number == box.request_number, 5)
                assert Fault.CONTACTOR_WELDED in heard.faults
            box.clearance = right
            box.order(ALL)
            box.wait_for_snapshot(lambda now: Fault.CONTACTOR_WELDED not in now.faults, 5, "clear")


@pytest.mark.hazard("H-10")
def test_two_old_demands_that_are_repeated_renew_no_permission(box: ProcessBox) -> None:
    kept: list[bytes] = []
    send = box.link.send
    box.link.send = lambda datagram: kept.append(datagram) is None and send(datagram)  # type: ignore[func-returns-value, method-assign]
    box.permitted, box.lease_ns = True, 3_600 * SECOND
    box.renew()
    box.renew()
    box.wait_for_snapshot(lambda now: now.permitted, 5, "permission")
    box.node_is_gone = True
    gone_ns = time.monotonic_ns()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as hand:

        def refused() -> bool:
            with suppress(BlockingIOError):  # it is read once in a tick, and the socket is full until then
                for datagram in kept[-2:]:
                    hand.sendto(datagram, str(box.folder / SAFETY_SOCKET))
            return box.snapshots[-1].at_ns > gone_ns + 14 * SECOND and not box.snapshots[-1].permitted

        box.wait_for(refused, 20, "the end of the lease")
    box.node_is_gone = False
    box.run = NodeRun()  # the node process begins again
    box.wait_for_snapshot(lambda now: now.permitted, 5, "permission of the next run")
