"""What the end of a fail-safe, and of a fabric, takes back, and that subscribers hear of it.

Source: Matter core 11.10.7.2 and 11.18.6.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from chip.tlv import uint

from evse_pi.matter.identity.issuance import NocStatus
from evse_pi.matter.wire.status_code import StatusCode
from tests.support.matter_authority import Authority
from tests.support.matter_bench import NODE_ID, PASSCODE, Bench, add_fabric, requested_key
from tests.support.virtual_loop import virtual_time
from tests.unit.matter.clusters.test_commissioning import OK, OTHER, OUT_OF_RANGE, open_window

if TYPE_CHECKING:
    from evse_pi.matter.channel.peer_session import PeerSession
    from tests.support.matter_initiator import MatterInitiator

GENERAL, CREDENTIALS, WINDOW, ACL, BASIC = 0x30, 0x3E, 0x3C, 0x1F, 0x28
BREADCRUMB, REGULATORY_CONFIG, LOCATION = (0, GENERAL, 0), (0, GENERAL, 2), (0, BASIC, 6)
NOCS, FABRICS, ROOTS = (0, CREDENTIALS, 0), (0, CREDENTIALS, 1), (0, CREDENTIALS, 4)
VERSIONED = 0xFFFD
"""An attribute that never changes: a report of it only brings the cluster's data version."""


async def value(controller: MatterInitiator, session: PeerSession, path: tuple[int, int, int]) -> Any:
    return (await controller.read(session, path)).attributes[path]


async def arm(controller: MatterInitiator, session: PeerSession, expiry_s: int, breadcrumb: int) -> int:
    answer = await controller.invoke(session, 0, GENERAL, 0, {0: uint(expiry_s), 1: uint(breadcrumb)})
    return int(answer.fields[0])


async def renew(controller: MatterInitiator, session: PeerSession, node_id: int = 0x0E0F) -> None:
    key = await requested_key(controller, session, for_update=True)
    answer = await controller.invoke(session, 0, CREDENTIALS, 7, {0: Authority().issue(node_id, key)})
    assert answer.fields[0] == NocStatus.OK


@virtual_time
async def test_the_breadcrumb_is_0_after_a_fail_safe_was_given_up() -> None:
    """matter.js gives a failed attempt up with the breadcrumb that it had reached; the SDK begins at what it reads."""
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        assert await arm(controller, session, 60, 3) == OK
        assert await value(controller, session, BREADCRUMB) == 3
        assert await arm(controller, session, 0, 1) == OK
        controller, session = await device.commission(name="next")
        assert await arm(controller, session, 0, 5) == OK
        assert await value(controller, session, BREADCRUMB) == 0


@virtual_time
async def test_the_next_commissioner_reads_0_after_each_way_in_which_an_attempt_can_end() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        for end in ("given up", "timer", "revoked"):
            opened = await controller.invoke(session, 0, WINDOW, 0, open_window(), timed_ms=1000)
            assert opened.status == StatusCode.SUCCESS, end
            other = await device.controller(f"other {end}")
            pase = await other.pase(PASSCODE)
            await add_fabric(other, pase, OTHER)
            assert await arm(other, pase, 60, 9) == OK
            assert await value(controller, session, BREADCRUMB) == 9
            if end == "given up":
                assert await arm(other, pase, 0, 9) == OK
            elif end == "timer":
                await asyncio.sleep(61)
            revoked = await controller.invoke(session, 0, WINDOW, 2, timed_ms=1000)
            assert revoked.status == StatusCode.SUCCESS, end
            assert await value(controller, session, BREADCRUMB) == 0, end
            assert [fabric.index for fabric in device.node.ownership.fabrics] == [1]


@virtual_time
async def test_a_place_that_does_not_exist_is_answered_by_the_command_and_changes_nothing() -> None:
    """Source: Matter core 11.10.7.4, ValueOutsideRange; TC-CGEN-2.5 sends location 3."""
    async with Bench() as device:
        controller, session = await device.commission()
        wrong = await controller.invoke(session, 0, GENERAL, 2, {0: uint(3), 1: "DE", 2: uint(7)})
        assert wrong.fields[0] == OUT_OF_RANGE
        assert await value(controller, session, BREADCRUMB) == 0
        assert await value(controller, session, LOCATION) == "XX"
        missing = await controller.invoke(session, 0, GENERAL, 2, {1: "DE", 2: uint(7)})
        assert missing.status == StatusCode.INVALID_COMMAND


@virtual_time
async def test_a_certificate_of_no_kind_is_an_invalid_command() -> None:
    """Source: Matter core 11.18.6.3."""
    async with Bench() as device:
        controller = await device.controller()
        session = await controller.pase(PASSCODE)
        for kind in (0, 3, 255):
            answer = await controller.invoke(session, 0, CREDENTIALS, 2, {0: uint(kind)})
            assert answer.status == StatusCode.INVALID_COMMAND, kind


@virtual_time
async def test_what_is_said_of_a_fabric_after_its_new_certificate_goes_with_it() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        before = await value(controller, session, FABRICS), await value(controller, session, NOCS)
        await arm(controller, session, 60, 1)
        await renew(controller, session)
        said = {0: uint(0xFFF2), 1: bytes(85), 2: b"signer"}
        assert (await controller.invoke(session, 0, CREDENTIALS, 12, said)).status == StatusCode.SUCCESS
        assert (await controller.invoke(session, 0, CREDENTIALS, 9, {0: "home"})).fields[0] == NocStatus.OK
        (fabric,) = await value(controller, session, FABRICS)
        assert (fabric[2], fabric[5], fabric[6]) == (0xFFF2, "home", bytes(85))
        assert (await value(controller, session, NOCS))[0][3] == b"signer"
        await arm(controller, session, 0, 1)
        assert (await value(controller, session, FABRICS), await value(controller, session, NOCS)) == before


@virtual_time
async def test_what_is_said_of_a_fabric_without_a_new_certificate_stays() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        await arm(controller, session, 60, 1)
        said = {0: uint(0xFFF2), 1: bytes(85), 2: b"signer"}
        assert (await controller.invoke(session, 0, CREDENTIALS, 12, said)).status == StatusCode.SUCCESS
        await arm(controller, session, 0, 1)
        (fabric,) = await value(controller, session, FABRICS)
        assert (fabric[2], fabric[6]) == (0xFFF2, bytes(85))
        assert (await value(controller, session, NOCS))[0][3] == b"signer"


@virtual_time
async def test_what_is_said_of_a_fabric_is_kept_with_its_new_certificate() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        await arm(controller, session, 60, 1)
        await renew(controller, session, NODE_ID)
        said = {0: uint(0xFFF2), 1: bytes(85), 2: b"signer"}
        assert (await controller.invoke(session, 0, CREDENTIALS, 12, said)).status == StatusCode.SUCCESS
        assert (await controller.invoke(session, 0, GENERAL, 4)).fields[0] == OK
    async with Bench(store=device.store) as again:
        (fabric,) = again.node.ownership.fabrics
        assert fabric.admin_vendor_id == 0xFFF2
        record = again.node.tree.root.servers[CREDENTIALS]._verification.of(1)  # type: ignore[attr-defined]
        assert (record.statement, record.vvsc) == (bytes(85), b"signer")


@virtual_time
async def test_a_root_that_waited_changes_the_data_version_when_it_goes() -> None:
    """TrustedRootCertificates is not reported on change (quality C), but a version says that a value is still true."""
    async with Bench() as device:
        controller, session = await device.commission()
        await arm(controller, session, 60, 1)
        added = await controller.invoke(session, 0, CREDENTIALS, 11, {0: OTHER.root})
        assert added.status == StatusCode.SUCCESS
        assert len(await value(controller, session, ROOTS)) == 2
        version = device.node.tree.root.servers[CREDENTIALS].data_version
        await arm(controller, session, 0, 1)
        assert len(await value(controller, session, ROOTS)) == 1
        assert device.node.tree.root.servers[CREDENTIALS].data_version != version


@virtual_time
async def test_who_opened_the_window_is_told_to_be_gone_with_its_fabric() -> None:
    async with Bench() as device:
        controller, session = await device.commission()
        device.node.open_commissioning_window()
        other, other_session = await device.commission(OTHER, name="other")
        opened = await other.invoke(other_session, 0, WINDOW, 0, open_window(), timed_ms=1000)
        assert opened.status == StatusCode.SUCCESS
        subscription = await controller.subscribe(
            session, (0, WINDOW, None), (0, ACL, 0), min_s=0, fabric_filtered=False
        )
        assert subscription.priming.attributes[0, WINDOW, 1] == 2
        await controller.invoke(session, 0, CREDENTIALS, 10, {0: uint(2)})
        told: dict[Any, Any] = {}
        while len(told) < 2:
            told |= (await asyncio.wait_for(subscription.reports.get(), 30)).attributes
        assert told[0, WINDOW, 1] is None
        assert [entry[254] for entry in told[0, ACL, 0]] == [1]
