"""What the node tells of the firmware's settings: what is missing now, and what was missing at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.node import boot_check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE = "/boot/firmware/config.txt: gpio=17=op,dl is not in force on a Raspberry Pi 4"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Check with given problems in the files, in a given run of the machine."""

    def run(*problems: str, board: str = "reference", boot: str = "first") -> tuple[str, ...]:
        monkeypatch.setattr(boot_check, "problems", lambda _: list(problems))
        monkeypatch.setattr(boot_check, "kernel_boot_id", lambda: boot)
        return boot_check.check_boot_settings(load_board(board, own=tmp_path / "none"), tmp_path)

    return run


def test_a_machine_that_is_right_gives_no_notice(check: Callable[..., Any]) -> None:
    assert check() == ()
    assert check() == ()


def test_what_is_missing_is_told_again_and_again(check: Callable[..., Any]) -> None:
    assert check(LINE) == (LINE,)
    assert check(LINE) == (LINE,)


def test_what_was_put_right_is_not_in_force_before_the_next_start_of_the_machine(check: Callable[..., Any]) -> None:
    check(LINE)
    (told,) = check()
    assert "restart the Raspberry Pi" in told
    assert check() == (told,)
    assert check(boot="second") == ()


def test_another_board_is_checked_afresh(check: Callable[..., Any]) -> None:
    check(LINE)
    assert check(board="simulated") == ()


def test_a_line_that_was_taken_out_since_is_told(check: Callable[..., Any]) -> None:
    check()
    assert check(LINE) == (LINE,)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"boot": 3}'])
def test_a_spoilt_file_is_written_afresh(check: Callable[..., Any], tmp_path: Path, content: bytes) -> None:
    check(LINE)
    (tmp_path / "node/boot-settings").write_bytes(content)
    assert check() == ()
