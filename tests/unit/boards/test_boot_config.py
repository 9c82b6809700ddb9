"""The block in config.txt: once, at the end, replaced and removed, whatever else the file has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boards import boot_config

if TYPE_CHECKING:
    from pathlib import Path

LINES = ["dtparam=spi=on", "dtparam=strict_gpiod", "gpio=17=op,dl"]
# As Raspberry Pi OS ships it: pi-gen, stage1/00-boot-files/files/config.txt, comments left out.
SHIPPED = """\
#dtparam=spi=on
dtparam=audio=on
camera_auto_detect=1
dtoverlay=vc4-kms-v3d
arm_64bit=1

[cm4]
otg_mode=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
"""


PI4 = boot_config.Model(frozenset({"pi4"}), frozenset({0x11}))


def block(*lines: str) -> str:
    return "\n".join([boot_config.BEGIN, "[all]", "dtoverlay=", *lines, boot_config.END, ""])


def with_block(text: str, lines: list[str]) -> str:
    return boot_config.with_block(text, lines, PI4)


def test_the_lines_come_at_the_end_and_go_again(tmp_path: Path) -> None:
    file = tmp_path / "config.txt"
    file.write_text(SHIPPED)
    boot_config.replace_text(file, with_block(SHIPPED, LINES))
    assert file.read_text() == f"{SHIPPED}\n{block(*LINES)}"
    assert boot_config.main(["remove", str(tmp_path)]) == 0
    assert file.read_text() == SHIPPED
    assert [path.name for path in tmp_path.iterdir()] == ["config.txt"]


def test_a_second_time_changes_nothing_and_other_lines_replace_the_block() -> None:
    once = with_block(SHIPPED, LINES)
    assert with_block(once, LINES) == once
    other = with_block(once, ["gpio=22=op,dl"])
    assert other == f"{SHIPPED}\n{block('gpio=22=op,dl')}"


def test_a_line_under_another_model_s_filter_does_not_count() -> None:
    text = "[pi3]\ndtparam=strict_gpiod\ngpio=17=op,dl\n[all]\ndtparam=spi=on\n"
    assert with_block(text, LINES) == f"{text}\n{block('dtparam=strict_gpiod', 'gpio=17=op,dl')}"


def test_blanks_and_line_ends_of_another_system_are_kept_and_understood(tmp_path: Path) -> None:
    file = tmp_path / "config.txt"
    file.write_bytes(b"dtparam=spi=on \r\ndtparam=strict_gpiod\r\n[all]\r\n")
    boot_config.replace_text(file, with_block(boot_config.read_text(file), LINES))
    assert file.read_bytes().startswith(b"dtparam=spi=on \r\ndtparam=strict_gpiod\r\n[all]\r\n")
    assert file.read_text().count("gpio=17=op,dl") == 1
    assert file.read_text().count("dtparam=spi=on") == 1


def test_what_an_earlier_version_wrote_is_taken_out_and_what_others_wrote_after_it_stays() -> None:
    former = "\n# evse-pi\n[all]\ndtparam=spi=on\ndtoverlay=disable-bt\ngpio=17=op,dl\n"
    assert boot_config.without_block(SHIPPED + former) == SHIPPED
    assert boot_config.without_block(f"{SHIPPED}{former}dtoverlay=mine\n") == f"{SHIPPED}\ndtoverlay=mine\n"


def test_a_file_with_nothing_else_is_empty_again() -> None:
    assert boot_config.without_block(with_block("", LINES)) == ""


@pytest.mark.parametrize("text", [f"{boot_config.BEGIN}\n[all]\ndtparam=spi=on\n"])
def test_a_block_that_was_cut_is_not_guessed_at(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.txt"
    file.write_text(text)
    assert boot_config.main(["remove", str(tmp_path)]) == 1
    assert file.read_text() == text
    assert "has no line '# evse-pi end'" in capsys.readouterr().err
