"""Handshakes of a real controller, replayed with the node's recorded random numbers.

`chip_handshakes.json` holds what the CHIP SDK's controller sent while it commissioned a node and came back, what the
node drew and answered, and the first encrypted request on each session. The keys in it were made for the recording.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.channel.secure_channel import SecureChannelOpcode
from evse_pi.matter.identity.fabric import NodeCredentials
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL, MessageHeader, ProtocolHeader
from tests.support.channel_device import ChannelDevice
from tests.support.datagram_pipe import Network
from tests.support.matter_authority import CountingEntropy
from tests.support.virtual_loop import virtual_time

if TYPE_CHECKING:
    from evse_pi.matter.channel.peer_session import PeerSession

RECORDING = json.loads(Path(__file__).with_name("chip_handshakes.json").read_text())
JITTER_LIMIT = 251


class Replay(CountingEntropy):
    """Gives the recorded random numbers in their order; retransmission jitter is not part of a handshake."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[Any] = []

    def octets(self, count: int) -> bytes:
        if not self.recorded:
            return super().octets(count)
        octets = bytes.fromhex(self.recorded.pop(0))
        assert len(octets) == count
        return octets

    def below(self, limit: int) -> int:
        if limit == JITTER_LIMIT:
            return 0
        if not self.recorded:
            return super().below(limit)
        recorded_limit, value = self.recorded.pop(0)
        assert int(recorded_limit) == limit
        return int(value)


class RecordedKey(OperationalKey):
    """Signs with the recorded signature, since ECDSA is randomised."""

    signature = b""

    def sign(self, data: bytes) -> bytes:
        return self.signature


def join_recorded_fabric(device: ChannelDevice) -> RecordedKey:
    octets = {name: bytes.fromhex(value) for name, value in RECORDING["fabric"].items()}
    key = RecordedKey.from_scalar(octets["operational_key"])
    credentials = NodeCredentials(octets["noc"], octets["icac"], key)
    device.fabrics.add(octets["root"], credentials, octets["ipk_epoch_key"], admin_vendor_id=0xFFF1)
    return key


def header_of(datagram: str) -> ProtocolHeader:
    octets = bytes.fromhex(datagram)
    return ProtocolHeader.decode(octets[MessageHeader.decode(octets)[1] :])[0]


async def replay(device: ChannelDevice, network: Network, handshake: dict[str, Any]) -> PeerSession:
    """Let the controller's datagrams arrive, compare the node's answers and return the session."""
    entropy: Any = device.entropy
    entropy.recorded = list(handshake["random"])
    acknowledged = header_of(handshake["received"][1]).acknowledged_counter
    assert acknowledged is not None
    device.stack.unsecured._counter._next = acknowledged
    network.sent.clear()
    for datagram in handshake["received"]:
        device.stack.receive(bytes.fromhex(datagram), "controller")
        await asyncio.sleep(0.01)
    answers = []
    for sent in network.sent:
        _, offset = MessageHeader.decode(sent.datagram)
        protocol, length = ProtocolHeader.decode(sent.datagram[offset:])
        if protocol.opcode != SecureChannelOpcode.STANDALONE_ACK:
            answers.append([protocol.opcode, sent.datagram[offset + length :].hex()])
    assert answers == handshake["sent"]
    assert entropy.recorded == []
    return device.established[-1]


def opens_first_request(session: PeerSession, handshake: dict[str, Any]) -> bool:
    datagram = bytes.fromhex(handshake["first_request"])
    header, offset = MessageHeader.decode(datagram)
    assert header.session_id == session.local_id
    protocol, _ = ProtocolHeader.decode(session.open(datagram, offset))
    return protocol.protocol_id == PROTOCOL_INTERACTION_MODEL


@virtual_time
async def test_a_real_controllers_handshakes_lead_to_sessions_that_open_its_requests() -> None:
    network = Network()
    async with ChannelDevice(network.endpoint("device"), entropy=Replay()) as device:
        key = join_recorded_fabric(device)
        salt = bytes.fromhex(RECORDING["salt"])
        device.pase.open(PaseVerifier.from_passcode(RECORDING["passcode"], salt, RECORDING["iterations"]))
        for handshake in RECORDING["handshakes"]:
            key.signature = bytes.fromhex(handshake["signature"] or "")
            session = await replay(device, network, handshake)
            assert opens_first_request(session, handshake), handshake["name"]
        peers = [(session.fabric_index, session.peer_node_id) for session in device.established]
        assert peers == [(0, 0), (1, 112233), (1, 112233)]
