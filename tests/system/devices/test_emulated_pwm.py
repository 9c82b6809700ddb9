from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.emulation import Emulation

START = """
    import errno, os
    from tests.support.pilot_channel import CHANNEL, CHIP, start_pilot, write

    def tried(path, text):
        try:
            write(path, text)
        except OSError as error:
            return errno.errorcode[error.errno]
        return "ok"
"""


def test_the_chip_is_found_by_its_device_link(emulated: Emulation) -> None:
    lines = emulated.python("""
        import os
        from pathlib import Path
        print(sorted(each.name for each in Path("/sys/class/pwm").iterdir()))
        print(os.path.realpath("/sys/class/pwm/pwmchip0/device"))
        print(Path("/sys/class/pwm/pwmchip0/npwm").read_text().strip())
        print(Path("/sys/class/pwm/pwmchip0/pwm2").exists(), os.access("/sys/class/pwm/pwmchip0/export", os.W_OK))
    """)
    assert lines == ["['pwmchip0']", "/sys/devices/platform/axi/1000120000.pcie/1f00098000.pwm", "4", "False True"]


def test_the_kernel_s_errors_come_with_the_write(emulated: Emulation) -> None:
    lines = emulated.python(
        START
        + """
    print(tried(CHANNEL / "period", "1"), tried(CHIP / "unexport", "2"), tried(CHIP / "export", "9"),
          tried(CHIP / "export", "two"), tried(CHIP / "npwm", "5"))
    print(tried(CHIP / "export", "2"), tried(CHIP / "export", "2"))
    print(tried(CHANNEL / "enable", "1"), tried(CHANNEL / "duty_cycle", "5"), tried(CHANNEL / "polarity", "inversed"))
    print(tried(CHANNEL / "period", "1000000\\n"), tried(CHANNEL / "duty_cycle", "1000001"),
          tried(CHANNEL / "duty_cycle", "266667"), tried(CHANNEL / "period", "266666"))
    print(tried(CHANNEL / "enable", "7"), tried(CHANNEL / "enable", "-1"), tried(CHANNEL / "enable", " 1"),
          tried(CHANNEL / "enable", "0x1"), tried(CHANNEL / "enable", str(1 << 64)))
    print(tried(CHANNEL / "polarity", "upside"), tried(CHANNEL / "polarity", "inversed"),
          tried(CHANNEL / "polarity", "normal"))
    print([(CHANNEL / name).read_text().strip() for name in ("period", "duty_cycle", "enable", "polarity")])
    print(tried(CHIP / "unexport", "2"), CHANNEL.exists(), tried(CHANNEL / "enable", "0"))
    """
    )
    assert lines == [
        "ENOENT ENODEV ENODEV EINVAL EACCES",
        "ok EBUSY",
        "EINVAL EINVAL EINVAL",
        "ok EINVAL ok EINVAL",
        "EINVAL EINVAL EINVAL ok ERANGE",
        "EINVAL ok ok",
        "['1000000', '266667', '1', 'normal']",
        "ok False ENOENT",
    ]


def test_an_attribute_reads_from_its_offset(emulated: Emulation) -> None:
    lines = emulated.python(
        START
        + """
    start_pilot(266_667)
    fd = os.open(CHANNEL / "period", os.O_RDWR)
    print(os.read(fd, 3), os.read(fd, 100), os.read(fd, 10), os.pread(fd, 100, 4))
    os.lseek(fd, 0, os.SEEK_SET)
    print(os.read(fd, 100), os.pwrite(fd, b"2000000", 0), os.pread(fd, 100, 0))
    """
    )
    assert lines == [r"b'100' b'0000\n' b'' b'000\n'", r"b'1000000\n' 7 b'2000000\n'"]


@pytest.mark.parametrize(
    ("steps", "high_mv", "low_mv"),
    [
        ("start_pilot(266_667)", 12_000, -12_000),
        ('start_pilot(266_667); write(CHANNEL / "enable", "0")', 12_000, -12_000),
        ('start_pilot(266_667); write(CHIP / "unexport", "2")', 12_000, -12_000),
    ],
)
def test_the_channel_drives_the_pilot(emulated: Emulation, steps: Any, high_mv: Any, low_mv: Any) -> None:
    emulated.python(START + f"\n    {steps}")
    state = emulated.client.state()
    assert (state["pilot_high_mv"], state["pilot_low_mv"]) == (high_mv, low_mv)
    assert state["duty_ppm"] == (266_667 if steps.count(";") == 0 else 0)


def test_the_channel_runs_on_after_its_owner_was_killed(emulated: Emulation) -> None:
    with emulated.running(START + '\n    start_pilot(266_667)\n    print("ready", flush=True)\n    input()') as child:
        child.kill()
        assert emulated.client.state()["duty_ppm"] == 266_667
    assert emulated.python(START + '\n    print(tried(CHIP / "export", "2"))') == ["EBUSY"]
