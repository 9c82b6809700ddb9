"""Every way in which asking the box can fail ends in a sentence for the person at the terminal."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from evse_pi.cli.client import BoxError, BoxNotRunning, ask, stream

if TYPE_CHECKING:
    from pathlib import Path


class Box:
    """Answers every request with the same bytes, in the background."""

    def __init__(self, address: Path, answer: bytes) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=(answer,))
        self._thread.start()

    def _serve(self, answer: bytes) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.requests.append(connection.recv(65536))
            connection.sendall(answer)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


def test_a_result_comes_back(tmp_path: Path) -> None:
    box = Box(tmp_path / "s", b'{"ok": true, "result": {"pilot": "C"}}\n')
    assert ask(tmp_path / "s", "status", detail=1) == {"pilot": "C"}
    box.close()
    assert box.requests == [b'{"command": "status", "detail": 1}\n']


def test_a_stream_gives_one_result_a_line(tmp_path: Path) -> None:
    box = Box(tmp_path / "s", b'{"ok": true, "result": 1}\n{"ok": true, "result": 2}\n')
    results = stream(tmp_path / "s", "watch")
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(BoxError, match="closed the connection"):
        next(results)
    box.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"ok": false, "error": "current: 70A; allowed 6A to 32A"}\n', "allowed 6A to 32A"),
        (b"nonsense\n", "no JSON"),
        (b"", "closed the connection"),
        (b'{"ok": true', "closed the connection"),
    ],
)
def test_a_refusal_or_a_broken_answer_is_told_in_words(tmp_path: Path, answer: bytes, words: str) -> None:
    box = Box(tmp_path / "s", answer)
    with pytest.raises(BoxError, match=words):
        ask(tmp_path / "s", "status")
    box.close()


def test_a_box_that_does_not_run_is_told_with_the_command_that_starts_it(tmp_path: Path) -> None:
    with pytest.raises(BoxNotRunning, match="evse-pi run"):
        ask(tmp_path / "none", "status")
