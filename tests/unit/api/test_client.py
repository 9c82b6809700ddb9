"""Every way in which asking the box can fail ends in a sentence for the person at the terminal."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from evse_pi.api.client import BoxError, BoxNotRunning, ask, call, stream
from evse_pi.api.orders import SET, SetOwner
from evse_pi.api.protocol import Command, Nothing
from hal.units import Milliamps

if TYPE_CHECKING:
    from pathlib import Path


NUMBERS: Command[Nothing, int] = Command("watch", Nothing, int, "Numbers.", streams=True)


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
    assert call(tmp_path / "s", "status", detail=1) == {"pilot": "C"}
    box.close()
    assert box.requests == [b'{"command":"status","detail":1}\n']


def test_a_stream_gives_one_result_a_line(tmp_path: Path) -> None:
    box = Box(tmp_path / "s", b'{"ok": true, "result": 1}\n{"ok": true, "result": 2}\n')
    results = stream(tmp_path / "s", NUMBERS)
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
        call(tmp_path / "s", "status")
    box.close()


def test_a_box_that_does_not_run_is_told_with_the_command_that_starts_it(tmp_path: Path) -> None:
    with pytest.raises(BoxNotRunning, match="evse-pi run"):
        call(tmp_path / "none", "status")


def test_a_refusal_comes_with_the_field_its_value_and_what_is_allowed(tmp_path: Path) -> None:
    at = b'{"field":"limit_ma","value":5000,"allowed":{"lowest":6000,"highest":32000,"unit":"mA","words":[]}}'
    box = Box(tmp_path / "s", b'{"ok": false, "error": "limit_ma: 5000 is not allowed", "at": ' + at + b"}\n")
    with pytest.raises(BoxError) as refused:
        ask(tmp_path / "s", SET, SetOwner(limit_ma=Milliamps(5_000)))
    box.close()
    assert box.requests == [b'{"command":"set","limit_ma":5000}\n']
    found = refused.value.at
    assert found is not None
    assert (found.field, found.value, found.allowed.lowest, found.allowed.unit) == ("limit_ma", 5_000, 6_000, "mA")


def test_an_answer_of_another_version_is_told_by_its_field(tmp_path: Path) -> None:
    box = Box(tmp_path / "s", b'{"ok": true, "result": {"permitted": 1, "limit_ma": null, "stored": true}}\n')
    with pytest.raises(BoxError, match="another version of this software: permitted: 1 is not allowed; true or false"):
        ask(tmp_path / "s", SET, SetOwner())
    box.close()
