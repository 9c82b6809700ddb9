"""The installer's file: strict to read, whole after a power cut."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from boards.loader import load_board
from evse_pi.core.installation_limits import Installation
from evse_pi.installation.files import (
    SIMULATED_INSTALLATION,
    ConfigError,
    ratings,
    read_installation,
    write_atomically,
    write_installation,
)
from hal.units import Milliamps

if TYPE_CHECKING:
    from pathlib import Path

BOARD = ratings(load_board("simulated"))
GOOD = 'circuit_capacity_ma = 16_000\nphases = 1\ncountry = "DE"\nrcd_type = "a"\n'


def refused(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_installation(path, BOARD)
    return str(caught.value)


def test_written_installation_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "installation.toml"
    installation = Installation(Milliamps(20_000), 3, "AT", ventilated=True, rcd_type="a", earthing="tt")
    for each in (installation, SIMULATED_INSTALLATION):
        write_installation(path, each)
        assert read_installation(path, BOARD) == each


def test_installation_is_readable_by_all_and_writable_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "installation.toml"
    write_installation(path, SIMULATED_INSTALLATION)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize(
    ("change", "telling"),
    [
        ("circuit_capacity_ma = 40_000", ["circuit_capacity_ma", "40000", "20000"]),
        ("circuit_capacity_ma = 5_999", ["circuit_capacity_ma", "5999", "6000"]),
        ("circuit_capacity_ma = 16.0", ["circuit_capacity_ma", "16.0", "int"]),
        ('circuit_capacity_ma = "16 A"', ["circuit_capacity_ma", "16 A", "int"]),
        ("phases = 4", ["phases", "4", "3"]),
        ("phases = true", ["phases", "True", "int"]),
        ('country = "Germany"', ["country", "Germany", "two capital letters"]),
        ("rcd_reclosures = 1", ["rcd_reclosures", "1", "0 to 0"]),
        ('rcd_type = ""', ["rcd_type", "missing", "a, f, a_rdc_dd, b, none"]),
        ('rcd_type = "ac"', ["rcd_type", "'ac'", "a, f, a_rdc_dd, b, none"]),
        ('purpose = "test"', ["purpose", "'test'", "vehicles, bench"]),
        ("circuit_capacity_a = 16", ["circuit_capacity_a", "circuit_capacity_ma"]),
    ],
)
def test_wrong_entry_is_refused_with_file_key_value_and_what_is_allowed(
    tmp_path: Path, change: str, telling: list[str]
) -> None:
    path = tmp_path / "installation.toml"
    key = change.split(" = ")[0]
    kept = "".join(f"{line}\n" for line in GOOD.splitlines() if not line.startswith(f"{key} "))
    message = refused(path, f"{kept}{change}\n")
    for part in (str(path), *telling):
        assert part in message


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize("purpose", ["", 'purpose = "vehicles"\n'])
def test_a_board_for_the_bench_is_refused_until_the_file_says_bench(tmp_path: Path, purpose: str) -> None:
    hat, path = load_board("nsayer_pi_evse_hat"), tmp_path / "installation.toml"
    path.write_text(GOOD.replace('"a"', '"b"') + purpose)
    with pytest.raises(ConfigError) as caught:
        read_installation(path, ratings(hat))
    for part in (str(path), "purpose", "'vehicles'", str(hat.bench_only), "'bench'"):
        assert part in str(caught.value)
    path.write_text(GOOD.replace('"a"', '"b"') + 'purpose = "bench"\n')
    assert read_installation(path, ratings(hat)).purpose == "bench"


@pytest.mark.hazard("H-17")
def test_every_problem_of_the_file_is_told_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path / "installation.toml", "phases = true\nvoltage = 3\n").splitlines()
    for key in ("circuit_capacity_ma", "phases", "country", "voltage"):
        assert any(f"installation.toml: {key}: " in line for line in message)
    wrong = 'circuit_capacity_ma = 1\nphases = 9\ncountry = "de"\nrcd_reclosures = 1\nearthing = "pen"\n'
    message = refused(tmp_path / "installation.toml", wrong).splitlines()
    for key in ("circuit_capacity_ma", "phases", "country", "rcd_reclosures", "rcd_type", "earthing"):
        assert any(f"installation.toml: {key}: " in line for line in message)


@pytest.mark.hazard("H-17")
def test_a_file_that_does_not_say_which_residual_current_device_there_is_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "installation.toml", GOOD.replace('rcd_type = "a"\n', ""))
    assert "rcd_type: missing; what is fitted in the distribution board, one of a, f, a_rdc_dd, b, none" in message


@pytest.mark.hazard("H-17")
def test_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "installation.toml"
    with pytest.raises(ConfigError, match="No such file"):
        read_installation(path, BOARD)
    assert str(path) in refused(path, "phases = = 3")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="utf-8"):
        read_installation(path, BOARD)


def test_board_without_proximity_has_a_fixed_cable() -> None:
    assert BOARD.tethered_cable_ma is None
    assert BOARD.contactor_release_ns == 25_000_000


def test_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.mkdir()  # replacing a folder by a file fails as late as writing can fail
    with pytest.raises(OSError, match="file"):
        write_atomically(target, b"new", 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_leftover_of_a_crash_does_not_stand_in_the_way(tmp_path: Path) -> None:
    target = tmp_path / "file"
    (tmp_path / f".file.{os.getpid()}").write_text("half")
    write_atomically(target, b"new", 0o600)
    assert target.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
