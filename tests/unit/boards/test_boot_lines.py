"""What a board needs of the firmware on each model of Pi, and what of it a config.txt brings into force there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from boards import boot_config, boot_lines
from boards.boot_config import Model
from boards.loader import load_board
from boards.spec import EconomiserSpec
from hal.pi_models import MODELS, find_model, pwm_outputs

if TYPE_CHECKING:
    from pathlib import Path

# What each board's device tree calls itself: arch/arm*/boot/dts/broadcom/bcm27*.dts of the kernel, with the revision
# that the firmware adds.
DESCRIPTIONS = {
    "Raspberry Pi 3 Model B Rev 1.2": "Raspberry Pi 3",
    "Raspberry Pi 3 Model B Plus Rev 1.3": "Raspberry Pi 3+",
    "Raspberry Pi 3 Model A Plus Rev 1.0": "Raspberry Pi 3+",
    "Raspberry Pi Zero 2 W Rev 1.0": "Raspberry Pi Zero 2 W",
    "Raspberry Pi 4 Model B Rev 1.5": "Raspberry Pi 4",
    "Raspberry Pi Compute Module 4 Rev 1.1": "Compute Module 4",
    "Raspberry Pi 5 Model B Rev 1.1": "Raspberry Pi 5",
    "Raspberry Pi Compute Module 5 Rev 1.0": "Compute Module 5",
    "Raspberry Pi Compute Module 5 Lite Rev 1.0": "Compute Module 5",
}
UNKNOWN = ["Raspberry Pi 2 Model B Rev 1.1", "Raspberry Pi Zero W Rev 1.1", "Raspberry Pi Compute Module 4S Rev 1.0",
           "Raspberry Pi 400 Rev 1.0", "Hardkernel ODROID-C4", ""]  # fmt: skip
# As Raspberry Pi OS ships them: pi-gen, stage1/00-boot-files/files, comments left out.
SHIPPED = """\
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
CMDLINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=4a3b2c1d-02 rootfstype=ext4 fsck.repair=yes rootwait resize\n"
)
MODEL_NAMES = [model.name for model in MODELS]


@pytest.fixture
def board(tmp_path: Path) -> Any:
    return load_board("reference", own=tmp_path)


def named(name: Any) -> Any:
    (model,) = [model for model in MODELS if model.name == name]
    return model


PI4 = Model(named("Raspberry Pi 4").filters, named("Raspberry Pi 4").board_type)
PI5 = Model(named("Raspberry Pi 5").filters, named("Raspberry Pi 5").board_type)


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_each_model_is_known_by_its_device_tree(description: Any) -> None:
    model = find_model(description)
    assert model is not None
    assert model.name == DESCRIPTIONS[description]


@pytest.mark.parametrize("description", UNKNOWN)
def test_no_other_machine_is_taken_for_one_of_them(description: Any) -> None:
    assert find_model(description) is None


def test_the_pilot_s_channel_is_that_of_the_model() -> None:
    """RP1 has GPIO 18 on channel 2, the older chips on channel 0. Source: the data sheets that hal.pi_models names."""
    assert pwm_outputs(18) == (("3f20c000.pwm", 0), ("fe20c000.pwm", 0), ("1f00098000.pwm", 2))
    assert dict(pwm_outputs(12))["1f00098000.pwm"] == 0
    assert dict(pwm_outputs(13))["1f00098000.pwm"] == dict(pwm_outputs(13))["fe20c000.pwm"] == 1


@pytest.mark.parametrize(
    ("name", "uart", "audio"),
    [
        ("Raspberry Pi 3", ["enable_uart=1", "dtoverlay=disable-bt"], True),
        ("Raspberry Pi Zero 2 W", ["enable_uart=1", "dtoverlay=disable-bt"], True),
        ("Raspberry Pi 4", ["enable_uart=1", "dtoverlay=disable-bt"], True),
        ("Compute Module 4", ["enable_uart=1", "dtoverlay=disable-bt"], True),
        ("Raspberry Pi 5", ["dtparam=uart0=on"], False),
        ("Compute Module 5", ["dtparam=uart0=on"], False),
    ],
)
def test_the_lines_of_a_board_are_the_model_s(board: Any, name: Any, uart: Any, audio: Any) -> None:
    lines = boot_lines.boot_lines(board, named(name))
    assert [line for line in lines if "uart" in line or "disable-bt" in line] == uart
    assert ("dtparam=audio=off" in lines) is audio
    assert "gpio=17=op,dl" in lines
    assert "dtparam=strict_gpiod" in lines


def test_the_lines_are_the_board_s(board: Any) -> None:
    other = replace(
        board,
        pilot_pwm=replace(board.pilot_pwm, pin=12),
        pilot_adc=replace(board.pilot_adc, bus=1, device=2),
        contactor=replace(board.contactor, pin=23, economiser=EconomiserSpec(24, 100)),
        status_led=replace(board.status_led, pin=14),
        temperature=(),
        meter=None,
    )
    lines = boot_lines.boot_lines(other, named("Raspberry Pi 4"))
    assert lines[:2] == ("gpio=23=op,dl", "gpio=24=op,dl")
    assert "dtoverlay=pwm,pin=12,func=4" in lines
    assert "dtoverlay=spi1-3cs" in lines
    assert not [line for line in lines if "i2c" in line or "uart" in line or "disable-bt" in line]


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_what_is_written_into_the_shipped_file_is_in_force_on_that_model(board: Any, name: Any) -> None:
    model = named(name)
    lines, sections = boot_lines.boot_lines(board, model), boot_lines.sections_of(model)
    text = boot_config.with_block(SHIPPED, lines, sections)
    assert boot_config.missing(text, lines, sections) == []
    assert boot_config.with_block(text, lines, sections) == text
    assert boot_config.without_block(text) == SHIPPED


@pytest.mark.parametrize(
    ("text", "line", "pi4", "pi5"),
    [
        ("gpio=17=op,dl", "gpio=17=op,dl", True, True),
        ("[pi4]\ngpio=17=op,dl", "gpio=17=op,dl", True, False),
        ("[pi5]\ngpio=17=op,dl\n[all]", "gpio=17=op,dl", False, True),
        ("[board-type=0x11]\ngpio=17=op,dl", "gpio=17=op,dl", True, False),
        ("[board-type=0x17]\ngpio=17=op,dl", "gpio=17=op,dl", False, True),
        ("[cm4]\ngpio=17=op,dl", "gpio=17=op,dl", False, False),
        ("[none]\ngpio=17=op,dl", "gpio=17=op,dl", False, False),
        # filters of one kind replace each other, those of two kinds must both hold
        ("[pi5]\n[pi4]\ngpio=17=op,dl", "gpio=17=op,dl", True, False),
        ("[EDID=VSC-TD2220]\n[pi4]\ngpio=17=op,dl", "gpio=17=op,dl", False, False),
        ("[gpio4=1]\ngpio=17=op,dl", "gpio=17=op,dl", False, False),
        # what comes later wins, also where it holds only sometimes
        ("gpio=17=op,dl\n[pi4]\ngpio=17=op,dh", "gpio=17=op,dl", False, True),
        ("gpio=17=op,dl\ngpio=17=ip", "gpio=17=op,dl", False, False),
        ("gpio=17=op,dl\n[gpio4=1]\ngpio=17=dh", "gpio=17=op,dl", False, False),
        ("gpio=0-27=op,dl", "gpio=17=op,dl", True, True),
        ("gpio=5,17=op,dl,pn", "gpio=17=op,dl", True, True),
        ("gpio=17=op,dl\ngpio=16-18=dh", "gpio=17=op,dl", False, False),
        ("#gpio=17=op,dl", "gpio=17=op,dl", False, False),
        ("dtparam=i2c_arm=on,spi=on", "dtparam=spi=on", True, True),
        ("dtparam=spi", "dtparam=spi=on", True, True),
        ("dtparam=i2c=on", "dtparam=i2c_arm=on", True, True),
        ("dtparam=spi=on\ndtparam=spi=off", "dtparam=spi=on", False, False),
        ("dtparam=strict_gpiod=on", "dtparam=strict_gpiod", True, True),
        ("dtoverlay=pwm,func=2,pin=18", "dtoverlay=pwm,pin=18,func=2", True, True),
        ("dtoverlay=pwm,pin=12,func=4", "dtoverlay=pwm,pin=18,func=2", False, False),
        # below this overlay, `audio` is the overlay's: HDMI's sound, not the analogue one that has the PWM
        ("dtoverlay=vc4-kms-v3d\ndtparam=audio=off", "dtparam=audio=off", False, False),
        ("dtoverlay=vc4-kms-v3d\ndtoverlay=\ndtparam=audio=off", "dtparam=audio=off", True, True),
        ("enable_uart=1\nenable_uart=0", "enable_uart=1", False, False),
    ],
)
def test_a_line_is_in_force_where_the_firmware_would_take_it(text: Any, line: Any, pi4: Any, pi5: Any) -> None:
    assert (boot_config.missing(text, [line], PI4) == []) is pi4
    assert (boot_config.missing(text, [line], PI5) == []) is pi5


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    """A root with the firmware's files, which says that it is a Pi 4."""
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    folder = tmp_path / "boot/firmware"
    folder.mkdir(parents=True)
    (folder / "config.txt").write_text(SHIPPED)
    (folder / "cmdline.txt").write_text(CMDLINE)
    describe(folder, "Raspberry Pi 4 Model B Rev 1.5")
    return folder


def problems(board: Any, machine: Any) -> Any:
    return boot_lines.problems(board, machine.parents[1])


def describe(machine: Any, description: Any) -> None:
    (machine.parents[1] / "proc/device-tree/model").write_bytes(description.encode() + b"\0")


def test_the_console_leaves_the_meter_s_uart_and_comes_back(machine: Any, board: Any) -> None:
    boot_lines.write(board, machine, named("Raspberry Pi 4"))
    assert problems(board, machine) == []
    command = (machine / "cmdline.txt").read_text()
    assert command == CMDLINE.removeprefix("console=serial0,115200 ")
    boot_lines.write(board, machine, named("Raspberry Pi 4"))
    assert (machine / "cmdline.txt").read_text() == command
    assert boot_config.main(["remove", str(machine)]) == 0
    assert (machine / "cmdline.txt").read_text() == CMDLINE
    assert (machine / "config.txt").read_text() == SHIPPED


def test_a_pi_5_keeps_its_console_on_the_debug_connector(machine: Any, board: Any) -> None:
    describe(machine, "Raspberry Pi 5 Model B Rev 1.1")
    boot_lines.write(board, machine, named("Raspberry Pi 5"))
    assert (machine / "cmdline.txt").read_text() == CMDLINE
    assert problems(board, machine) == []
    (machine / "cmdline.txt").write_text("console=ttyAMA0,115200 console=tty1\n")
    (problem,) = problems(board, machine)
    assert "console=ttyAMA0,115200 takes the meter's UART" in problem


def test_a_board_with_lines_on_the_header_s_uart_pins_leaves_the_console_alone(machine: Any, board: Any) -> None:
    other = replace(board, meter=None, status_led=replace(board.status_led, pin=14))
    boot_lines.write(other, machine, named("Raspberry Pi 4"))
    assert (machine / "cmdline.txt").read_text() == CMDLINE


def test_a_card_that_was_put_into_another_pi_is_told(machine: Any, board: Any) -> None:
    boot_lines.write(board, machine, named("Raspberry Pi 4"))
    describe(machine, "Raspberry Pi 5 Model B Rev 1.1")
    told = problems(board, machine)
    assert any("dtparam=uart0=on is not in force on a Raspberry Pi 5" in line for line in told)


@pytest.mark.parametrize("description", ["Raspberry Pi 2 Model B Rev 1.1", "Raspberry Pi 400 Rev 1.0"])
def test_an_unknown_model_is_told_with_those_that_are_known(machine: Any, board: Any, description: Any) -> None:
    describe(machine, description)
    (problem,) = problems(board, machine)
    assert repr(description) in problem
    assert "Compute Module 5" in problem
    with pytest.raises(boot_lines.UnknownModelError, match="Raspberry Pi"):
        boot_lines.known_model(machine.parents[1])


def test_missing_files_of_the_firmware_are_told_and_no_pi_needs_none(machine: Any, board: Any) -> None:
    (machine / "config.txt").unlink()
    (problem,) = problems(board, machine)
    assert "config.txt" in problem
    (machine.parents[1] / "proc/device-tree/model").unlink()
    assert problems(board, machine) == []


@pytest.mark.parametrize("file", ["config.txt", "cmdline.txt"])
def test_a_cut_ahead_of_either_file_loses_no_console(
    machine: Any, board: Any, monkeypatch: pytest.MonkeyPatch, file: Any
) -> None:
    """The note in config.txt is written before the word leaves cmdline.txt, and put back whatever became of it."""
    whole = boot_config.replace_text

    def cut(path: Any, text: Any) -> None:
        if path.name == file:
            raise OSError("the power is gone")
        whole(path, text)

    monkeypatch.setattr(boot_config, "replace_text", cut)
    with pytest.raises(OSError, match="power"):
        boot_lines.write(board, machine, named("Raspberry Pi 4"))
    monkeypatch.undo()
    if file == "cmdline.txt":
        boot_lines.write(board, machine, named("Raspberry Pi 4"))
    assert boot_config.main(["remove", str(machine)]) == 0
    assert (machine / "cmdline.txt").read_text() == CMDLINE
