from __future__ import annotations

import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.emulation import Emulation

with_lgpio = pytest.mark.skipif(find_spec("lgpio") is None, reason="lgpio has no wheel for this Python")
"""A foreign client of the emulated chip, beside the product's own."""
GPIOZERO = """
    import sys, time
    from gpiozero import DigitalInputDevice, OutputDevice
    from hal.gpiod_pins import GpiodFactory
    factory = GpiodFactory()
"""
RELAY_ON = (
    GPIOZERO
    + """
    relay = OutputDevice(17, pin_factory=factory)
    relay.on()
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "close\\n":
            relay.close()
            print("closed", flush=True)
        if line == "exit\\n":
            break
"""
)


def test_gpiozero_finds_a_pi_and_drives_a_line(emulated: Emulation) -> None:
    lines = emulated.python(
        GPIOZERO
        + """
    relay = OutputDevice(17, pin_factory=factory)
    print(factory.board_info.model, factory.chip.path, relay.value)
    relay.on()
    print(relay.value)
    """
    )
    assert lines == ["5B /dev/gpiochip0 0", "1"]
    coil = [change[2] for change in emulated.client.call("history", signals=["contactor"])["changes"]]
    assert coil == [0, 1, 0]


def test_the_plant_answers_at_the_input_lines(emulated: Emulation) -> None:
    lines = emulated.python(
        GPIOZERO
        + """
    mirror = DigitalInputDevice(23, pull_up=None, active_state=True, pin_factory=factory)
    relay = OutputDevice(17, pin_factory=factory)
    print(mirror.value)
    relay.on()
    time.sleep(0.1)
    print(mirror.value)
    relay.off()
    time.sleep(0.1)
    print(mirror.value)
    """
    )
    assert lines == ["0", "1", "0"]


def test_edges_reach_a_callback_with_their_instant(emulated: Emulation) -> None:
    with emulated.running(
        GPIOZERO
        + """
    trip = DigitalInputDevice(20, pull_up=None, active_state=True, pin_factory=factory)
    tell = lambda ticks, state: print(round(ticks * 1e9), state, flush=True)
    trip.pin.when_changed = tell  # the pin keeps only a weak reference
    print("ready", flush=True)
    sys.stdin.read()
    """
    ) as child:
        acted_ns = emulated.client.verb("trip_rcd")
        seen_ns, state = child.says().split()
    assert state == "True"
    assert abs(int(seen_ns) - acted_ns) < 5_000_000


@pytest.mark.parametrize(("mode", "level", "output"), [("strict", 0, False), ("persist", 1, True)])
def test_after_kill_9_the_kernel_releases_or_keeps_the_output(
    emulated: Emulation, mode: Any, level: Any, output: Any
) -> None:
    emulated.client.call("release", mode=mode)
    with emulated.running(RELAY_ON) as child:
        assert emulated.line(17)["level"] == 1
        child.kill()
        line = emulated.eventually_line(17, held=False)
    assert (line["level"], line["output"], line["held"]) == (level, output, False)
    assert emulated.client.state()["drives"]["contactor"] is bool(level)


@pytest.mark.parametrize("mode", ["strict", "persist"])
def test_the_kernel_parameter_tells_the_mode(emulated: Emulation, mode: Any) -> None:
    emulated.client.call("release", mode=mode)
    lines = emulated.python("print(open('/sys/module/pinctrl_rp1/parameters/persist_gpio_outputs').read().strip())")
    assert lines == ["Y" if mode == "persist" else "N"]


def test_gpiozero_s_own_close_makes_the_line_an_input_in_both_modes(emulated: Emulation) -> None:
    emulated.client.call("release", mode="persist")
    with emulated.running(RELAY_ON) as child:
        child.hear("close")
        assert child.says() == "closed"
        line = emulated.eventually_line(17, level=0)
    assert (line["level"], line["output"]) == (0, False)


@with_lgpio
def test_a_line_held_elsewhere_is_busy_and_free_after_its_end(emulated: Emulation) -> None:
    code = """
        import lgpio
        chip = lgpio.gpiochip_open(0)
        try:
            print(lgpio.gpio_claim_output(chip, 17))
        except lgpio.error as error:
            print(error)
    """
    with emulated.running(RELAY_ON):
        assert emulated.python(code) == ["'GPIO busy'"]
        assert emulated.line(17)["consumer"] == "evse-pi"
    assert emulated.python(code) == ["0"]


@with_lgpio
def test_free_and_claim_again_never_meets_a_busy_line(emulated: Emulation) -> None:
    emulated.python("""
        import lgpio
        chip = lgpio.gpiochip_open(0)
        for _ in range(300):
            lgpio.gpio_claim_output(chip, 17, 1)
            lgpio.gpio_free(chip, 17)
    """)


def test_a_line_that_a_thread_polls_is_busy_until_that_poll_has_returned(emulated: Emulation) -> None:
    """Poll holds the file, so its end comes late. Seen on Linux 6.12: EBUSY, and free when the poll returned."""
    lines = emulated.python("""
        import errno, fcntl, os, select, struct, threading, time
        chip = os.open("/dev/gpiochip0", os.O_RDWR)

        def claim():
            request = bytearray(592)
            struct.pack_into("<I", request, 0, 20)
            struct.pack_into("<Q", request, 288, 4 | 16 | 32)
            struct.pack_into("<I", request, 560, 1)
            fcntl.ioctl(chip, 0xC250B407, request, True)
            return struct.unpack_from("<i", request, 588)[0]

        line = claim()
        poll = select.poll()
        poll.register(line, select.POLLIN)
        thread = threading.Thread(target=poll.poll, args=(2_000,))
        thread.start()
        time.sleep(0.2)
        os.close(line)
        try:
            claim()
        except OSError as error:
            print(errno.errorcode[error.errno], thread.is_alive())
        thread.join()
        print(claim() > 0)
    """)
    assert lines == ["EBUSY True", "True"]


@with_lgpio
def test_bias_shows_on_an_unwired_line_and_none_keeps_its_charge(emulated: Emulation) -> None:
    lines = emulated.python("""
        import lgpio
        chip = lgpio.gpiochip_open(0)
        for pull in (lgpio.SET_PULL_UP, lgpio.SET_PULL_DOWN, lgpio.SET_PULL_UP, lgpio.SET_PULL_NONE):
            lgpio.gpio_claim_input(chip, 19, pull)
            print(lgpio.gpio_read(chip, 19), bool(lgpio.gpio_get_mode(chip, 19) & 0x20))
            lgpio.gpio_free(chip, 19)
    """)
    assert lines == ["1 True", "0 False", "1 True", "1 False"]


@with_lgpio
def test_a_board_resistor_and_the_world_win_over_the_chip_s_bias(emulated: Emulation) -> None:
    code = """
        import lgpio
        chip = lgpio.gpiochip_open(0)
        for line in (17, 19):
            lgpio.gpio_claim_input(chip, line, lgpio.SET_PULL_UP)
            print(lgpio.gpio_read(chip, line))
    """
    emulated.client.call("apply", line=19, level=False)
    assert emulated.python(code) == ["0", "0"]


def test_what_the_kernel_refuses_is_refused(emulated: Emulation) -> None:
    lines = emulated.python("""
        import errno, fcntl, os, struct

        def claim(flags, *offsets):
            request = bytearray(592)
            struct.pack_into(f"<{len(offsets)}I", request, 0, *offsets)
            struct.pack_into("<Q", request, 288, flags)
            struct.pack_into("<I", request, 560, len(offsets))
            fcntl.ioctl(chip, 0xC250B407, request, True)
            return struct.unpack_from("<i", request, 588)[0]

        def name(call, *arguments):
            try:
                return call(*arguments)
            except OSError as error:
                return errno.errorcode[error.errno]

        chip = os.open("/dev/gpiochip0", os.O_RDWR)
        print(name(claim, 4 | 8, 19), name(claim, 8 | 16, 19), name(claim, 256, 19), name(claim, 4 | 256 | 512, 19))
        print(name(claim, 4, 54), name(claim, 4, 19, 19), name(claim, 4))
        line = claim(4, 19)
        print(name(claim, 4, 19), name(fcntl.ioctl, line, 0xC010B40F, bytearray(struct.pack("<QQ", 1, 1)), True))
        print(name(fcntl.ioctl, chip, 0x5401, bytearray(64), True))
    """)
    assert lines == ["EINVAL EINVAL EINVAL EINVAL", "EINVAL EINVAL EINVAL", "EBUSY EPERM", "ENOTTY"]


def test_several_lines_in_one_claim_keep_their_order_and_polarity(emulated: Emulation) -> None:
    lines = emulated.python(
        """
        import fcntl, os, struct
        request = bytearray(592)
        struct.pack_into("<2I", request, 0, 19, 18)
        struct.pack_into("<QI", request, 288, 8 | 2, 1)
        struct.pack_into("<I4xQQ", request, 288 + 32, 2, 0b01, 0b11)
        struct.pack_into("<I", request, 560, 2)
        chip = os.open("/dev/gpiochip0", os.O_RDWR)
        fcntl.ioctl(chip, 0xC250B407, request, True)
        (line,) = struct.unpack_from("<i", request, 588)
        values = bytearray(struct.pack("<QQ", 0, 3))
        fcntl.ioctl(line, 0xC010B40E, values, True)
        print(bin(struct.unpack_from("<Q", values)[0]), flush=True)
        input_ = os.read(0, 1)
    """.replace("input_ = os.read(0, 1)", "")
    )
    assert lines == ["0b1"]


def test_debounced_edges_come_after_the_level_has_stood(emulated: Emulation) -> None:
    with emulated.running("""
        import fcntl, os, struct, sys
        request = bytearray(592)
        struct.pack_into("<I", request, 0, 20)
        struct.pack_into("<QI", request, 288, 4 | 16 | 32, 1)
        struct.pack_into("<I4xQQ", request, 288 + 32, 3, 20_000, 1)
        struct.pack_into("<I", request, 560, 1)
        chip = os.open("/dev/gpiochip0", os.O_RDWR)
        fcntl.ioctl(chip, 0xC250B407, request, True)
        (line,) = struct.unpack_from("<i", request, 588)
        print("ready", flush=True)
        stamp, kind = struct.unpack_from("<QI", os.read(line, 48 * 16))
        print(stamp, kind, flush=True)
    """) as child:
        apply = lambda level: emulated.client.call("apply", line=20, level=level)  # noqa: E731
        for level in (True, False, True):
            apply(level)
        last_ns = emulated.client.verb("wake")
        stamp, kind = map(int, child.says().split())
    assert kind == 1
    assert stamp >= last_ns + 15_000_000


def test_subprocesses_of_a_holder_do_not_release_its_lines(emulated: Emulation) -> None:
    lines = emulated.python(
        GPIOZERO
        + """
    import os, subprocess
    relay = OutputDevice(17, pin_factory=factory)
    relay.on()
    subprocess.run(["true"], check=True)
    subprocess.run(["true"], check=True, close_fds=False)
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
    relay.off()
    relay.on()
    print(relay.value)
    """
    )
    assert lines == ["1"]


def test_a_forked_child_shares_the_open_nodes(emulated: Emulation) -> None:
    lines = emulated.python("""
        import os, spidev
        spi = spidev.SpiDev(0, 0)
        children = []
        for _ in range(3):
            if not (child := os.fork()):
                os._exit(0 if all(spi.xfer2([6, 64, 0])[1:] == [0x0F, 0xFF] for _ in range(200)) else 1)
            children.append(child)
        print(all(spi.xfer2([6, 64, 0])[1:] == [0x0F, 0xFF] for _ in range(200)))
        print([os.waitpid(child, 0)[1] for child in children])
    """)
    assert lines == ["True", "[0, 0, 0]"]


def test_the_answer_to_a_dead_child_is_not_taken_for_the_parent_s(emulated: Emulation) -> None:
    with emulated.running("""
        import os, signal, spidev, sys
        spi = spidev.SpiDev(0, 0)
        if not (child := os.fork()):
            sys.stdin.readline()
            spi.xfer2([6, 0, 0])
        print("ready", flush=True)
        os.waitpid(child, 0)
        print(spi.xfer2([6, 64, 0])[1:], flush=True)
    """) as parent:
        emulated.client.call("device", device="spi", hang=True)
        before = emulated.client.call("statistics")["requests"]
        parent.hear()
        while emulated.client.call("statistics")["requests"] == before:
            time.sleep(0.005)
        (child,) = children_of(parent.process.pid)
        os.kill(child, signal.SIGKILL)
        emulated.client.call("device", device="spi")
        assert parent.says() == "[15, 255]"


def children_of(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(child) for child in listed.split()]


def test_many_threads_get_their_own_answers(emulated: Emulation) -> None:
    lines = emulated.python("""
        import threading, smbus2, spidev
        spi, bus, wrong = spidev.SpiDev(0, 0), smbus2.SMBus(1), []

        def proximity():
            wrong.extend(1 for _ in range(300) if spi.xfer2([6, 64, 0])[1:] != [0x0F, 0xFF])

        def temperature():
            wrong.extend(1 for _ in range(300) if bus.read_i2c_block_data(0x48, 0, 2) != [25, 0])

        threads = [threading.Thread(target=each) for each in (proximity, temperature) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(len(wrong))
    """)
    assert lines == ["0"]


def test_without_a_simulator_the_nodes_do_not_open(emulated: Emulation) -> None:
    emulated.simulator.stop()
    lines = emulated.python("""
        import os
        try:
            os.open("/dev/spidev0.0", os.O_RDWR)
        except OSError as error:
            print(error.errno)
    """)
    assert lines == ["6"]


def test_a_simulator_that_dies_leaves_its_users_with_an_error(emulated: Emulation) -> None:
    with emulated.running("""
        import spidev, sys
        spi = spidev.SpiDev(0, 0)
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            spi.xfer2([6, 0, 0])
        except OSError as error:
            print(error.errno, flush=True)
    """) as child:
        emulated.simulator.process.kill()
        emulated.simulator.process.wait()
        child.hear()
        assert child.says() == "19"
