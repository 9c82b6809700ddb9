"""The link between the two processes on real sockets of this machine."""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.link import MAX_DATAGRAMS_PER_CALL, LinkEnd, LinkError, uid_of
from evse_pi.paths import NODE_SOCKET, SAFETY_SOCKET
from tests.support.other_user import STRANGER, as_user, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


DESCRIPTORS = Path("/proc/self/fd")


def decode_number(datagram: bytes) -> int:
    """Stand in for a record: decimal digits and nothing else."""
    return int(datagram.decode("ascii"))


def open_safety_end(run_dir: Path) -> LinkEnd[int]:
    return LinkEnd(run_dir / SAFETY_SOCKET, run_dir / NODE_SOCKET, decode_number)


def open_node_end(run_dir: Path) -> LinkEnd[int]:
    return LinkEnd(run_dir / NODE_SOCKET, run_dir / SAFETY_SOCKET, decode_number)


@contextmanager
def both_ends(run_dir: Path) -> Iterator[tuple[LinkEnd[int], LinkEnd[int]]]:
    with closing(open_safety_end(run_dir)) as safety, closing(open_node_end(run_dir)) as node:
        yield safety, node


def test_newest_record_wins(tmp_path: Path) -> None:
    with both_ends(tmp_path) as (safety, node):
        for number in (1, 2, 3):
            assert node.send(b"%d" % number)
        assert safety.receive() == 3
        assert safety.receive() is None
        assert safety.counters.superseded == 2


def test_absent_peer_costs_only_the_datagram(tmp_path: Path) -> None:
    with closing(open_safety_end(tmp_path)) as safety:
        assert not safety.send(b"1")
        assert safety.counters.dropped == 1


def test_full_socket_drops_and_never_waits(tmp_path: Path) -> None:
    with both_ends(tmp_path) as (safety, node):
        sent = sum(safety.send(b"7") for _ in range(100_000))
        assert sent < 100_000
        assert safety.counters.dropped == 100_000 - sent
        assert node.receive() == 7


def test_malformed_datagrams_are_counted_and_do_not_hide_a_good_one(tmp_path: Path) -> None:
    with both_ends(tmp_path) as (safety, node):
        for datagram in (b"5", b"", b"\xff\xfe", b"x" * 60_000):
            node.send(datagram)
        assert safety.receive() == 5
        assert safety.counters.malformed == 3


def test_flood_is_read_in_bounded_portions(tmp_path: Path) -> None:
    with both_ends(tmp_path) as (safety, node):
        taken = 0
        for _ in range(5):
            while node.send(b"1"):
                pass
            safety.receive()
            assert safety.counters.received - taken <= MAX_DATAGRAMS_PER_CALL
            taken = safety.counters.received


def test_restarted_peer_is_found_again(tmp_path: Path) -> None:
    with closing(open_safety_end(tmp_path)) as safety:
        open_node_end(tmp_path).close()
        assert not safety.send(b"1")
        with closing(open_node_end(tmp_path)) as node:
            assert safety.send(b"2")
            assert node.receive() == 2


def test_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / SAFETY_SOCKET).parent.mkdir(0o700)
    crashed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    crashed.bind(str(tmp_path / SAFETY_SOCKET))
    crashed.close()
    with both_ends(tmp_path) as (safety, node):
        assert node.send(b"9")
        assert safety.receive() == 9


def test_socket_of_a_living_process_is_refused(tmp_path: Path) -> None:
    with closing(open_safety_end(tmp_path)), pytest.raises(LinkError, match="another process"):
        open_safety_end(tmp_path)


def test_other_file_in_place_of_the_socket_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / SAFETY_SOCKET).parent.mkdir(0o700)
    (tmp_path / SAFETY_SOCKET).write_text("precious")
    with pytest.raises(LinkError, match="not a socket"):
        open_safety_end(tmp_path)
    assert (tmp_path / SAFETY_SOCKET).read_text() == "precious"


def test_missing_run_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"absent/safety"):
        open_safety_end(tmp_path / "absent")


def test_strangers_may_not_speak(tmp_path: Path) -> None:
    with closing(open_safety_end(tmp_path)):
        socket_file = tmp_path / SAFETY_SOCKET
        assert stat.S_IMODE(socket_file.stat().st_mode) == 0o660
        assert stat.S_IMODE(socket_file.parent.stat().st_mode) == 0o700


@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    folder = (tmp_path / SAFETY_SOCKET).parent
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(LinkError, match="only this process's user may write it"):
        open_safety_end(tmp_path)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / SAFETY_SOCKET).parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LinkError, match="only this process's user"):
        open_safety_end(tmp_path)


def test_an_unknown_user_of_the_peer_is_named() -> None:
    assert uid_of(None) == os.geteuid()
    with pytest.raises(LinkError, match="no such user: evse-nobody"):
        uid_of("evse-nobody")


def test_a_datagram_that_says_of_no_user_is_not_heard(tmp_path: Path) -> None:
    """What was queued without credentials comes with an unknown user. Source: unix(7), SO_PASSCRED."""
    with (
        closing(open_safety_end(tmp_path)) as safety,
        socket.socket(fileno=os.dup(safety.fileno())) as end,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand,
    ):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        hand.sendto(b"1", str(tmp_path / SAFETY_SOCKET))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        assert safety.receive() is None
        assert safety.counters.foreign == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
@pytest.mark.hazard("H-14")
@pytest.mark.parametrize("pretended", [None, 0])
def test_another_user_is_not_heard_and_cannot_pretend(pretended: int | None) -> None:
    """The kernel lets only CAP_SETUID name a user that the sender is not. Source: unix(7), SCM_CREDENTIALS."""
    with open_folder() as folder, both_ends(folder) as (safety, node):
        (folder / SAFETY_SOCKET).parent.chmod(0o755)
        (folder / SAFETY_SOCKET).chmod(0o666)

        def speak() -> str:
            told = [] if pretended is None else [_credentials(os.getpid(), pretended, 0)]
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
                try:
                    hand.sendmsg([b"9"], told, 0, str(folder / SAFETY_SOCKET))
                except PermissionError:
                    return "refused"
            return "sent"

        assert as_user(STRANGER, speak) == ("sent" if pretended is None else "refused")
        assert safety.receive() is None
        assert safety.counters.foreign == (pretended is None)
        assert node.send(b"1")
        assert safety.receive() == 1


def test_descriptors_that_come_along_are_not_kept(tmp_path: Path) -> None:
    with both_ends(tmp_path) as (safety, _), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
        hand.connect(str(tmp_path / SAFETY_SOCKET))
        before = len(list(DESCRIPTORS.iterdir()))
        socket.send_fds(hand, [b"4"], [0, 1, 2])
        assert safety.receive() == 4
        assert len(list(DESCRIPTORS.iterdir())) == before


def _credentials(pid: int, uid: int, gid: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", pid, uid, gid)


def test_close_leaves_no_socket_behind(tmp_path: Path) -> None:
    open_safety_end(tmp_path).close()
    assert list((tmp_path / SAFETY_SOCKET).parent.iterdir()) == []


@given(datagrams=st.lists(st.binary(max_size=64), max_size=8))
def test_random_datagrams_give_a_record_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, datagrams: list[bytes]
) -> None:
    with both_ends(tmp_path_factory.mktemp("run")) as (safety, node):
        for datagram in datagrams:
            node.send(datagram)
        record = safety.receive()
        assert record is None or isinstance(record, int)
        assert safety.counters.received + safety.counters.malformed == len(datagrams)
