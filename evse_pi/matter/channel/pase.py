"""PASE: a session from a passcode, while a commissioning window is open.

Source: Matter core 4.14.1 (passcode-authenticated session establishment).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evse_pi.matter.channel import spake2p
from evse_pi.matter.channel.crypto import GROUP_ORDER, POINT_BYTES, hkdf, sha256
from evse_pi.matter.channel.handshake import HandshakeRefused, receive, time_bounded
from evse_pi.matter.channel.peer_session import MessageCounter, PeerTiming, SessionKeys
from evse_pi.matter.channel.secure_channel import INVALID_PARAMETER, SESSION_ESTABLISHED, SecureChannelOpcode, busy
from evse_pi.matter.channel.shares import HostShares
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.tlv import uint

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.channel.exchange import Exchange
    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.channel.stack import MessageStack

log = logging.getLogger(__name__)

MIN_ITERATIONS = 1000
MAX_ITERATIONS = 100_000
MIN_SALT_BYTES = 16
MAX_SALT_BYTES = 32
MAX_GUESSES = 20  # Matter core 4.14.1.1: the window closes after 20 failed attempts
MAX_HANDSHAKES = 3  # attempts from one address leave room for a commissioner at another
MAX_HANDSHAKES_PER_HOST = 1
BUSY_WAIT_MS = 5000
DEFAULT_PASSCODE_ID = 0
_RANDOM_BYTES = 32
_WS_BYTES = 40
_CONTEXT_PREFIX = b"CHIP PAKE V1 Commissioning"


@dataclass(frozen=True, slots=True)
class PaseVerifier:
    """What a node keeps of a passcode: enough to recognise it, too little to know it.

    Raises: ValueError naming the parameter outside its range.
    Source: Matter core 3.10.1 and 11.19.8.1 (PAKE passcode verifier).
    """

    iterations: int
    salt: bytes
    w0: bytes = field(repr=False)
    l: bytes = field(repr=False)  # noqa: E741 (the name in the specification)

    def __post_init__(self) -> None:
        if not MIN_ITERATIONS <= self.iterations <= MAX_ITERATIONS:
            raise ValueError(f"iterations={self.iterations} must be {MIN_ITERATIONS} to {MAX_ITERATIONS}")
        if not MIN_SALT_BYTES <= len(self.salt) <= MAX_SALT_BYTES:
            raise ValueError(f"salt of {len(self.salt)} bytes must have {MIN_SALT_BYTES} to {MAX_SALT_BYTES}")
        spake2p.Verifier(self.w0, self.l)

    @classmethod
    def from_passcode(cls, passcode: int, salt: bytes, iterations: int) -> PaseVerifier:
        """Return the verifier of `passcode`, at 1 µs per iteration on a PC and up to 8 µs on a Pi."""
        w0, w1 = passcode_scalars(passcode, salt, iterations)
        point = spake2p.encode_point(spake2p.multiply(spake2p.generator(), w1))
        return cls(iterations, salt, w0.to_bytes(spake2p.SCALAR_BYTES), point)

    @classmethod
    def from_blob(cls, blob: bytes, salt: bytes, iterations: int) -> PaseVerifier:
        """Return the verifier in the 97 octets w0 || L that OpenCommissioningWindow carries."""
        if len(blob) != spake2p.SCALAR_BYTES + POINT_BYTES:
            raise ValueError(f"verifier of {len(blob)} bytes must have {spake2p.SCALAR_BYTES + POINT_BYTES}")
        return cls(iterations, salt, blob[: spake2p.SCALAR_BYTES], blob[spake2p.SCALAR_BYTES :])


def passcode_scalars(passcode: int, salt: bytes, iterations: int) -> tuple[int, int]:
    """Return w0 and w1 of a passcode."""
    ws = hashlib.pbkdf2_hmac("sha256", passcode.to_bytes(4, "little"), salt, iterations, 2 * _WS_BYTES)
    return int.from_bytes(ws[:_WS_BYTES]) % GROUP_ORDER, int.from_bytes(ws[_WS_BYTES:]) % GROUP_ORDER


@dataclass(frozen=True, slots=True)
class ParamRequest:
    """The commissioner's first message."""

    initiator_random: bytes
    initiator_session_id: int
    has_parameters: bool
    timing: PeerTiming | None

    @classmethod
    def decode(cls, payload: bytes) -> ParamRequest:
        """Return the request in `payload`.

        Raises: DecodeError when it is malformed; HandshakeRefused when it asks for another passcode than ours.
        """
        fields = tlv.decode_fields(payload, "PBKDFParamRequest")
        request = cls(
            initiator_random=fields.octets(1, size=_RANDOM_BYTES),
            initiator_session_id=fields.unsigned(2, bits=16),
            has_parameters=fields.boolean(4),
            timing=PeerTiming.from_fields(fields.fields(5)) if 5 in fields else None,
        )
        if request.initiator_session_id == 0 or fields.unsigned(3, bits=16) != DEFAULT_PASSCODE_ID:
            raise HandshakeRefused(INVALID_PARAMETER, "session id 0 or unknown passcode id")
        return request


class PaseResponder:
    """Answers commissioners while a window is open, one of a host at a time, until one of them is in.

    The point arithmetic of a handshake takes 1.1 ms on a PC, and a Pi 3 is up to eight times slower: far from the
    200 ms after which an acknowledgement is due, so it runs in the event loop.
    """

    def __init__(self, stack: MessageStack) -> None:
        self._stack = stack
        self._entropy = stack.entropy
        self._verifier: PaseVerifier | None = None
        self._guesses = 0
        self._at_work = HostShares(total=MAX_HANDSHAKES, per_host=MAX_HANDSHAKES_PER_HOST)
        self._session_listeners: list[Callable[[PeerSession], None]] = []
        self._limit_listeners: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        """Whether a commissioner may try."""
        return self._verifier is not None

    def open(self, verifier: PaseVerifier) -> None:
        """Let commissioners that know the passcode of `verifier` in."""
        self._verifier = verifier
        self._guesses = 0

    def close(self) -> None:
        """Accept no more peers; a handshake under way will fail, an established session stays."""
        self._verifier = None

    def on_session(self, listener: Callable[[PeerSession], None]) -> None:
        """Call `listener` with each established session, before the commissioner learns of it."""
        self._session_listeners.append(listener)

    def on_guessing_limit(self, listener: Callable[[], None]) -> None:
        """Call `listener` when too many wrong guesses have closed the window."""
        self._limit_listeners.append(listener)

    async def respond(self, exchange: Exchange, request: bytes) -> None:
        """Answer a PBKDFParamRequest and what follows it.

        Raises: HandshakeRefused or DecodeError when the commissioner must be told that it failed; ExchangeTimeout.
        """
        verifier = self._verifier
        if verifier is None:
            raise HandshakeRefused(INVALID_PARAMETER, "no commissioning window is open")
        self._check_no_pase_session()
        local_id = self._stack.sessions.reserve_id()
        try:
            async with time_bounded():
                await self._handshake(exchange, request, verifier, local_id)
        finally:
            self._stack.sessions.release_id(local_id)
            self._enforce_guessing_limit()

    async def _handshake(self, exchange: Exchange, payload: bytes, verifier: PaseVerifier, local_id: int) -> None:
        request = ParamRequest.decode(payload)
        exchange.session.timing = request.timing or exchange.session.timing
        response = self._param_response(request, verifier, local_id)
        await exchange.send(SecureChannelOpcode.PBKDF_PARAM_RESPONSE, response)

        pake1 = tlv.decode_fields(await receive(exchange, SecureChannelOpcode.PAKE1), "Pake1")
        # Only now, when the commissioner is sure to exist, may it keep others out.
        self._check_no_pase_session()
        address = exchange.session.address
        if not self._at_work.take(address):
            raise HandshakeRefused(busy(BUSY_WAIT_MS), "another commissioner is at work")
        try:
            context = sha256(_CONTEXT_PREFIX, payload, response)
            keys = await self._agree(exchange, context, pake1.octets(1, size=POINT_BYTES), verifier)
            if self._verifier is not verifier:
                raise HandshakeRefused(INVALID_PARAMETER, "the commissioning window closed meanwhile")
            self._check_no_pase_session()
            self._guesses = 0
            self._establish(exchange, request, local_id, keys.shared_key)
            exchange.post(SecureChannelOpcode.STATUS_REPORT, SESSION_ESTABLISHED.encode())
        finally:
            self._at_work.give_back(address)

    async def _agree(
        self, exchange: Exchange, context: bytes, prover_share: bytes, verifier: PaseVerifier
    ) -> spake2p.KeySchedule:
        """Exchange shares and confirmations and return the keys, once the commissioner has shown that it has them."""
        y = 1 + self._entropy.below(GROUP_ORDER - 1)
        agreement = spake2p.Verifier(verifier.w0, verifier.l).respond(context, prover_share, y)
        # From here on the commissioner can tell whether its guess was right, even if it never answers.
        self._guesses += 1
        pake2 = tlv.encode({1: agreement.share, 2: agreement.keys.verifier_confirmation})
        await exchange.send(SecureChannelOpcode.PAKE2, pake2)

        pake3 = tlv.decode_fields(await receive(exchange, SecureChannelOpcode.PAKE3), "Pake3")
        if not hmac.compare_digest(pake3.octets(1), agreement.keys.prover_confirmation):
            log.warning("wrong passcode guesses=%d limit=%d", self._guesses, MAX_GUESSES)
            raise HandshakeRefused(INVALID_PARAMETER, "wrong passcode")
        return agreement.keys

    def _check_no_pase_session(self) -> None:
        if self._stack.sessions.of_pase():
            raise HandshakeRefused(busy(BUSY_WAIT_MS), "another commissioner is at work")

    def _param_response(self, request: ParamRequest, verifier: PaseVerifier, local_id: int) -> bytes:
        response = {
            1: request.initiator_random,
            2: self._entropy.octets(_RANDOM_BYTES),
            3: uint(local_id),
            4: {1: uint(verifier.iterations), 2: verifier.salt},
            5: self._stack.session_parameters.to_tlv(),
        }
        if request.has_parameters:
            del response[4]
        return tlv.encode(response)

    def _establish(self, exchange: Exchange, request: ParamRequest, local_id: int, shared_key: bytes) -> None:
        keys = SessionKeys.from_octets(hkdf(shared_key, salt=b"", info=b"SessionKeys", length=48))
        accessor, peer_id = Accessor(AuthMode.PASE), request.initiator_session_id
        counter = MessageCounter(self._entropy)
        session = exchange.session.secured(accessor, keys, counter, local_id=local_id, peer_id=peer_id)
        self._stack.sessions.add(session)
        log.info("PASE session established session=%s", session)
        for listener in self._session_listeners:
            listener(session)

    def _enforce_guessing_limit(self) -> None:
        if self._guesses < MAX_GUESSES or self._verifier is None:
            return
        log.warning("commissioning window closed guesses=%d", self._guesses)
        self.close()
        for listener in self._limit_listeners:
            listener()
