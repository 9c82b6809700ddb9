from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.channel.crypto import Aead
from evse_pi.matter.channel.peer_session import (
    MessageCounter,
    PeerSession,
    PeerTiming,
    ReceptionWindow,
    SessionKeys,
    SessionParameters,
    SessionTable,
    UnsecuredSessionTable,
)
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import MessageHeader
from evse_pi.matter.wire.status_code import DecodeError
from tests.support.matter_authority import CountingEntropy


def receive(window: ReceptionWindow, counter: int) -> bool:
    is_new = window.is_new(counter)
    if is_new:
        window.mark(counter)
    return is_new


@given(st.integers(0, 2**32 - 200), st.lists(st.integers(0, 120), max_size=80))
def test_a_secure_session_accepts_each_counter_once_and_none_older_than_32(start: int, steps: list[int]) -> None:
    window = ReceptionWindow(restarts=False)
    seen: set[int] = set()
    for step in steps:
        counter = start + step
        expected = counter not in seen and (not seen or counter >= max(seen) - 32)
        assert receive(window, counter) == expected, (counter, sorted(seen))
        if expected:
            seen.add(counter)


@given(st.lists(st.integers(0, 120), max_size=80))
def test_an_unsecured_session_starts_again_below_its_window(counters: list[int]) -> None:
    window = ReceptionWindow(restarts=True)
    seen: set[int] = set()
    for counter in counters:
        if seen and counter < max(seen) - 32:
            seen = set()
            expected = True
        else:
            expected = counter not in seen
        assert receive(window, counter) == expected, (counter, sorted(seen))
        seen.add(counter)
        seen = {one for one in seen if one >= max(seen) - 32}


def test_a_first_message_of_any_counter_is_accepted() -> None:
    for counter in (0, 1, 31, 2**32 - 1):
        assert receive(ReceptionWindow(restarts=False), counter)


def test_a_reordered_message_before_the_first_is_accepted_once() -> None:
    window = ReceptionWindow(restarts=False)
    assert [receive(window, counter) for counter in (1000, 998, 998, 968, 967)] == [True, True, False, True, False]


def test_message_counters_start_at_random_below_2_to_28_and_go_up_by_one() -> None:
    counter = MessageCounter(CountingEntropy("a"))
    first = counter.take()
    assert 1 <= first <= 2**28
    assert counter.take() == first + 1
    assert MessageCounter(CountingEntropy("b")).take() != first


def test_an_exhausted_counter_says_so_before_a_nonce_repeats() -> None:
    counter = MessageCounter(CountingEntropy())
    counter._next = 2**32 - 1
    assert not counter.is_exhausted
    assert counter.take() == 2**32 - 1
    assert counter.is_exhausted


def session(
    number: int, *, fabric: int = 1, mode: AuthMode = AuthMode.CASE, node: int = 1, used: float = 0.0
) -> PeerSession:
    key = Aead(bytes(16))
    return PeerSession(
        accessor=Accessor(mode, fabric, node),
        address="peer",
        counter=MessageCounter(CountingEntropy(str(number))),
        window=ReceptionWindow(restarts=False),
        local_id=number,
        peer_id=number,
        sealing=key,
        opening=key,
        last_used=used,
    )


class Farewells:
    def __init__(self) -> None:
        self.sent: list[PeerSession] = []

    def __call__(self, session: PeerSession) -> None:
        self.sent.append(session)


def table(capacity: int = 56) -> tuple[SessionTable, Farewells, list[PeerSession]]:
    farewells = Farewells()
    sessions = SessionTable(entropy=CountingEntropy(), farewell=farewells, capacity=capacity)
    closed: list[PeerSession] = []
    sessions.closed.append(closed.append)
    return sessions, farewells, closed


def test_session_ids_are_never_zero_nor_in_use_nor_promised_to_another_handshake() -> None:
    class Repeating(CountingEntropy):
        def below(self, limit: int) -> int:
            return super().below(4) if limit == 2**16 - 1 else super().below(limit)

    sessions = SessionTable(entropy=Repeating(), farewell=Farewells())
    sessions.add(session(2))
    promised = [sessions.reserve_id() for _ in range(3)]
    assert sorted(promised) == [1, 3, 4]
    sessions.release_id(3)
    assert sessions.reserve_id() == 3


def test_the_newest_case_session_with_a_node_is_found() -> None:
    sessions, _, _ = table()
    old, new, other = session(1, node=5), session(2, node=5), session(3, node=6)
    pase = session(4, node=0, fabric=0, mode=AuthMode.PASE)
    for one in (old, new, other, pase):
        sessions.add(one)
    assert sessions.newest(1, 5) is new
    sessions.close(new, notify=False)
    assert sessions.newest(1, 5) is old
    assert sessions.newest(2, 5) is None
    assert sessions.newest(0, 0) is None
    assert sessions.of_pase() == [pase]


def test_binding_a_fabric_makes_a_pase_session_act_on_it() -> None:
    sessions, _, _ = table()
    pase = session(1, node=0, fabric=0, mode=AuthMode.PASE)
    sessions.add(pase)
    sessions.bind_fabric(pase, 7)
    assert pase.accessor == Accessor(AuthMode.PASE, 7)
    assert sessions.of_fabric(7) == [pase]
    assert sessions.of_fabric(0) == []


def test_closing_notifies_the_peer_only_when_asked_and_the_listeners_once() -> None:
    sessions, farewells, closed = table()
    silent, polite = session(1), session(2)
    sessions.add(silent)
    sessions.add(polite)
    sessions.close(silent, notify=False)
    sessions.close(polite, notify=True)
    sessions.close(polite, notify=True)
    assert farewells.sent == [polite]
    assert closed == [silent, polite]
    assert sessions.get(2) is None


def test_a_full_table_gives_up_the_oldest_session_of_the_fabric_above_its_share() -> None:
    sessions, farewells, closed = table(capacity=7)
    modest = [session(number, fabric=1, used=number) for number in (1, 2, 3)]
    greedy = [session(number, fabric=2, used=number) for number in (14, 13, 12, 11)]
    for one in [*modest, *greedy]:
        sessions.add(one)
    sessions.add(session(20, fabric=3, used=20))
    assert closed == farewells.sent == [greedy[3]]
    assert len(sessions) == 7


def test_a_node_has_room_for_56_sessions() -> None:
    sessions = SessionTable(entropy=CountingEntropy(), farewell=Farewells())
    for number in range(1, 58):
        sessions.add(session(number, fabric=1 + number % 16, used=number))
        assert len(sessions) == min(number, 56)


@pytest.mark.parametrize(("newer", "older", "gives_way"), [(3, 2, 2), (4, 3, 1)])
def test_three_sessions_are_promised_to_each_fabric(newer: int, older: int, gives_way: int) -> None:
    """Source: Matter core specification, CapabilityMinimaStruct.CaseSessionsPerFabric, at least 3."""
    sessions, _, closed = table(capacity=newer + older)
    for number in range(older):
        sessions.add(session(number + 1, fabric=2, used=number))
    for number in range(newer):
        sessions.add(session(number + 11, fabric=1, used=number + 100))
    sessions.add(session(30, fabric=3, used=300))
    assert [one.fabric_index for one in closed] == [gives_way]


def test_a_session_with_an_interaction_is_given_up_last() -> None:
    class OpenExchange:
        is_closed = False

    sessions, _, closed = table(capacity=4)
    busy, idle, *others = [session(number, used=number) for number in (1, 2, 3, 4)]
    busy.exchanges[0, False] = OpenExchange()  # type: ignore[assignment]
    for one in (busy, idle, *others):
        sessions.add(one)
    sessions.add(session(5, used=5))
    assert closed == [idle]


def test_the_unsecured_table_gives_up_idle_sessions_and_refuses_when_all_are_busy() -> None:
    class OpenExchange:
        is_closed = False

    unsecured = UnsecuredSessionTable(entropy=CountingEntropy(), capacity=2)
    first, second, third, fourth = (MessageHeader(0, 1, source_node_id=node) for node in (11, 12, 13, 14))
    one, two = unsecured.add(first, "a"), unsecured.add(second, "a")
    assert one is not None
    assert two is not None
    one.exchanges[0, False] = OpenExchange()  # type: ignore[assignment]
    three = unsecured.add(third, "a")
    assert three is not None
    assert unsecured.get(first) is one
    assert unsecured.get(second) is None
    three.exchanges[0, False] = OpenExchange()  # type: ignore[assignment]
    one.has_answered = three.has_answered = True
    assert unsecured.add(fourth, "a") is None
    assert len(unsecured) == 2
    assert unsecured.add(MessageHeader(0, 1), "a") is None


def test_sixteen_handshakes_are_in_flight_four_of_each_host() -> None:
    class OpenExchange:
        is_closed = False

    def begin(host: int, number: int) -> bool:
        added = unsecured.add(MessageHeader(0, 1, source_node_id=100 * host + number), f"host {host}")
        if added is not None:
            added.has_answered = True
            added.exchanges[0, False] = OpenExchange()  # type: ignore[assignment]
        return added is not None

    unsecured = UnsecuredSessionTable(entropy=CountingEntropy())
    for host in range(1, 5):
        assert [begin(host, number) for number in range(1, 6)] == [True] * 4 + [False]
    assert not begin(5, 1)
    assert len(unsecured) == 16


def test_of_initiators_that_never_answered_the_one_silent_longest_gives_way() -> None:
    class OpenExchange:
        is_closed = False

        def abort(self) -> None:
            return

    unsecured = UnsecuredSessionTable(entropy=CountingEntropy(), capacity=3)
    headers = [MessageHeader(0, 1, source_node_id=node) for node in (11, 12, 13, 14)]
    for header, has_answered in zip(headers, (True, False, False), strict=False):
        added = unsecured.add(header, "a")
        assert added is not None
        added.has_answered = has_answered
        added.exchanges[0, False] = OpenExchange()  # type: ignore[assignment]
    unsecured.get(headers[1])
    assert unsecured.add(headers[3], "a") is not None
    assert [unsecured.get(header) is not None for header in headers] == [True, True, False, True]


def test_a_sealed_message_opens_only_unchanged_and_with_the_right_sender() -> None:
    sender, receiver = session(1, node=2), session(1, node=1)
    sender.local_node_id = 1
    counter, datagram = sender.seal(b"secret")
    assert b"secret" not in datagram
    header, offset = MessageHeader.decode(datagram)
    assert header == MessageHeader(session_id=1, counter=counter)
    assert receiver.open(datagram, offset) == b"secret"
    for position in range(len(datagram)):
        mutated = bytearray(datagram)
        mutated[position] ^= 1
        with pytest.raises(DecodeError):
            receiver.open(bytes(mutated), offset)
    stranger = session(1, node=9)
    with pytest.raises(DecodeError):
        stranger.open(datagram, offset)


def test_keys_never_show_in_a_representation() -> None:
    keys = SessionKeys.from_octets(bytes(range(48)))
    assert (keys.initiator_to_responder, keys.responder_to_initiator) == (bytes(range(16)), bytes(range(16, 32)))
    assert keys.attestation_challenge == bytes(range(32, 48))
    assert repr(keys) == "SessionKeys()"
    one = session(0x1234, fabric=2, node=0xABC)
    one.attestation_challenge = b"challenge"
    assert repr(one) == "Session(CASE local_id=4660 fabric=2 peer=0000000000000ABC)"


def test_session_parameters_are_those_of_the_pinned_version() -> None:
    assert SessionParameters().to_tlv() == {1: 500, 2: 300, 3: 4000, 4: 19, 5: 12, 6: 0x01040200, 7: 1}
    assert all(isinstance(value, tlv.uint) for value in SessionParameters().to_tlv().values())


def test_a_peers_timing_has_defaults_and_ignores_unknown_tags() -> None:
    assert PeerTiming.from_fields(tlv.Fields({}, "parameters")) == PeerTiming(500, 300, 4000)
    given_fields = tlv.Fields({1: 2000, 2: 100, 3: 60, 8: 3, 9: 64000, (0xFFF1, 1): 5}, "parameters")
    assert PeerTiming.from_fields(given_fields) == PeerTiming(2000, 100, 60)
    with pytest.raises(DecodeError):
        PeerTiming.from_fields(tlv.Fields({1: 1 << 22}, "parameters"))


def test_a_peer_counts_as_awake_for_its_threshold_after_its_last_message() -> None:
    one = session(1)
    assert one.retransmission_base_ms(now=0.0) == 500
    one.note_received(1, "elsewhere", now=10.0)
    assert one.address == "elsewhere"
    assert one.retransmission_base_ms(now=13.9) == 300
    assert one.retransmission_base_ms(now=14.0) == 500
