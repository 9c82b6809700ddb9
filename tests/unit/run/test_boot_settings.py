"""After a change of board the firmware's settings are written by themselves, without a package's script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evse_pi.run import boot_settings

if TYPE_CHECKING:
    from pathlib import Path

PI_4 = b"Raspberry Pi 4 Model B Rev 1.5\0"


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    firmware = tmp_path / "boot/firmware"
    firmware.mkdir(parents=True)
    (firmware / "config.txt").write_text("[all]\n")
    (firmware / "cmdline.txt").write_text("console=tty1 root=/dev/mmcblk0p2\n")
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(PI_4)
    return tmp_path


@pytest.mark.parametrize(
    ("chosen", "has_i2c"),
    [
        ("EVSE_PI_BOARD=reference\n", True),
        ('EVSE_PI_BOARD="nsayer_pi_evse_hat"\n', False),  # its board file has no thermometer
        ("OTHER=1\n", True),
        (None, True),
    ],
)
def test_the_lines_of_the_chosen_board_are_written(pi: Path, chosen: str, has_i2c: bool) -> None:
    environment = pi / "environment"
    if chosen is not None:
        environment.write_text(chosen)
    assert boot_settings.main(environment, pi) == 0
    written = (pi / "boot/firmware/config.txt").read_text().splitlines()
    assert "gpio=17=op,dl" in written
    assert ("dtparam=i2c_arm=on" in written) is has_i2c


def test_a_board_that_there_is_not_is_named_and_nothing_written(pi: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = pi / "environment"
    environment.write_text("EVSE_PI_BOARD=wallbux\n")
    assert boot_settings.main(environment, pi) != 0
    assert "board 'wallbux' is unknown" in capsys.readouterr().err
    assert (pi / "boot/firmware/config.txt").read_text() == "[all]\n"
