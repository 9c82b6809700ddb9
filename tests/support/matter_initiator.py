"""A small Matter controller for tests: PASE, CASE with resumption, and the interaction model as raw TLV.

It shares framing and MRP with the node and has handshakes and interactions of its own. It runs over a datagram pipe,
`MatterInitiator(network.endpoint("controller"), "device")`, or UDP, `MatterInitiator(UdpTransport(0), ("::1", port))`.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from evse_pi.matter.channel import spake2p
from evse_pi.matter.channel.case import resume_mic, signed_data
from evse_pi.matter.channel.crypto import GROUP_ORDER, Aead, generate_key, hkdf, public_octets, sha256, shared_secret
from evse_pi.matter.channel.pase import passcode_scalars
from evse_pi.matter.channel.peer_session import (
    MAX_UNSECURED_SESSIONS,
    MessageCounter,
    PeerSession,
    ReceptionWindow,
    SessionKeys,
    SessionParameters,
)
from evse_pi.matter.channel.secure_channel import CLOSE_SESSION, SESSION_ESTABLISHED, SecureChannelOpcode, StatusReport
from evse_pi.matter.channel.stack import MessageStack
from evse_pi.matter.environment import Entropy, SystemEntropy
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.certificate import MatterCertificate, verify_chain
from evse_pi.matter.identity.signing import OperationalKey, is_valid_signature
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL, PROTOCOL_SECURE_CHANNEL
from evse_pi.matter.wire.tlv import TLVList, uint
from tests.support.interaction_messages import (
    INVOKE_REQUEST,
    INVOKE_RESPONSE,
    READ_REQUEST,
    REPORT_DATA,
    REVISION,
    STATUS_RESPONSE,
    SUBSCRIBE_REQUEST,
    SUBSCRIBE_RESPONSE,
    TIMED_REQUEST,
    WRITE_REQUEST,
    WRITE_RESPONSE,
    AttributePath,
    InteractionError,
    InvokeResult,
    Report,
    Subscription,
    attribute_path,
    event_path,
    fields_of,
    requested,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from evse_pi.matter.channel.exchange import Exchange, Message
    from evse_pi.matter.channel.transport import DatagramTransport
    from tests.support.matter_authority import Authority

__all__ = [
    "INVOKE_REQUEST",
    "READ_REQUEST",
    "REPORT_DATA",
    "TIMED_REQUEST",
    "WRITE_REQUEST",
    "HandshakeError",
    "InteractionError",
    "InvokeResult",
    "MatterInitiator",
    "Member",
    "Report",
    "Subscription",
    "attribute_path",
    "event_path",
]


class HandshakeError(Exception):
    def __init__(self, report: StatusReport) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True, slots=True)
class Member:
    """A node of a fabric as CASE sees it."""

    root: bytes
    noc: bytes
    icac: bytes | None
    key: OperationalKey
    operational_ipk: bytes

    @classmethod
    def of(cls, authority: Authority, node_id: int, entropy: Entropy, *, tags: tuple[int, ...] = ()) -> Member:
        key = OperationalKey.generate(entropy)
        noc = authority.issue(node_id, key.public_key, tags=tags)
        return cls(authority.root, noc, authority.icac, key, authority.operational_ipk)

    @property
    def node_id(self) -> int:
        return MatterCertificate.decode(self.noc).node_id or 0

    @property
    def fabric_id(self) -> int:
        return MatterCertificate.decode(self.noc).fabric_id or 0

    def destination_id(self, peer_node_id: int, initiator_random: bytes) -> bytes:
        root_key = MatterCertificate.decode(self.root).public_key
        name = root_key + self.fabric_id.to_bytes(8, "little") + peer_node_id.to_bytes(8, "little")
        return hmac.digest(self.operational_ipk, initiator_random + name, "sha256")


class MatterInitiator:
    """A controller that talks to one device address."""

    def __init__(
        self,
        transport: DatagramTransport,
        device: Hashable,
        *,
        entropy: Entropy | None = None,
        parameters: SessionParameters | None = None,
    ) -> None:
        self.device = device
        self.entropy = entropy or SystemEntropy()
        self.stack = MessageStack(entropy=self.entropy, session_parameters=parameters or SessionParameters())
        self.stack.serve(PROTOCOL_SECURE_CHANNEL, self._on_secure_channel)
        self.stack.serve(PROTOCOL_INTERACTION_MODEL, self._on_report)
        self.resumptions: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        """Resumption id and shared secret by fabric and node id."""
        self.was_resumed = False
        self.subscriptions: dict[int, Subscription] = {}
        self.stray_reports: list[Report] = []
        self._early: dict[int, list[Report]] = {}
        self._transport = transport

    async def __aenter__(self) -> Self:
        await self.stack.start(self._transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.stop()

    def forget_subscriptions(self) -> None:
        """Forget all subscriptions, and the reports of those that are not known."""
        self.subscriptions.clear()
        self.stray_reports.clear()
        self._early.clear()

    # Handshakes

    def handshake_session(self) -> PeerSession:
        """Return a fresh unsecured session under a random ephemeral node id; only the newest ones are kept."""
        sessions = self.stack.unsecured._sessions
        while len(sessions) >= MAX_UNSECURED_SESSIONS:
            del sessions[next(iter(sessions))]
        node_id = 1 + self.entropy.below(2**63)
        session = PeerSession(
            accessor=Accessor(AuthMode.NONE),
            address=self.device,
            counter=self.stack.unsecured._counter,
            window=ReceptionWindow(restarts=True),
            source_node_id=node_id,
        )
        sessions[node_id] = session
        return session

    async def pase(self, passcode: int, *, known: tuple[int, bytes] | None = None) -> PeerSession:
        """Establish a session by passcode; `known` are iterations and salt if the device need not tell them."""
        local_id = self.stack.sessions.reserve_id()
        async with self.stack.initiate(self.handshake_session(), PROTOCOL_SECURE_CHANNEL) as exchange:
            random = self.entropy.octets(32)
            parameters = self.stack.session_parameters.to_tlv()
            request = tlv.encode({1: random, 2: uint(local_id), 3: uint(0), 4: known is not None, 5: parameters})
            response = await self._ask(
                exchange, SecureChannelOpcode.PBKDF_PARAM_REQUEST, request, SecureChannelOpcode.PBKDF_PARAM_RESPONSE
            )
            fields = tlv.decode_fields(response, "PBKDFParamResponse")
            assert fields.octets(1) == random
            iterations, salt = known or (fields.fields(4).unsigned(1, bits=32), fields.fields(4).octets(2))

            w0, w1 = passcode_scalars(passcode, salt, iterations)
            x = 1 + self.entropy.below(GROUP_ORDER - 1)
            w0_m = spake2p.multiply(spake2p.decode_point(spake2p.M_OCTETS), w0)
            w0_n = spake2p.multiply(spake2p.decode_point(spake2p.N_OCTETS), w0)
            share = spake2p.encode_point(spake2p.multiply(spake2p.generator(), x) + w0_m)
            pake2 = tlv.decode_fields(
                await self._ask(exchange, SecureChannelOpcode.PAKE1, tlv.encode({1: share}), SecureChannelOpcode.PAKE2),
                "Pake2",
            )
            base = spake2p.decode_point(pake2.octets(1)) + -w0_n
            z, v = (spake2p.encode_point(spake2p.multiply(base, scalar)) for scalar in (x, w1))
            context = sha256(b"CHIP PAKE V1 Commissioning", request, response)
            keys = spake2p.key_schedule(context, (share, pake2.octets(1)), z, v, w0.to_bytes(32))
            is_right = keys.verifier_confirmation == pake2.octets(2)
            confirmation = tlv.encode({1: keys.prover_confirmation})
            await self._conclude(exchange, SecureChannelOpcode.PAKE3, confirmation)
            assert is_right, "the device accepted a passcode that it does not have"
        octets = hkdf(keys.shared_key, salt=b"", info=b"SessionKeys", length=48)
        return self._install(local_id, fields.unsigned(3, bits=16), octets, Accessor(AuthMode.PASE), 0)

    async def case(self, member: Member, peer_node_id: int, *, resume: bool = True) -> PeerSession:
        """Establish a session by certificate, or by the last one's secret if there is one and `resume`."""
        local_id = self.stack.sessions.reserve_id()
        known = self.resumptions.get((member.fabric_id, peer_node_id)) if resume else None
        random = self.entropy.octets(32)
        key = generate_key(self.entropy)
        sigma1_fields: dict[int, Any] = {
            1: random,
            2: uint(local_id),
            3: member.destination_id(peer_node_id, random),
            4: public_octets(key),
            5: self.stack.session_parameters.to_tlv(),
        }
        if known is not None:
            sigma1_fields[6] = known[0]
            sigma1_fields[7] = resume_mic(known[1], random, known[0], b"Sigma1_Resume", b"NCASE_SigmaS1")
        sigma1 = tlv.encode(sigma1_fields)
        async with self.stack.initiate(self.handshake_session(), PROTOCOL_SECURE_CHANNEL) as exchange:
            await exchange.send(SecureChannelOpcode.SIGMA1, sigma1)
            answer = await self._receive(exchange)
            self.was_resumed = answer.opcode == SecureChannelOpcode.SIGMA2_RESUME
            if known is not None and self.was_resumed:
                peer_id, octets = await self._resume(exchange, answer, random, known, member, peer_node_id)
            else:
                assert answer.opcode == SecureChannelOpcode.SIGMA2
                peer_id, octets = await self._authenticate(exchange, sigma1, answer, key, member, peer_node_id)
        accessor = Accessor(AuthMode.CASE, 1, peer_node_id)
        return self._install(local_id, peer_id, octets, accessor, member.node_id)

    async def _authenticate(
        self, exchange: Exchange, sigma1: bytes, answer: Message, key: Any, member: Member, peer_node_id: int
    ) -> tuple[int, bytes]:
        sigma2 = tlv.decode_fields(answer.payload, "Sigma2")
        device_key = sigma2.octets(3)
        secret = shared_secret(key, device_key)
        ipk = member.operational_ipk
        key2 = hkdf(secret, salt=ipk + sigma2.octets(1) + device_key + sha256(sigma1), info=b"Sigma2", length=16)
        tbe2 = tlv.decode_fields(Aead(key2).open(b"NCASE_Sigma2N", sigma2.octets(4)), "TBEData2")
        icac = tbe2.octets(2) if 2 in tbe2 else None
        noc = MatterCertificate.decode(tbe2.octets(1))
        verify_chain(
            noc,
            None if icac is None else MatterCertificate.decode(icac),
            MatterCertificate.decode(member.root),
            None,
        )
        signed = signed_data(tbe2.octets(1), icac, device_key, public_octets(key))
        assert is_valid_signature(noc.public_key, signed, tbe2.octets(3))
        assert (noc.node_id, noc.fabric_id) == (peer_node_id, member.fabric_id)

        signature = member.key.sign(signed_data(member.noc, member.icac, public_octets(key), device_key))
        tbe3 = {1: member.noc, 3: signature} | ({} if member.icac is None else {2: member.icac})
        key3 = hkdf(secret, salt=ipk + sha256(sigma1, answer.payload), info=b"Sigma3", length=16)
        sigma3 = tlv.encode({1: Aead(key3).seal(b"NCASE_Sigma3N", tlv.encode(tbe3))})
        await self._conclude(exchange, SecureChannelOpcode.SIGMA3, sigma3)
        self.resumptions[member.fabric_id, peer_node_id] = tbe2.octets(4), secret
        salt = ipk + sha256(sigma1, answer.payload, sigma3)
        return sigma2.unsigned(2, bits=16), hkdf(secret, salt=salt, info=b"SessionKeys", length=48)

    async def _resume(
        self,
        exchange: Exchange,
        answer: Message,
        random: bytes,
        known: tuple[bytes, bytes],
        member: Member,
        peer_node_id: int,
    ) -> tuple[int, bytes]:
        resumption_id, secret = known
        fields = tlv.decode_fields(answer.payload, "Sigma2Resume")
        renewed = fields.octets(1, size=16)
        assert fields.octets(2) == resume_mic(secret, random, renewed, b"Sigma2_Resume", b"NCASE_SigmaS2")
        await exchange.send(SecureChannelOpcode.STATUS_REPORT, SESSION_ESTABLISHED.encode())
        self.resumptions[member.fabric_id, peer_node_id] = renewed, secret
        octets = hkdf(secret, salt=random + resumption_id, info=b"SessionResumptionKeys", length=48)
        return fields.unsigned(3, bits=16), octets

    def _install(
        self, local_id: int, peer_id: int, octets: bytes, accessor: Accessor, local_node_id: int
    ) -> PeerSession:
        keys = SessionKeys.from_octets(octets)
        session = PeerSession(
            accessor=accessor,
            address=self.device,
            counter=MessageCounter(self.entropy),
            window=ReceptionWindow(restarts=False),
            local_id=local_id,
            peer_id=peer_id,
            local_node_id=local_node_id,
            sealing=Aead(keys.initiator_to_responder),
            opening=Aead(keys.responder_to_initiator),
            attestation_challenge=keys.attestation_challenge,
            last_received=asyncio.get_running_loop().time(),
        )
        self.stack.sessions.add(session)
        return session

    async def _ask(
        self, exchange: Exchange, opcode: SecureChannelOpcode, payload: bytes, expected: SecureChannelOpcode
    ) -> bytes:
        await exchange.send(opcode, payload)
        message = await self._receive(exchange)
        assert message.opcode == expected, message
        return message.payload

    async def _receive(self, exchange: Exchange) -> Message:
        message = await exchange.receive(30)
        if message.opcode == SecureChannelOpcode.STATUS_REPORT:
            raise HandshakeError(StatusReport.decode(message.payload))
        return message

    async def _conclude(self, exchange: Exchange, opcode: SecureChannelOpcode, payload: bytes) -> None:
        await exchange.send(opcode, payload)
        try:
            message = await self._receive(exchange)
        except HandshakeError as outcome:
            if outcome.report == SESSION_ESTABLISHED:
                return
            raise
        raise AssertionError(f"opcode 0x{message.opcode:02X} where a StatusReport must come")

    async def _on_secure_channel(self, exchange: Exchange, message: Message) -> None:
        if exchange.session.is_secure and StatusReport.decode(message.payload) == CLOSE_SESSION:
            self.stack.sessions.close(exchange.session, notify=False)

    # Interactions

    async def request(
        self, session: PeerSession, opcode: int, payload: bytes, *, timed_ms: int | None = None
    ) -> Message:
        """Send one message on a new exchange, after a TimedRequest if asked, and return the answer."""
        async with self.stack.initiate(session, PROTOCOL_INTERACTION_MODEL) as exchange:
            if timed_ms is not None:
                await self._open_timed(exchange, timed_ms)
            await exchange.send(opcode, payload)
            return await exchange.receive(60)

    async def read(self, session: PeerSession, *paths: AttributePath, **options: Any) -> Report:
        """Read attributes (endpoint, cluster, attribute; None is a wildcard) and, by `events=`, event paths."""
        request = {3: options.get("fabric_filtered", True), **requested(0, paths, options), **REVISION}
        async with self.stack.initiate(session, PROTOCOL_INTERACTION_MODEL) as exchange:
            await exchange.send(READ_REQUEST, tlv.encode(request))
            return await self._collect(exchange)

    async def subscribe(
        self, session: PeerSession, *paths: AttributePath, min_s: int = 0, max_s: int = 60, **options: Any
    ) -> Subscription:
        """Subscribe to attributes and, by `events=`, event paths; later reports are acknowledged and queued."""
        request = {
            0: options.get("keep_subscriptions", False),
            1: uint(min_s),
            2: uint(max_s),
            7: options.get("fabric_filtered", True),
            **requested(3, paths, options),
            **REVISION,
        }
        async with self.stack.initiate(session, PROTOCOL_INTERACTION_MODEL) as exchange:
            await exchange.send(SUBSCRIBE_REQUEST, tlv.encode(request))
            priming = await self._collect(exchange)
            answer = fields_of(await exchange.receive(60), SUBSCRIBE_RESPONSE)
        subscription = Subscription(int(answer[0]), int(answer[2]), priming)
        self.subscriptions[subscription.subscription_id] = subscription
        for early in self._early.pop(subscription.subscription_id, []):
            subscription.reports.put_nowait(early)
        return subscription

    async def write(
        self, session: PeerSession, *items: tuple[AttributePath, Any], timed_ms: int | None = None
    ) -> list[tuple[AttributePath, int]]:
        """Write attributes and return the status of each path."""
        data = [{1: attribute_path(*path), 2: value} for path, value in items]
        request = tlv.encode({0: False, 1: timed_ms is not None, 2: data, **REVISION})
        answer = await self.request(session, WRITE_REQUEST, request, timed_ms=timed_ms)
        statuses = []
        for item in fields_of(answer, WRITE_RESPONSE)[0]:
            path = dict(iter(item[0]))
            statuses.append(((path.get(2), path.get(3), path.get(4)), int(item[1][0])))
        return statuses

    async def invoke(
        self,
        session: PeerSession,
        endpoint: int,
        cluster: int,
        command: int,
        fields: dict[int, Any] | None = None,
        *,
        timed_ms: int | None = None,
    ) -> InvokeResult:
        """Invoke one command."""
        path = TLVList([(0, uint(endpoint)), (1, uint(cluster)), (2, uint(command))])
        request = tlv.encode({0: False, 1: timed_ms is not None, 2: [{0: path, 1: fields or {}}], **REVISION})
        answer = fields_of(await self.request(session, INVOKE_REQUEST, request, timed_ms=timed_ms), INVOKE_RESPONSE)
        (item,) = answer[1]
        if 0 in item:
            return InvokeResult(0, None, int(dict(iter(item[0][0]))[2]), item[0].get(1, {}))
        status = item[1][1]
        return InvokeResult(int(status[0]), None if status.get(1) is None else int(status[1]))

    async def _open_timed(self, exchange: Exchange, timeout_ms: int) -> None:
        await exchange.send(TIMED_REQUEST, tlv.encode({0: uint(timeout_ms), **REVISION}))
        answer = await exchange.receive(60)
        if status_of(answer) != 0:
            raise InteractionError(answer.opcode, status_of(answer))

    async def _collect(self, exchange: Exchange, first: Message | None = None) -> Report:
        """Take in the chunks of a report, confirming each that wants it."""
        report = Report()
        while True:
            fields = fields_of(first or await exchange.receive(60), REPORT_DATA)
            first = None
            report.add(fields)
            if not fields.get(4, False):
                await exchange.send(STATUS_RESPONSE, tlv.encode({0: uint(0), **REVISION}))
            if not fields.get(3, False):
                return report

    async def _on_report(self, exchange: Exchange, message: Message) -> None:
        report = await self._collect(exchange, message)
        if report.subscription_id is None:
            self.stray_reports.append(report)
        elif report.subscription_id in self.subscriptions:
            self.subscriptions[report.subscription_id].reports.put_nowait(report)
        else:
            self._early.setdefault(report.subscription_id, []).append(report)
