"""The device side of the secure channel for tests: stack, PASE, CASE and real fabrics, without a data model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from evse_pi.matter.channel.case import CaseResponder
from evse_pi.matter.channel.crypto import Aead
from evse_pi.matter.channel.pase import PaseResponder, PaseVerifier
from evse_pi.matter.channel.peer_session import MessageCounter, PeerSession, ReceptionWindow, SessionParameters
from evse_pi.matter.channel.responder import SecureChannelResponder
from evse_pi.matter.channel.stack import MessageStack
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.fabric import FabricTable, NodeCredentials
from evse_pi.matter.identity.group_keys import GroupKeyStore
from evse_pi.matter.identity.resumption import ResumptionStore
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL, PROTOCOL_SECURE_CHANNEL
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_authority import CountingEntropy

if TYPE_CHECKING:
    from collections.abc import Hashable

    from evse_pi.matter.channel.exchange import Exchange, Message
    from evse_pi.matter.channel.transport import DatagramTransport
    from evse_pi.matter.identity.fabric import Fabric
    from tests.support.matter_authority import Authority

PASSCODE = 20202021
VERIFIER = PaseVerifier.from_passcode(PASSCODE, b"SPAKE2P Key Salt", 1000)
NODE_ID = 0x0D0E


class ChannelDevice:
    """Answers handshakes, and echoes each interaction model message with opcode + 1."""

    def __init__(self, transport: DatagramTransport, *, entropy: Any = None) -> None:
        self.entropy = entropy or CountingEntropy("device")
        store = MemoryStore()
        self.fabrics = FabricTable(store, GroupKeyStore(store))
        self.resumptions = ResumptionStore(store)
        self.stack = MessageStack(entropy=self.entropy, session_parameters=SessionParameters())
        self.pase = PaseResponder(self.stack)
        self.case = CaseResponder(
            self.stack, fabrics=self.fabrics, resumptions=self.resumptions, clock=VirtualClock(unix_s=None)
        )
        self.established: list[PeerSession] = []
        self.pase.on_session(self.established.append)
        self.case.on_session(self.established.append)
        responder = SecureChannelResponder(self.stack.sessions, pase=self.pase, case=self.case)
        self.stack.serve(PROTOCOL_SECURE_CHANNEL, responder)
        self.stack.serve(PROTOCOL_INTERACTION_MODEL, self.echo)
        self.handled: list[Message] = []
        self._transport = transport

    async def __aenter__(self) -> Self:
        await self.stack.start(self._transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.stop()
        self.resumptions.flush()

    async def echo(self, exchange: Exchange, message: Message) -> None:
        self.handled.append(message)
        await exchange.send(message.opcode + 1, message.payload)

    def join(self, authority: Authority, node_id: int = NODE_ID) -> Fabric:
        key = OperationalKey.generate(self.entropy)
        credentials = NodeCredentials(authority.issue(node_id, key.public_key), authority.icac, key)
        return self.fabrics.add(authority.root, credentials, authority.ipk, admin_vendor_id=0xFFF1)


def pair(
    ours: MessageStack, our_address: Hashable, theirs: MessageStack, their_address: Hashable
) -> tuple[PeerSession, PeerSession]:
    """Install a CASE session on both stacks without a handshake and return both ends, ours as its initiator."""
    keys = Aead(b"I2RKey.I2RKey.16"), Aead(b"R2IKey.R2IKey.16")
    ends = []
    for stack, peer_address, local, peer, (sealing, opening) in (
        (ours, their_address, 1, 2, keys),
        (theirs, our_address, 2, 1, keys[::-1]),
    ):
        session = PeerSession(
            accessor=Accessor(AuthMode.CASE, 1, node_id=peer),
            address=peer_address,
            counter=MessageCounter(stack.entropy),
            window=ReceptionWindow(restarts=False),
            local_id=local,
            peer_id=peer,
            local_node_id=local,
            sealing=sealing,
            opening=opening,
        )
        stack.sessions.add(session)
        ends.append(session)
    return ends[0], ends[1]
