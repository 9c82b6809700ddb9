"""CASE: a session between two members of a fabric, from their certificates or from an earlier session's secret.

Source: Matter core 4.14.2 (certificate-authenticated session establishment).
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.matter.channel.crypto import (
    POINT_BYTES,
    SYMMETRIC_KEY_BYTES,
    Aead,
    generate_key,
    hkdf,
    public_octets,
    sha256,
    shared_secret,
)
from evse_pi.matter.channel.exchange import ExchangeTimeout
from evse_pi.matter.channel.handshake import HandshakeRefused, receive, receive_status, time_bounded
from evse_pi.matter.channel.peer_session import MessageCounter, PeerTiming, SessionKeys
from evse_pi.matter.channel.secure_channel import (
    INVALID_PARAMETER,
    NO_SHARED_TRUST_ROOTS,
    SESSION_ESTABLISHED,
    SecureChannelOpcode,
    busy,
)
from evse_pi.matter.channel.shares import HostShares
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.certificate import CertificateError, MatterCertificate, verify_chain
from evse_pi.matter.identity.resumption import ResumptionRecord
from evse_pi.matter.identity.signing import SIGNATURE_BYTES, is_valid_signature
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import MIC_BYTES
from evse_pi.matter.wire.tlv import uint

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.channel.exchange import Exchange
    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.channel.stack import MessageStack
    from evse_pi.matter.environment import WallClock
    from evse_pi.matter.identity.fabric import Fabric, FabricTable
    from evse_pi.matter.identity.resumption import ResumptionStore

log = logging.getLogger(__name__)

MAX_HANDSHAKES = 8  # each holds an ephemeral key while its initiator thinks; after a power cut all hubs come at once
MAX_HANDSHAKES_PER_HOST = 3  # one machine may run several controllers
SEEN_INITIATORS = 256  # random numbers of handshakes that were begun: a recorded Sigma1 begins no second one
BUSY_WAIT_MS = 2000
RESUMPTION_ID_BYTES = 16
_RANDOM_BYTES = 32
_HASH_BYTES = 32
_SIGMA2_NONCE = b"NCASE_Sigma2N"
_SIGMA3_NONCE = b"NCASE_Sigma3N"
_SIGMA1_RESUME_NONCE = b"NCASE_SigmaS1"
_SIGMA2_RESUME_NONCE = b"NCASE_SigmaS2"


@dataclass(frozen=True, slots=True)
class Sigma1:
    """The initiator's first message, with the bytes it came as."""

    octets: bytes
    initiator_random: bytes
    initiator_session_id: int
    destination_id: bytes
    ephemeral_public_key: bytes
    timing: PeerTiming | None
    resumption_id: bytes | None
    resume_mic: bytes | None

    @classmethod
    def decode(cls, payload: bytes) -> Sigma1:
        """Return the Sigma1 in `payload`.

        Raises: DecodeError when it is malformed; HandshakeRefused when it asks for half a resumption.
        """
        fields = tlv.decode_fields(payload, "Sigma1")
        sigma1 = cls(
            octets=payload,
            initiator_random=fields.octets(1, size=_RANDOM_BYTES),
            initiator_session_id=fields.unsigned(2, bits=16),
            destination_id=fields.octets(3, size=_HASH_BYTES),
            ephemeral_public_key=fields.octets(4, size=POINT_BYTES),
            timing=PeerTiming.from_fields(fields.fields(5)) if 5 in fields else None,
            resumption_id=fields.octets(6, size=RESUMPTION_ID_BYTES) if 6 in fields else None,
            resume_mic=fields.octets(7, size=MIC_BYTES) if 7 in fields else None,
        )
        if sigma1.initiator_session_id == 0 or (sigma1.resumption_id is None) != (sigma1.resume_mic is None):
            raise HandshakeRefused(INVALID_PARAMETER, "session id 0, or resumption id without MIC or the reverse")
        return sigma1


@dataclass(frozen=True, slots=True)
class _Peer:
    """Whom a handshake has authenticated, on which fabric."""

    fabric: Fabric
    node_id: int
    case_authenticated_tags: tuple[int, ...]


class CaseResponder:
    """Answers members of our fabrics."""

    def __init__(
        self, stack: MessageStack, *, fabrics: FabricTable, resumptions: ResumptionStore, clock: WallClock
    ) -> None:
        self._stack = stack
        self._entropy = stack.entropy
        self._fabrics = fabrics
        self._resumptions = resumptions
        self._clock = clock
        self._under_way = HostShares(total=MAX_HANDSHAKES, per_host=MAX_HANDSHAKES_PER_HOST)
        self._seen: dict[bytes, None] = {}
        self._session_listeners: list[Callable[[PeerSession], None]] = []

    def on_session(self, listener: Callable[[PeerSession], None]) -> None:
        """Call `listener` with each established session."""
        self._session_listeners.append(listener)

    async def respond(self, exchange: Exchange, payload: bytes) -> None:
        """Answer a Sigma1 and what follows it.

        Raises: HandshakeRefused or DecodeError when the initiator must be told that it failed; ExchangeTimeout.
        """
        address = exchange.session.address
        if not self._under_way.take(address):
            raise HandshakeRefused(busy(BUSY_WAIT_MS), f"too many handshakes are under way, or too many of {address}")
        local_id = self._stack.sessions.reserve_id()
        try:
            async with time_bounded():
                await self._handshake(exchange, Sigma1.decode(payload), local_id)
        finally:
            self._under_way.give_back(address)
            self._stack.sessions.release_id(local_id)

    async def _handshake(self, exchange: Exchange, sigma1: Sigma1, local_id: int) -> None:
        """Serve one of both handshakes; an initiator that never heard of us may come with the same Sigma1 again."""
        exchange.session.timing = sigma1.timing or exchange.session.timing
        try:
            if (resumable := self._resumable(sigma1)) is not None:
                self._refuse_replay(sigma1)
                await self._resume(exchange, sigma1, *resumable, local_id)
            else:
                await self._authenticate(exchange, sigma1, local_id)
        except ExchangeTimeout:
            if not exchange.session.has_answered:
                self._seen.pop(sigma1.initiator_random, None)
            raise

    def _refuse_replay(self, sigma1: Sigma1) -> None:
        """Take note of an initiator's random number. Raises: HandshakeRefused where it was seen before.

        An initiator takes a new one for each handshake; only who recorded a Sigma1 repeats one, to hold our time.
        """
        if sigma1.initiator_random in self._seen:
            raise HandshakeRefused(INVALID_PARAMETER, "this Sigma1 came before")
        self._seen[sigma1.initiator_random] = None
        if len(self._seen) > SEEN_INITIATORS:
            del self._seen[next(iter(self._seen))]

    async def _authenticate(self, exchange: Exchange, sigma1: Sigma1, local_id: int) -> None:
        """Prove who we are by our certificate and check who the initiator is by its own."""
        fabric, ipk = self._addressed(sigma1)
        self._refuse_replay(sigma1)
        key = generate_key(self._entropy)
        secret = shared_secret(key, sigma1.ephemeral_public_key)
        responder_random = self._entropy.octets(_RANDOM_BYTES)
        resumption_id = self._entropy.octets(RESUMPTION_ID_BYTES)
        public = public_octets(key)

        salt = ipk + responder_random + public + sha256(sigma1.octets)
        sigma2_key = hkdf(secret, salt=salt, info=b"Sigma2", length=SYMMETRIC_KEY_BYTES)
        signed = signed_data(fabric.noc, fabric.icac, public, sigma1.ephemeral_public_key)
        credentials = {1: fabric.noc, 2: fabric.icac, 3: fabric.operational_key.sign(signed), 4: resumption_id}
        encrypted2 = Aead(sigma2_key).seal(_SIGMA2_NONCE, _encode_present(credentials))
        sigma2 = tlv.encode(
            {
                1: responder_random,
                2: uint(local_id),
                3: public,
                4: encrypted2,
                5: self._stack.session_parameters.to_tlv(),
            }
        )
        await exchange.send(SecureChannelOpcode.SIGMA2, sigma2)

        sigma3 = await receive(exchange, SecureChannelOpcode.SIGMA3)
        salt = ipk + sha256(sigma1.octets, sigma2)
        sigma3_key = hkdf(secret, salt=salt, info=b"Sigma3", length=SYMMETRIC_KEY_BYTES)
        encrypted3 = tlv.decode_fields(sigma3, "Sigma3").octets(1)
        credentials3 = Aead(sigma3_key).open(_SIGMA3_NONCE, encrypted3)
        peer = self._verify(credentials3, fabric, (sigma1.ephemeral_public_key, public))

        salt = ipk + sha256(sigma1.octets, sigma2, sigma3)
        keys = SessionKeys.from_octets(hkdf(secret, salt=salt, info=b"SessionKeys", length=48))
        self._establish(exchange, sigma1, peer, keys, local_id)
        self._remember(peer, resumption_id, secret)
        exchange.post(SecureChannelOpcode.STATUS_REPORT, SESSION_ESTABLISHED.encode())

    def _addressed(self, sigma1: Sigma1) -> tuple[Fabric, bytes]:
        """Return the fabric that a Sigma1 means, and the key that says so. Raises: HandshakeRefused."""
        found = self._fabrics.find_by_destination(sigma1.destination_id, sigma1.initiator_random)
        if found is None:
            raise HandshakeRefused(NO_SHARED_TRUST_ROOTS, "Sigma1 addresses no fabric of this node")
        return found

    async def _resume(
        self, exchange: Exchange, sigma1: Sigma1, record: ResumptionRecord, fabric: Fabric, local_id: int
    ) -> None:
        """Prove by the secret of an earlier session that we are still the same."""
        log.debug("CASE resumes fabric=%d peer=%016x", record.fabric_index, record.node_id)
        secret = record.shared_secret
        resumption_id = self._entropy.octets(RESUMPTION_ID_BYTES)
        mic = resume_mic(secret, sigma1.initiator_random, resumption_id, b"Sigma2_Resume", _SIGMA2_RESUME_NONCE)
        sigma2_resume = {1: resumption_id, 2: mic, 3: uint(local_id), 4: self._stack.session_parameters.to_tlv()}
        await exchange.send(SecureChannelOpcode.SIGMA2_RESUME, tlv.encode(sigma2_resume))

        await receive_status(exchange, SESSION_ESTABLISHED)
        salt = sigma1.initiator_random + record.resumption_id
        keys = SessionKeys.from_octets(hkdf(secret, salt=salt, info=b"SessionResumptionKeys", length=48))
        peer = _Peer(fabric, record.node_id, record.case_authenticated_tags)
        self._establish(exchange, sigma1, peer, keys, local_id)
        self._remember(peer, resumption_id, secret)

    def _resumable(self, sigma1: Sigma1) -> tuple[ResumptionRecord, Fabric] | None:
        """Return the record that the initiator proves to share with us; without one the full handshake decides."""
        if sigma1.resumption_id is None or sigma1.resume_mic is None:
            return None
        record = self._resumptions.get(sigma1.resumption_id)
        fabric = None if record is None else self._fabrics.get(record.fabric_index)
        if record is None or fabric is None:
            return None
        expected = resume_mic(
            record.shared_secret, sigma1.initiator_random, record.resumption_id, b"Sigma1_Resume", _SIGMA1_RESUME_NONCE
        )
        return (record, fabric) if hmac.compare_digest(expected, sigma1.resume_mic) else None

    def _verify(self, credentials: bytes, fabric: Fabric, ephemeral_keys: tuple[bytes, bytes]) -> _Peer:
        """Return who sent the decrypted TBEData3.

        Raises: DecodeError or HandshakeRefused unless it is a member of `fabric`.
        """
        fields = tlv.decode_fields(credentials, "TBEData3")
        noc_octets = fields.octets(1)
        icac_octets = fields.octets(2) if 2 in fields else None
        noc = MatterCertificate.decode(noc_octets)
        icac = None if icac_octets is None else MatterCertificate.decode(icac_octets)
        signed = signed_data(noc_octets, icac_octets, *ephemeral_keys)
        try:
            verify_chain(noc, icac, MatterCertificate.decode(fabric.root_certificate), self._now_epoch_s())
            authentic = is_valid_signature(noc.public_key, signed, fields.octets(3, size=SIGNATURE_BYTES))
        except CertificateError as error:
            raise HandshakeRefused(INVALID_PARAMETER, f"certificate chain: {error}") from error
        except ValueError as error:
            raise HandshakeRefused(INVALID_PARAMETER, f"signature: {error}") from error
        if not authentic or noc.node_id is None or noc.fabric_id != fabric.fabric_id:
            raise HandshakeRefused(INVALID_PARAMETER, "Sigma3 is signed by no member of this fabric")
        return _Peer(fabric, noc.node_id, noc.case_authenticated_tags)

    def _establish(self, exchange: Exchange, sigma1: Sigma1, peer: _Peer, keys: SessionKeys, local_id: int) -> None:
        current = self._fabrics.get(peer.fabric.index)
        if current is None or current.noc != peer.fabric.noc:
            raise HandshakeRefused(NO_SHARED_TRUST_ROOTS, "the fabric was removed or updated meanwhile")
        session = exchange.session.secured(
            Accessor(AuthMode.CASE, peer.fabric.index, peer.node_id, peer.case_authenticated_tags),
            keys,
            MessageCounter(self._entropy),
            local_id=local_id,
            peer_id=sigma1.initiator_session_id,
            local_node_id=peer.fabric.node_id,
        )
        self._stack.sessions.add(session)
        log.info("CASE session established session=%s", session)
        for listener in self._session_listeners:
            listener(session)

    def _remember(self, peer: _Peer, resumption_id: bytes, secret: bytes) -> None:
        record = ResumptionRecord(resumption_id, secret, peer.fabric.index, peer.node_id, peer.case_authenticated_tags)
        self._resumptions.put(record)

    def _now_epoch_s(self) -> int | None:
        unix_us = self._clock.unix_us()
        return None if unix_us is None else unix_us // 1_000_000 - MATTER_EPOCH_UNIX_S


def signed_data(noc: bytes, icac: bytes | None, own_key: bytes, peer_key: bytes) -> bytes:
    """Return the TBSData that the owner of `noc` signs, its own ephemeral key first."""
    return _encode_present({1: noc, 2: icac, 3: own_key, 4: peer_key})


def resume_mic(secret: bytes, initiator_random: bytes, resumption_id: bytes, info: bytes, nonce: bytes) -> bytes:
    """Return the MIC over nothing by which a side shows that it holds `secret`."""
    key = hkdf(secret, salt=initiator_random + resumption_id, info=info, length=SYMMETRIC_KEY_BYTES)
    return Aead(key).seal(nonce, b"")


def _encode_present(fields: dict[int, bytes | None]) -> bytes:
    return tlv.encode({tag: value for tag, value in fields.items() if value is not None})
