from __future__ import annotations

import asyncio
import socket

import pytest

from evse_pi.matter.channel.transport import MAX_DATAGRAMS_PER_WAKE_UP, UdpTransport
from tests.support.channel_device import NODE_ID, PASSCODE, VERIFIER, ChannelDevice
from tests.support.matter_authority import Authority, CountingEntropy
from tests.support.matter_initiator import MatterInitiator, Member

LOCALHOSTS = {"IPv6": "::1", "IPv4": "::ffff:127.0.0.1"}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")


@needs_ipv6
@pytest.mark.parametrize("family", LOCALHOSTS)
async def test_one_socket_serves_both_families_from_handshake_to_request(family: str) -> None:
    transport = UdpTransport(port=0)
    authority = Authority(seed="udp")
    async with (
        ChannelDevice(transport) as device,
        MatterInitiator(UdpTransport(port=0), (LOCALHOSTS[family], transport.port)) as client,
    ):
        device.pase.open(VERIFIER)
        device.join(authority)
        session = await client.pase(PASSCODE)
        assert (await client.request(session, 2, b"hello")).payload == b"hello"
        member = Member.of(authority, 1, CountingEntropy("udp"))
        for is_resumed in (False, True):
            session = await client.case(member, NODE_ID)
            assert client.was_resumed == is_resumed
            assert (await client.request(session, 2, bytes(1178))).payload == bytes(1178)


@needs_ipv6
async def test_a_burst_is_taken_in_portions() -> None:
    receiving, sending = UdpTransport(port=0), UdpTransport(port=0)
    received: list[bytes] = []
    receiving.start(lambda datagram, _: received.append(datagram))
    for number in range(MAX_DATAGRAMS_PER_WAKE_UP + 5):
        assert sending.send(bytes((number,)), ("::1", receiving.port))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(received) == MAX_DATAGRAMS_PER_WAKE_UP
    for _ in range(5):
        await asyncio.sleep(0)
    assert received == [bytes((number,)) for number in range(MAX_DATAGRAMS_PER_WAKE_UP + 5)]
    receiving.close()
    sending.close()


async def test_an_address_that_cannot_be_reached_is_reported_and_not_raised() -> None:
    transport = UdpTransport(port=0)
    assert not transport.send(bytes(70_000), ("::1", transport.port))
    transport.close()


async def test_a_port_in_use_is_an_error_at_start() -> None:
    transport = UdpTransport(port=0)
    with pytest.raises(OSError, match="in use"):
        UdpTransport(port=transport.port)
    transport.close()
