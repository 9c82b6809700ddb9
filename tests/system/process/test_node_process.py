"""The node process as systemd sees it: started, asked, killed, started again; here without any device on its buses."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.core.faults import Fault
from evse_pi.paths import NODE_SOCKET
from tests.support.node_process import NodeProcess, node_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EX_UNAVAILABLE = 69
EX_CONFIG = 78


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path)
    try:
        node.ask("version")
        yield node
    finally:
        node.end()


def test_a_second_node_leaves_the_first_alone(node: NodeProcess) -> None:
    second = subprocess.run(node_command(node.folder), capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == EX_UNAVAILABLE
    assert "another node process keeps this state directory" in second.stderr
    assert node.ask("version")


def test_an_unknown_board_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        node_command(tmp_path, board="nothing"), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == EX_CONFIG
    assert "nothing" in done.stderr


def test_dead_buses_are_shown_and_stop_nothing(node: NodeProcess) -> None:
    def meters(status: dict[str, Any]) -> list[str]:
        told = [notice["text"] for notice in status["notices"]]
        return [text for text in told if text.startswith("meter: ")]

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not meters(status := node.ask("status")):
        time.sleep(0.05)
    assert meters(status)
    assert {device["device"] for device in status["devices"] if device["trouble"]} >= {"meter"}


@pytest.mark.hazard("H-18")
def test_a_killed_node_comes_back_with_what_it_had_acknowledged(node: NodeProcess) -> None:
    for limit_ma in range(6_000, 9_000, 1_000):
        answer = node.ask("set", limit_ma=limit_ma, permitted=False)
        assert answer["stored"] is True
        node.kill()
        node.start()
        assert node.ask("status")["owner"] == {"permitted": False, "limit_ma": limit_ma}


@pytest.mark.hazard("H-18")
def test_the_fortieth_order_of_a_minute_is_stored_like_the_first(node: NodeProcess) -> None:
    for number in range(40):
        answer = node.ask("set", limit_ma=6_000 + 100 * number, permitted=number % 2 == 0)
        assert answer["stored"] is True, answer
    node.kill()
    node.start()
    assert node.ask("status")["owner"] == {"permitted": False, "limit_ma": 9_900}


@pytest.mark.hazard("H-10")
def test_a_node_that_hangs_renews_no_lease_and_goes_on_when_it_may(node: NodeProcess) -> None:
    node.ask("stop")  # renews at once, once the first demand has gone out
    assert node.hear(15) is not None
    node.process.send_signal(signal.SIGSTOP)
    node.link.receive()
    assert node.hear(3) is None
    node.process.send_signal(signal.SIGCONT)
    demand = node.hear(5)
    assert demand is not None
    assert demand.valid_until_ns > time.monotonic_ns()


def test_a_session_goes_on_over_a_kill_and_no_transition_counts_twice(node: NodeProcess) -> None:
    safety = node.safety
    safety.become("B")
    node.tell(safety.become("C"))
    while node.ask("status")["session"] is None:
        time.sleep(0.02)
    node.kill()
    safety.become("A")
    snapshot = safety.become("B")
    node.start()
    node.tell(snapshot)
    while node.ask("status")["session"] is None or node.ask("status")["session"]["number"] == 1:
        time.sleep(0.02)
    sessions = [(session["number"], session["ended"]) for session in node.ask("sessions")]
    assert sessions == [(2, False), (1, True)]


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE setting SET value = \'{"permitted": "at night", "limit_ma": null}\' WHERE name = \'owner\'',
        "UPDATE setting SET value = CAST(x'fffe7b' AS TEXT)",
    ],
)
def test_a_node_comes_up_on_rows_that_it_cannot_read_and_permits_nothing(node: NodeProcess, statement: str) -> None:
    """Rows of the next version in every table of history, and a word of the owner that cannot be understood."""
    safety = node.safety
    assert node.ask("set", limit_ma=10_000, permitted=True)["stored"] is True
    safety.become("B")
    node.tell(safety.become("C", frozenset((Fault.METER_STALE,))))
    while not node.ask("faults"):
        time.sleep(0.02)
    node.process.terminate()
    node.process.wait(15)
    with closing(sqlite3.connect(node.folder / "evse.db")) as database:
        database.execute(statement)
        for table, column in (("fault", "fault"), ("transition", "reason"), ("session", "machine_boot")):
            database.execute(f"UPDATE {table} SET {column} = CAST(x'4e455854ff' AS TEXT)")
        database.execute("UPDATE session SET started_ns = 9223372036854775807")
        database.execute("UPDATE matter_values SET value = 'text' WHERE key LIKE 'state/%'")
        database.commit()
    node.start()
    node.link.receive()
    assert node.ask("status")["owner"]["permitted"] is False
    demand = node.hear(15)
    assert demand is not None
    assert not demand.permitted
    assert (node.ask("faults"), node.ask("transitions")) == ([], [])
    assert any("cannot be read" in notice["text"] for notice in node.ask("status")["notices"])
    assert node.ask("permit")["stored"] is True
    node.kill()
    node.start()
    assert node.ask("status")["owner"]["permitted"] is True


def test_a_node_that_is_told_to_end_takes_its_sockets_along(node: NodeProcess) -> None:
    node.process.terminate()
    assert node.process.wait(15) == 0
    assert not (node.folder / "control.sock").exists()
    assert not (node.folder / NODE_SOCKET).exists()


def test_after_damage_a_person_sees_it_and_goes_on_without_the_damaged_fabric_and_permits_again(
    node: NodeProcess,
) -> None:
    def eventually(holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not holds(told := node.ask("repair")):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
        return dict(told)

    assert node.ask("status")["owner"]["permitted"] is True
    node.kill()
    database = node.folder / "evse.db"
    (node.folder / "evse.db.damaged-1").write_bytes(b"nonsense")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO matter_values VALUES (?, ?)", [("fabric/1/record", b"\x00junk"), ("fabric/1/acl", b"\x15")]
        )
        connection.execute("INSERT OR REPLACE INTO setting VALUES ('feed', '{')")
    node.start()
    told = eventually(lambda told: "fabric/1" in str(told["matter_trouble"]))
    assert [each["file"] for each in told["set_aside"]] == ["evse.db.damaged-1"]
    assert [each["fabric"] for each in told["damaged_fabrics"]] == [1]
    assert told["left_out"] == [{"table": "setting", "key": "feed"}]
    assert node.ask("repair", action="RESET_FABRICS")["reset"] == [1]
    told = eventually(lambda told: told["matter_trouble"] is None)
    assert told["damaged_fabrics"] == []
    assert "fabric 1 were damaged" in told["forbidden"]
    assert node.ask("status")["owner"]["permitted"] is False
    node.kill()
    node.start()
    assert node.ask("status")["owner"]["permitted"] is False, "until a person permits it"
    node.ask("permit")
    assert node.ask("status")["owner"]["permitted"] is True
