"""The Matter device beside the box: options, product, setup codes, failures that stay its own, permission."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.api.matter_status import Window
from evse_pi.api.refusal import Allowed, AtFault, Refusal
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.startup_state import StartupState
from evse_pi.device.equipment import Equipment
from evse_pi.installation.files import SIMULATED_INSTALLATION, ConfigError
from evse_pi.installer.product import read_product, software_number
from evse_pi.matter.environment import SystemEntropy
from evse_pi.matter.identity.fabric import NodeCredentials
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.storage import KeyValueStore, SqliteStore
from evse_pi.node.charge_point_adapter import ChargePointAdapter
from evse_pi.node.machine_mark import machine_mark
from evse_pi.node.matter_device import MatterDevice
from evse_pi.node.matter_options import MatterOptions, OptionError, check
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_authority import Authority
from tests.support.node_box import RATINGS, FakeSafety, HandWriter

if TYPE_CHECKING:
    from collections.abc import Callable


TEST_PRODUCT = read_product(Path("/no-such-folder"), "1.2.3")


def free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def device(folder: Path, mark: bytes | None = None, **options: Any) -> MatterDevice:
    clock = VirtualClock()
    box = ChargePoint(clock, RATINGS, SIMULATED_INSTALLATION, StartupState(), HandWriter())
    box.on_snapshot(FakeSafety(clock).snapshot())
    charger = ChargePointAdapter(box, lambda: None)
    chosen = MatterOptions(**{"port": free_port(), "interfaces": ("no-such-interface",), **options})

    async def key_values() -> KeyValueStore:
        return SqliteStore(folder / "evse.db")

    return MatterDevice(
        chosen, Equipment(True, True, "sdm72d_m"), key_values, folder, charger, retry_s=0.05, mark=lambda: mark
    )


async def come_up(one: MatterDevice) -> asyncio.Task[None]:
    task = asyncio.create_task(one.run())
    await until(lambda: one.running)
    return task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (what is waited for sends no notice)
            await asyncio.sleep(0.01)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=0", "1 to 65535"),
        ("--port=x", "1 to 65535"),
        ("--discriminator=4096", "0 to 4095"),
        ("--passcode=11111111", "trivial"),
        ("--passcode=0", "1 to 99999998"),
        ("--enable-key=00", "32 hex digits"),
        (f"--enable-key={'0' * 32}", "not all 0"),
        ("--features=pref,nfc", "'nfc' is unknown; allowed are pref, soc, pnc, rfid, v2x"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(argument: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check([argument])


def test_options_that_can_be_are_taken() -> None:
    check(
        ["--port=5541", "--discriminator=0", "--passcode=20202021", f"--enable-key={'1' * 32}", "--features=RFID, pref"]
    )


async def test_codes_are_made_once_and_kept_unless_told_otherwise(tmp_path: Path) -> None:
    first = device(tmp_path)
    with pytest.raises(Refusal, match="has not come up"):
        first.codes()
    await end(await come_up(first))
    codes = first.codes()
    assert 1 <= codes.passcode <= 99_999_998
    second = device(tmp_path)
    await end(await come_up(second))
    assert second.codes() == codes
    third = device(tmp_path, passcode=20202021, discriminator=3840)
    await end(await come_up(third))
    assert (third.codes().passcode, third.codes().discriminator) == (20202021, 3840)
    assert third.codes().manual == "34970112332"


async def test_a_fresh_device_is_open_and_governs_nothing(tmp_path: Path) -> None:
    one = device(tmp_path)
    task = await come_up(one)
    told = one.describe()
    assert (told.running, told.commissioned, told.window, told.test_credentials) == (
        True,
        False,
        Window.BASIC,
        True,
    )
    assert not one.commissioned
    with pytest.raises(Refusal, match="fabric: 3 is unknown; there are none") as unknown:
        one.remove(3)
    assert unknown.value.at == AtFault("fabric", 3, Allowed())
    await end(task)
    assert not one.running
    with pytest.raises(Refusal, match="does not run"):
        one.open_window()


async def test_a_fabric_that_is_unknown_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    one = device(tmp_path)
    task = await come_up(one)
    assert one._node is not None
    for authority in (Authority(0xFAB1, "first"), Authority(0xFAB2, "second")):
        key = OperationalKey.generate(SystemEntropy())
        credentials = NodeCredentials(authority.issue(1, key.public_key), authority.icac, key)
        one._node.ownership.fabrics.add(authority.root, credentials, authority.ipk, admin_vendor_id=0xFFF1)
    with pytest.raises(Refusal, match=r"^fabric: 3 is unknown; one of 1, 2$") as unknown:
        one.remove(3)
    assert unknown.value.at == AtFault("fabric", 3, Allowed(words=("1", "2")))
    await end(task)


async def test_a_taken_port_is_told_and_tried_again_while_the_endpoints_are_up(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 0))
        one = device(tmp_path, port=int(holder.getsockname()[1]))
        task = asyncio.create_task(one.run())
        await until(lambda: one.trouble is not None)
        assert "Address already in use" in (one.trouble or "")
        assert one.ready
        assert not one.running
    await until(lambda: one.running)
    assert one.trouble is None
    await end(task)


async def test_credentials_that_do_not_fit_are_told_and_nothing_is_served(tmp_path: Path) -> None:
    (tmp_path / "attestation").mkdir()
    one = device(tmp_path)
    task = asyncio.create_task(one.run())
    await until(lambda: one.trouble is not None)
    assert "product.toml" in (one.trouble or "")
    assert not one.ready
    await end(task)


def test_a_product_is_a_vendor_s_own_or_the_test_product(tmp_path: Path) -> None:
    assert read_product(tmp_path / "attestation", "1.2.3").vendor_id == 0xFFF1
    folder = tmp_path / "attestation"
    folder.mkdir()
    file = folder / "product.toml"
    file.write_text('vendor_id = 4660\nproduct_id = 1\nvendor_name = "V"\nproduct_name = "P"\nserial_number = "S1"\n')
    product = read_product(folder, "1.2.3")
    assert (product.vendor_id, product.product_name, product.serial_number) == (4660, "P", "S1")
    assert (product.software_version, product.software_version_string) == (1 << 20 | 2 << 10 | 3, "1.2.3")
    for line, words in (
        ("vendor_id = 70000", "vendor_id: 70000 is not allowed"),
        ('vendor_id = 1\nproduct_id = 1\nvendor_name = ""\nproduct_name = "P"', "vendor_name: '' is not allowed"),
        ("colour = 1", "colour: unknown key"),
        ("vendor_id = ", "product.toml"),
    ):
        file.write_text(line)
        with pytest.raises(ConfigError, match=words):
            read_product(folder, "1.2.3")


def test_versions_rise_as_numbers() -> None:
    versions = ["0.1.0", "0.1.1", "0.2", "1.0.0rc1", "1.10.0"]
    numbers = [software_number(version) for version in versions]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers)


FIRST, SECOND = b"f" * 16, b"s" * 16


async def test_a_copied_card_is_told_and_makes_an_identity_of_its_own_on_request_only(tmp_path: Path) -> None:
    one = device(tmp_path, FIRST)
    task = await come_up(one)
    store = one._store
    assert store is not None
    codes, dac = one.codes(), one._credentials(store, TEST_PRODUCT).dac()
    assert not one.identity_made_elsewhere
    await end(task)
    copy = device(tmp_path, SECOND)
    task = await come_up(copy)
    assert copy.identity_made_elsewhere
    assert copy.codes() == codes
    copy.make_new_identity()
    await until(lambda: copy.running)
    assert not copy.identity_made_elsewhere
    assert copy.codes().passcode != codes.passcode
    assert copy._credentials(copy._store, TEST_PRODUCT).dac() != dac
    made = copy.codes()
    await end(task)
    again = device(tmp_path, SECOND)
    task = await come_up(again)
    assert (again.identity_made_elsewhere, again.codes()) == (False, made)
    await end(task)


async def test_the_identity_of_a_replaced_machine_is_kept_on_request(tmp_path: Path) -> None:
    task = await come_up(one := device(tmp_path, FIRST))
    codes = one.codes()
    await end(task)
    task = await come_up(other := device(tmp_path, SECOND))
    other.keep_identity()
    assert not other.identity_made_elsewhere
    await end(task)
    task = await come_up(other := device(tmp_path, SECOND))
    assert (other.identity_made_elsewhere, other.codes()) == (False, codes)
    await end(task)


async def test_a_box_from_before_the_mark_is_this_machine_s_own(tmp_path: Path) -> None:
    await end(await come_up(device(tmp_path)))
    task = await come_up(one := device(tmp_path, FIRST))
    assert not one.identity_made_elsewhere
    await end(task)


def test_a_machine_is_known_by_its_serial_number_and_else_by_its_id_and_neither_is_shown(tmp_path: Path) -> None:
    assert machine_mark(tmp_path) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("b08dfa6083e7567a1921a715000001fb\n")
    by_id = machine_mark(tmp_path)
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    serial = tmp_path / "proc/device-tree/serial-number"
    serial.write_bytes(b"10000000abcdef01\0")
    by_serial = machine_mark(tmp_path)
    (tmp_path / "etc/machine-id").unlink()
    assert machine_mark(tmp_path) == by_serial
    assert by_serial not in (None, by_id)
    assert b"abcdef01" not in (by_serial or b"")
    serial.write_bytes(b"0000000000000000\0")
    assert machine_mark(tmp_path) is None
