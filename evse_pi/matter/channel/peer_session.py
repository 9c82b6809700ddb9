"""Sessions: who a peer is, the keys shared with it, and which of its messages were seen.

Source: Matter core 4.6 (message counters), 4.13 (unicast communication), 4.12.8 (session parameters).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from evse_pi.matter.channel.crypto import SYMMETRIC_KEY_BYTES, Aead
from evse_pi.matter.channel.shares import host_of
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.wire.message import MessageHeader
from evse_pi.matter.wire.tlv import Fields, uint

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.wire.message import ProtocolHeader

MIN_CASE_SESSIONS_PER_FABRIC = 3  # what BasicInformation.CapabilityMinima promises
MAX_CASE_SESSIONS_PER_PEER = 5  # a hub has one, and one or two old ones that it has lost
MAX_SECURE_SESSIONS = 56  # three for each of 16 fabrics, PASE, and room for one controller that reconnects in a loop
MAX_UNSECURED_SESSIONS = 16  # handshakes in flight; each datagram with a new source node id would otherwise add one
MAX_UNSECURED_SESSIONS_PER_HOST = 4  # several controllers on one machine; the others keep their room

_COUNTER_LIMIT = 1 << 32
_INITIAL_COUNTER_LIMIT = 1 << 28
_WINDOW_BITS = 32
_SESSION_ID_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class SessionParameters:
    """What a node tells its peers about its timing and versions.

    Units: ms.
    Source: Matter core 4.12.8.
    """

    idle_interval_ms: int = 500
    active_interval_ms: int = 300
    active_threshold_ms: int = 4000
    data_model_revision: int = 19
    interaction_model_revision: int = 12
    specification_version: int = 0x01040200
    max_paths_per_invoke: int = 1

    def to_tlv(self) -> dict[int, Any]:
        """Return the session-parameter-struct."""
        values = (
            self.idle_interval_ms,
            self.active_interval_ms,
            self.active_threshold_ms,
            self.data_model_revision,
            self.interaction_model_revision,
            self.specification_version,
            self.max_paths_per_invoke,
        )
        return {tag: uint(value) for tag, value in enumerate(values, start=1)}


@dataclass(frozen=True, slots=True)
class PeerTiming:
    """How long a peer may take to notice a message: the part of its session parameters that MRP uses."""

    idle_interval_ms: int = 500
    active_interval_ms: int = 300
    active_threshold_ms: int = 4000

    @classmethod
    def from_fields(cls, fields: Fields) -> PeerTiming:
        """Return the timing in a peer's session-parameter-struct, with the defaults for what it leaves out.

        Raises: DecodeError when a value is no unsigned integer, or an interval is beyond the hour the protocol allows.
        """
        default = cls()
        idle = fields.unsigned(1, bits=22) if 1 in fields else default.idle_interval_ms
        active = fields.unsigned(2, bits=22) if 2 in fields else default.active_interval_ms
        threshold = fields.unsigned(3, bits=16) if 3 in fields else default.active_threshold_ms
        return cls(idle, active, threshold)


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The three secrets that a handshake ends with."""

    initiator_to_responder: bytes = field(repr=False)
    responder_to_initiator: bytes = field(repr=False)
    attestation_challenge: bytes = field(repr=False)

    @classmethod
    def from_octets(cls, octets: bytes) -> SessionKeys:
        """Return the keys in the 48 octets of a key derivation."""
        size = SYMMETRIC_KEY_BYTES
        return cls(octets[:size], octets[size : 2 * size], octets[2 * size : 3 * size])


class MessageCounter:
    """The counter of the messages we send, starting at a random value."""

    __slots__ = ("_next",)

    def __init__(self, entropy: Entropy) -> None:
        self._next = 1 + entropy.below(_INITIAL_COUNTER_LIMIT)

    @property
    def is_exhausted(self) -> bool:
        """Whether the next message would reuse a nonce."""
        return self._next >= _COUNTER_LIMIT

    def take(self) -> int:
        """Return the counter of a new message."""
        counter = self._next % _COUNTER_LIMIT
        self._next += 1
        return counter


class ReceptionWindow:
    """Which counters of a peer were received: the highest, and a bitmap of the 32 below it.

    A secure session takes what is older than the bitmap for a duplicate. An unsecured one starts over there, since its
    peer may have restarted. Source: Matter core 4.6.5.
    """

    __slots__ = ("_bitmap", "_highest", "_restarts")

    def __init__(self, *, restarts: bool) -> None:
        self._highest = -1
        self._bitmap = (1 << _WINDOW_BITS) - 1
        self._restarts = restarts

    def is_new(self, counter: int) -> bool:
        """Tell whether a message with `counter` was not received before."""
        behind = self._highest - counter
        if behind < 0:
            return True
        if behind == 0:
            return False
        if behind > _WINDOW_BITS:
            return self._restarts
        return not self._bitmap >> (behind - 1) & 1

    def mark(self, counter: int) -> None:
        """Remember that `counter`, which must be new and authentic, was received."""
        behind = self._highest - counter
        if behind < 0:
            shift = min(-behind, _WINDOW_BITS + 1)
            self._bitmap = (self._bitmap << shift | 1 << (shift - 1)) & ((1 << _WINDOW_BITS) - 1)
            self._highest = counter
        elif behind <= _WINDOW_BITS:
            self._bitmap |= 1 << (behind - 1)
        else:
            self._highest = counter
            self._bitmap = 0


class SessionExchange(Protocol):
    """What a session and its stack ask of an exchange; `exchange.Exchange` is one."""

    is_closed: bool

    def handle(self, header: ProtocolHeader, counter: int, payload: bytes, *, is_duplicate: bool) -> None:
        """Take in a message of this exchange."""

    def abort(self) -> None:
        """End the exchange at once, without an answer to the peer."""


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class PeerSession:
    """A peer and what is shared with it; without ciphers it is the unsecured session of one handshake.

    Units: `last_received` and `last_used` in seconds of the event loop's clock.
    """

    accessor: Accessor
    address: Hashable
    counter: MessageCounter
    window: ReceptionWindow
    local_id: int = 0
    peer_id: int = 0
    local_node_id: int = 0
    source_node_id: int | None = None
    destination_node_id: int | None = None
    sealing: Aead | None = None
    opening: Aead | None = None
    attestation_challenge: bytes = b""
    timing: PeerTiming = PeerTiming()
    last_received: float = float("-inf")
    last_used: float = float("-inf")
    has_answered: bool = False
    """Whether the peer ever acknowledged a message, which a sender under a forged address cannot."""
    exchanges: dict[tuple[int, bool], SessionExchange] = field(default_factory=dict)
    """By exchange id and whether we are its initiator."""

    def secured(
        self,
        accessor: Accessor,
        keys: SessionKeys,
        counter: MessageCounter,
        *,
        local_id: int,
        peer_id: int,
        local_node_id: int = 0,
    ) -> PeerSession:
        """Return the session with the same peer that a handshake on this one has established; we are its responder."""
        return PeerSession(
            accessor=accessor,
            address=self.address,
            counter=counter,
            window=ReceptionWindow(restarts=False),
            local_id=local_id,
            peer_id=peer_id,
            local_node_id=local_node_id,
            sealing=Aead(keys.responder_to_initiator),
            opening=Aead(keys.initiator_to_responder),
            attestation_challenge=keys.attestation_challenge,
            timing=self.timing,
            last_received=self.last_received,
            last_used=self.last_used,
        )

    @property
    def is_secure(self) -> bool:
        """Whether messages are encrypted and the peer has proved who it is."""
        return self.sealing is not None

    @property
    def fabric_index(self) -> int:
        """The fabric on which the peer acts, 0 for none."""
        return self.accessor.fabric_index

    @property
    def peer_node_id(self) -> int:
        """The peer's operational node id, 0 unless this is a CASE session."""
        return self.accessor.node_id

    @property
    def has_open_exchange(self) -> bool:
        """Whether an interaction is going on."""
        return any(not exchange.is_closed for exchange in self.exchanges.values())

    def seal(self, plaintext: bytes) -> tuple[int, bytes]:
        """Return the counter and the datagram of a new message."""
        counter = self.counter.take()
        header = MessageHeader(self.peer_id, counter, self.source_node_id, self.destination_node_id).encode()
        if self.sealing is None:
            return counter, header + plaintext
        return counter, header + self.sealing.seal(_nonce(header, self.local_node_id), plaintext, header)

    def open(self, datagram: bytes, offset: int) -> bytes:
        """Return the plaintext of a received message whose header ends at `offset`.

        Raises: DecodeError when it is not authentic.
        """
        if self.opening is None:
            return datagram[offset:]
        return self.opening.open(_nonce(datagram, self.peer_node_id), datagram[offset:], datagram[:offset])

    def note_received(self, counter: int, address: Hashable, now: float) -> None:
        """Take note of a new authentic message."""
        self.window.mark(counter)
        self.address = address
        self.last_received = self.last_used = now

    def retransmission_base_ms(self, now: float) -> int:
        """Return the peer's active interval while it is surely awake, else its idle interval."""
        is_active = (now - self.last_received) * 1000 < self.timing.active_threshold_ms
        return self.timing.active_interval_ms if is_active else self.timing.idle_interval_ms

    def __repr__(self) -> str:
        kind = self.accessor.auth_mode.name
        return f"Session({kind} local_id={self.local_id} fabric={self.fabric_index} peer={self.peer_node_id:016X})"


class SessionTable:
    """All secure sessions by our session id, bounded, with room for three CASE sessions of every fabric."""

    def __init__(
        self,
        *,
        entropy: Entropy,
        farewell: Callable[[PeerSession], None],
        capacity: int = MAX_SECURE_SESSIONS,
    ) -> None:
        self.closed: list[Callable[[PeerSession], None]] = []
        """Called with each session after it was closed."""
        self._entropy = entropy
        self._farewell = farewell
        self._capacity = capacity
        self._sessions: dict[int, PeerSession] = {}
        self._reserved: set[int] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[PeerSession]:
        return iter(tuple(self._sessions.values()))

    def get(self, local_id: int) -> PeerSession | None:
        """Return the session that `local_id` in a header means."""
        return self._sessions.get(local_id)

    def newest(self, fabric_index: int, node_id: int) -> PeerSession | None:
        """Return the last established CASE session with a node."""
        for session in reversed(self._sessions.values()):
            accessor = session.accessor
            if (accessor.auth_mode, accessor.fabric_index, accessor.node_id) == (AuthMode.CASE, fabric_index, node_id):
                return session
        return None

    def of_fabric(self, fabric_index: int) -> list[PeerSession]:
        """Return all sessions bound to a fabric."""
        return [session for session in self._sessions.values() if session.fabric_index == fabric_index]

    def of_pase(self) -> list[PeerSession]:
        """Return all sessions that a passcode established."""
        return [session for session in self._sessions.values() if session.accessor.auth_mode is AuthMode.PASE]

    def reserve_id(self) -> int:
        """Return an unused session id for a handshake, which must give it back by `add` or `release_id`."""
        while True:
            local_id = 1 + self._entropy.below(_SESSION_ID_LIMIT - 1)
            if local_id not in self._sessions and local_id not in self._reserved:
                self._reserved.add(local_id)
                return local_id

    def release_id(self, local_id: int) -> None:
        """Give back the id of a handshake that ended, with or without a session."""
        self._reserved.discard(local_id)

    def add(self, session: PeerSession) -> None:
        """Install an established session, closing one of a peer or, when all are taken, of a fabric above its share."""
        self._close_surplus(session.accessor)
        if len(self._sessions) >= self._capacity:
            self.close(self._victim(), notify=True)
        self._reserved.discard(session.local_id)
        self._sessions[session.local_id] = session

    def close(self, session: PeerSession, *, notify: bool) -> None:
        """Forget a session and its keys, after telling the peer if `notify`; closing it again does nothing."""
        if self._sessions.get(session.local_id) is not session:
            return
        if notify and not session.counter.is_exhausted:
            self._farewell(session)
        del self._sessions[session.local_id]
        for listener in tuple(self.closed):
            listener(session)

    def bind_fabric(self, session: PeerSession, fabric_index: int) -> None:
        """Let a PASE session act on the fabric that was just added over it."""
        session.accessor = replace(session.accessor, fabric_index=fabric_index)

    def _close_surplus(self, accessor: Accessor) -> None:
        """Make room among the sessions of one node, which gives up its own alone."""
        if accessor.auth_mode is not AuthMode.CASE:
            return
        of_peer = (accessor.fabric_index, accessor.node_id)
        held = [session for session in self._sessions.values() if _case_peer(session) == of_peer]
        if len(held) >= MAX_CASE_SESSIONS_PER_PEER:
            self.close(min(held, key=lambda session: (session.has_open_exchange, session.last_used)), notify=True)

    def _victim(self) -> PeerSession:
        """Return the session to give up: of the fabric with most above its promise, idle, unused longest."""
        shares: dict[int, int] = {}
        for session in self._sessions.values():
            shares[session.fabric_index] = shares.get(session.fabric_index, 0) + 1
        return min(
            self._sessions.values(),
            key=lambda session: (
                -max(shares[session.fabric_index], MIN_CASE_SESSIONS_PER_FABRIC),
                session.has_open_exchange,
                session.last_used,
            ),
        )


class UnsecuredSessionTable:
    """The sessions without keys, by the ephemeral node id that the handshake's initiator chose."""

    def __init__(self, *, entropy: Entropy, capacity: int = MAX_UNSECURED_SESSIONS) -> None:
        self._counter = MessageCounter(entropy)
        self._capacity = capacity
        self._sessions: dict[int, PeerSession] = {}  # least recently used first

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, header: MessageHeader) -> PeerSession | None:
        """Return the session that a message belongs to, if it is known, and take note of its use."""
        node_id = _ephemeral_node_id(header)
        session = self._sessions.pop(node_id, None)
        if session is not None:
            self._sessions[node_id] = session
        return session

    def add(self, header: MessageHeader, address: Hashable) -> PeerSession | None:
        """Return a new session with the sender of a first message, or None while all are busy with handshakes."""
        if header.source_node_id is None:
            return None
        of_host = {node: each for node, each in self._sessions.items() if host_of(each.address) == host_of(address)}
        crowded = len(of_host) >= MAX_UNSECURED_SESSIONS_PER_HOST
        full = crowded or len(self._sessions) >= self._capacity
        if full and not self._evict(of_host if crowded else self._sessions):
            return None
        session = PeerSession(
            accessor=Accessor(AuthMode.NONE),
            address=address,
            counter=self._counter,
            window=ReceptionWindow(restarts=True),
            destination_node_id=header.source_node_id,
        )
        self._sessions[header.source_node_id] = session
        return session

    def _evict(self, oldest_first: Mapping[int, PeerSession]) -> bool:
        """Give up a session that is over, else one whose initiator may not exist, and tell whether there was one."""
        idle = (node_id for node_id, session in oldest_first.items() if not session.has_open_exchange)
        doubtful = (node_id for node_id, session in oldest_first.items() if not session.has_answered)
        node_id = next(chain(idle, doubtful), None)
        if node_id is None:
            return False
        for exchange in tuple(self._sessions.pop(node_id).exchanges.values()):
            exchange.abort()
        return True


def _case_peer(session: PeerSession) -> tuple[int, int] | None:
    accessor = session.accessor
    return (accessor.fabric_index, accessor.node_id) if accessor.auth_mode is AuthMode.CASE else None


def _ephemeral_node_id(header: MessageHeader) -> int:
    """Return the initiator's node id, which the initiator writes as source and the responder as destination."""
    return header.source_node_id if header.source_node_id is not None else header.destination_node_id or 0


def _nonce(header: bytes, node_id: int) -> bytes:
    """Return security flags (octet 3) || counter (4..7) || source node id. Source: Matter core 4.8.1.1."""
    return header[3:8] + node_id.to_bytes(8, "little")
