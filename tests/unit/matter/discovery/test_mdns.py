"""The advertiser on the loopback interface, asked by a resolver of our own and watched by a plain socket."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
from zeroconf._dns import DNSQuestion
from zeroconf._protocol.incoming import DNSIncoming
from zeroconf._protocol.outgoing import DNSOutgoing

from evse_pi.matter.channel.peer_session import SessionParameters
from evse_pi.matter.discovery.host_interfaces import HostInterface, network_interfaces
from evse_pi.matter.discovery.mdns import Advertiser, CommissionableService, OperationalService
from tests.support.matter_authority import CountingEntropy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = HostInterface("lo", 1, bytes.fromhex("0a0b0c0d0e0f"), (socket.inet_aton("127.0.0.1"),))
GROUP, PORT = "224.0.0.251", 5353
PTR, TXT, SRV, A = 12, 16, 33, 1

LAMP = CommissionableService("0123456789ABCDEF", 3840, 0xFFF1, 0x8001, 0x0100, "Lamp")
FABRIC = OperationalService(bytes.fromhex("0011223344556677"), 0x1234)


class Listener(asyncio.DatagramProtocol):
    """Another responder of this machine: shares the port and hears every multicast response."""

    def __init__(self) -> None:
        self.responses: asyncio.Queue[DNSIncoming] = asyncio.Queue()
        self.senders: asyncio.Queue[str] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = DNSIncoming(data)
        if message.is_response():
            self.responses.put_nowait(message)
            self.senders.put_nowait(addr[0])

    async def records(self, name: str, kind: int, *, ttl: int | None = None) -> list[Any]:
        """Wait for a response that has such records, and return them."""
        async with asyncio.timeout(5):
            while True:
                message = await self.responses.get()
                found = [one for one in message.answers() if one.type == kind and one.name.lower() == name.lower()]
                if ttl is not None:
                    found = [one for one in found if one.ttl == ttl]
                if found:
                    return found

    def drain(self) -> None:
        while not self.responses.empty():
            self.responses.get_nowait()

    def ask(self, kind: int, *names: str) -> None:
        question = DNSOutgoing(0)
        for name in names:
            question.add_question(DNSQuestion(name, kind, 1))
        self.transport.sendto(question.packets()[0], (GROUP, PORT))


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("", PORT))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1"))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    sock.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Listener, sock=sock)
    yield protocol
    transport.close()


@pytest.fixture
async def advertiser() -> AsyncIterator[Advertiser]:
    one = Advertiser(
        port=5540, parameters=SessionParameters(), entropy=CountingEntropy("mdns"), interfaces=lambda: [LOOPBACK]
    )
    await one.start()
    yield one
    await one.stop()


async def test_an_open_window_is_announced_at_once_with_all_its_records(
    listener: Listener, advertiser: Advertiser
) -> None:
    advertiser.commissionable(LAMP)
    async with asyncio.timeout(5):
        message = await listener.responses.get()
    answers = message.answers()
    pointers = {one.name for one in answers if one.type == PTR}
    assert pointers == {
        "_matterc._udp.local.",
        "_L3840._sub._matterc._udp.local.",
        "_S15._sub._matterc._udp.local.",
        "_CM._sub._matterc._udp.local.",
        "_V65521._sub._matterc._udp.local.",
        "_T256._sub._matterc._udp.local.",
    }
    service: Any
    (service,) = [one for one in answers if one.type == SRV]
    assert (service.name, service.port, service.server) == (
        "0123456789ABCDEF._matterc._udp.local.",
        5540,
        "0A0B0C0D0E0F.local.",
    )
    (text,) = [one for one in answers if one.type == TXT]
    for entry in (
        b"D=3840",
        b"CM=1",
        b"VP=65521+32769",
        b"DT=256",
        b"DN=Lamp",
        b"PH=33",
        b"SII=500",
        b"SAI=300",
        b"SAT=4000",
    ):
        assert bytes((len(entry),)) + entry in text.text  # type: ignore[attr-defined]
    assert [one.address for one in answers if one.type == A] == [socket.inet_aton("127.0.0.1")]  # type: ignore[attr-defined]


async def test_questions_for_the_type_and_every_subtype_are_answered(
    listener: Listener, advertiser: Advertiser
) -> None:
    advertiser.commissionable(LAMP)
    subtypes = ("_L3840", "_S15", "_CM", "_V65521", "_T256")
    names = ["_matterc._udp.local.", *(f"{one}._sub._matterc._udp.local." for one in subtypes)]
    await listener.records(names[0], PTR)
    listener.drain()
    listener.ask(PTR, *names)
    async with asyncio.timeout(5):
        message = await listener.responses.get()
    pointers = {one.name: one.alias for one in message.answers() if one.type == PTR}  # type: ignore[attr-defined]
    assert pointers == dict.fromkeys(names, "0123456789ABCDEF._matterc._udp.local.")


async def test_a_fabric_is_found_by_its_name_and_by_its_compressed_id(
    listener: Listener, advertiser: Advertiser
) -> None:
    advertiser.operational([FABRIC])
    name = "0011223344556677-0000000000001234._matter._tcp.local."
    (pointer,) = await listener.records("_I0011223344556677._sub._matter._tcp.local.", PTR)
    assert pointer.alias == name
    listener.drain()
    listener.ask(SRV, name)
    service: Any
    (service,) = await listener.records(name, SRV)
    assert service.port == 5540


async def test_what_is_withdrawn_gets_a_goodbye_and_no_more_answers(listener: Listener, advertiser: Advertiser) -> None:
    other = OperationalService(bytes(8), 7)
    advertiser.commissionable(LAMP)
    advertiser.operational([FABRIC, other])
    advertiser.operational([other])
    advertiser.commissionable(None)
    await listener.records("_I0011223344556677._sub._matter._tcp.local.", PTR, ttl=0)
    await listener.records("_CM._sub._matterc._udp.local.", PTR, ttl=0)
    listener.drain()
    listener.ask(PTR, "_CM._sub._matterc._udp.local.", "_matter._tcp.local.")
    (pointer,) = await listener.records("_matter._tcp.local.", PTR)
    assert pointer.alias == "0000000000000000-0000000000000007._matter._tcp.local."


async def test_stopping_says_goodbye(listener: Listener, advertiser: Advertiser) -> None:
    advertiser.operational([FABRIC])
    await advertiser.stop()
    await listener.records("_matter._tcp.local.", PTR, ttl=0)


async def test_announcements_are_repeated(listener: Listener, advertiser: Advertiser) -> None:
    advertiser.operational([FABRIC])
    await listener.records("_matter._tcp.local.", PTR)
    await listener.records("_matter._tcp.local.", PTR)


async def test_a_new_address_is_announced_without_being_asked(listener: Listener) -> None:
    present: list[HostInterface] = []
    one = Advertiser(
        port=5540, parameters=SessionParameters(), entropy=CountingEntropy("late"), interfaces=lambda: present
    )
    await one.start()
    one.operational([FABRIC])
    present.append(LOOPBACK)
    await one._follow_interfaces()
    service: Any
    (service,) = await listener.records("0011223344556677-0000000000001234._matter._tcp.local.", SRV)
    assert service.server == "0A0B0C0D0E0F.local."
    await one.stop()


def test_a_window_gets_a_random_name_and_a_pairing_instruction_only_if_there_is_one() -> None:
    entropy = CountingEntropy("names")
    fields = {"discriminator": 1, "vendor_id": 1, "product_id": 1, "device_type": 1, "device_name": "x" * 40}
    first, second = (CommissionableService.named(entropy, **fields) for _ in range(2))
    assert first.instance != second.instance
    assert len(first.instance) == 16
    assert first.properties()["DN"] == "x" * 32
    assert "PI" not in first.properties()
    assert CommissionableService.named(entropy, **fields, pairing_instruction="5").properties()["PI"] == "5"


def test_loopback_is_no_interface_to_be_found_on() -> None:
    assert "lo" not in {interface.name for interface in network_interfaces()}
    assert network_interfaces(["no such interface"]) == ()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_address_that_is_not_there_yet_is_tried_again(listener: Listener) -> None:
    """Zeroconf leaves the socket that it could not use to the garbage collector."""
    absent = HostInterface("eth9", 1, b"", (socket.inet_aton("192.0.2.1"),))
    present = [absent]
    one = Advertiser(
        port=5540, parameters=SessionParameters(), entropy=CountingEntropy("absent"), interfaces=lambda: present
    )
    await one.start()
    gc.collect()
    one.operational([FABRIC])
    present[:] = [LOOPBACK]
    await one._follow_interfaces()
    await listener.records("0011223344556677-0000000000001234._matter._tcp.local.", SRV)
    await one.stop()


async def test_a_node_without_a_hardware_address_has_a_random_host_name(listener: Listener) -> None:
    nameless = HostInterface("lo", 1, bytes(6), LOOPBACK.addresses)
    one = Advertiser(
        port=5540, parameters=SessionParameters(), entropy=CountingEntropy("nameless"), interfaces=lambda: [nameless]
    )
    await one.start()
    one.operational([FABRIC])
    service: Any
    (service,) = await listener.records("0011223344556677-0000000000001234._matter._tcp.local.", SRV)
    assert len(service.server) == len("0123456789ABCDEF.local.")
    await one.stop()


async def test_the_enumeration_of_services_tells_types_as_they_are_written_and_no_subtypes(
    listener: Listener, advertiser: Advertiser
) -> None:
    """Source: RFC 6763 9: two labels each; Matter core 4.3.1.4 writes `_L3840`, `_CM` and `_V65521` in this case."""
    advertiser.commissionable(LAMP)
    advertiser.operational([FABRIC])
    await listener.records("_I0011223344556677._sub._matter._tcp.local.", PTR)
    listener.drain()
    listener.ask(PTR, "_services._dns-sd._udp.local.")
    found = await listener.records("_services._dns-sd._udp.local.", PTR)
    assert sorted(one.alias for one in found) == ["_matter._tcp.local.", "_matterc._udp.local."]


async def test_no_answer_has_another_case_than_the_specification(listener: Listener, advertiser: Advertiser) -> None:
    """A resolver that asks in lower case, as it may, gets the names as they are. Source: RFC 6762 16."""
    advertiser.commissionable(LAMP)
    await listener.records("_CM._sub._matterc._udp.local.", PTR)
    for written, kind in (
        ("_L3840._sub._matterc._udp.local.", PTR),
        ("_V65521._sub._matterc._udp.local.", PTR),
        ("0123456789ABCDEF._matterc._udp.local.", SRV),
        ("0123456789ABCDEF._matterc._udp.local.", TXT),
        ("0A0B0C0D0E0F.local.", A),
    ):
        listener.drain()
        listener.ask(kind, written.lower())
        (record,) = await listener.records(written, kind)
        assert record.name == written
        told = getattr(record, "alias", getattr(record, "server", None))
        assert told in (None, "0123456789ABCDEF._matterc._udp.local.", "0A0B0C0D0E0F.local.")


async def test_each_interface_tells_its_own_addresses_alone(listener: Listener) -> None:
    """Two links of one machine, here two addresses of one interface: on none of them is the other's address told."""
    first = HostInterface("lan", 1, bytes.fromhex("0a0b0c0d0e0f"), (socket.inet_aton("127.0.0.1"),))
    second = HostInterface("wlan", 1, bytes.fromhex("0a0b0c0d0e10"), (socket.inet_aton("127.0.0.2"),))
    one = Advertiser(
        port=5540, parameters=SessionParameters(), entropy=CountingEntropy("two"), interfaces=lambda: [first, second]
    )
    await one.start()
    one.operational([FABRIC])
    told: dict[str, set[str]] = {}
    async with asyncio.timeout(5):
        while set(told) != {"127.0.0.1", "127.0.0.2"}:
            message, sender = await listener.responses.get(), await listener.senders.get()
            found = {socket.inet_ntoa(each.address) for each in message.answers() if each.type == A}  # type: ignore[attr-defined]
            told.setdefault(sender, set()).update(found)
    assert told == {"127.0.0.1": {"127.0.0.1"}, "127.0.0.2": {"127.0.0.2"}}
    await one.stop()


async def test_an_interface_that_goes_takes_no_other_with_it(listener: Listener) -> None:
    present = [LOOPBACK, HostInterface("wlan", 1, b"", (socket.inet_aton("127.0.0.2"),))]
    one = Advertiser(
        port=5540, parameters=SessionParameters(), entropy=CountingEntropy("gone"), interfaces=lambda: list(present)
    )
    await one.start()
    one.operational([FABRIC])
    stays = next(link for link in one._links if link.interface is LOOPBACK)
    present.pop()
    await one._follow_interfaces()
    assert one._links == [stays]
    listener.drain()
    listener.ask(PTR, "_matter._tcp.local.")
    await listener.records("_matter._tcp.local.", PTR)
    await one.stop()
