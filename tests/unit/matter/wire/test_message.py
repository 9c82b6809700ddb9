from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.wire.message import MessageHeader, ProtocolHeader, SessionType
from evse_pi.matter.wire.status_code import DecodeError

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)
U64 = st.integers(0, 0xFFFF_FFFF_FFFF_FFFF)

UNICAST_HEADERS = st.builds(
    MessageHeader,
    session_id=U16,
    counter=U32,
    source_node_id=st.none() | U64,
    destination_node_id=st.none() | U64,
    is_control=st.booleans(),
)
GROUP_HEADERS = st.builds(
    MessageHeader,
    session_id=U16,
    counter=U32,
    source_node_id=st.none() | U64,
    destination_group_id=U16,
    session_type=st.just(SessionType.GROUP),
    is_control=st.booleans(),
)
PROTOCOL_HEADERS = st.builds(
    ProtocolHeader,
    is_initiator=st.booleans(),
    opcode=st.integers(0, 0xFF),
    exchange_id=U16,
    protocol_id=U16,
    acknowledged_counter=st.none() | U32,
    needs_ack=st.booleans(),
    vendor_id=U16,
)


@given(UNICAST_HEADERS | GROUP_HEADERS, st.binary(max_size=40))
def test_a_message_header_survives_encoding(header: MessageHeader, rest: bytes) -> None:
    encoded = header.encode()
    assert MessageHeader.decode(encoded + rest) == (header, len(encoded))


@given(PROTOCOL_HEADERS, st.binary(max_size=40))
def test_a_protocol_header_survives_encoding(header: ProtocolHeader, rest: bytes) -> None:
    encoded = header.encode()
    assert ProtocolHeader.decode(encoded + rest) == (header, len(encoded))


@given(UNICAST_HEADERS | GROUP_HEADERS, st.data())
def test_a_cut_message_header_is_refused(header: MessageHeader, data: st.DataObject) -> None:
    encoded = header.encode()
    with pytest.raises(DecodeError):
        MessageHeader.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(PROTOCOL_HEADERS, st.data())
def test_a_cut_protocol_header_is_refused(header: ProtocolHeader, data: st.DataObject) -> None:
    encoded = header.encode()
    with pytest.raises(DecodeError):
        ProtocolHeader.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=60))
def test_random_bytes_give_a_header_within_them_or_a_decode_error(octets: bytes) -> None:
    for codec in (MessageHeader, ProtocolHeader):
        try:
            _, offset = codec.decode(octets)
        except DecodeError:
            continue
        assert 0 < offset <= len(octets)


def test_the_layout_is_that_of_the_specification() -> None:
    header = MessageHeader(0x1234, 0x89ABCDEF, source_node_id=0x0102030405060708)
    assert header.encode().hex() == "04341200efcdab890807060504030201"
    reply = MessageHeader(0x1234, 1, destination_node_id=2, is_control=True)
    assert reply.encode().hex() == "01341240010000000200000000000000"
    protocol = ProtocolHeader(
        is_initiator=True, opcode=0x20, exchange_id=0xBEEF, protocol_id=1, acknowledged_counter=5, needs_ack=True
    )
    assert protocol.encode().hex() == "0720efbe010005000000"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("10 0100 00 00000000", "version 1"),
        ("03 0100 00 00000000 0000000000000000", "reserved"),
        ("02 0100 00 00000000 0000", "unicast message with a group"),
        ("00 0100 02 00000000", "session type is reserved"),
        ("00 0100 80 00000000", "privacy"),
        ("00 0100 20 00000000 0500 00000000", "extensions are cut short"),
        ("00 0100 20 00000000 05", "header is cut short"),
    ],
)
def test_what_this_node_does_not_have_is_refused_by_name(octets: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        MessageHeader.decode(bytes.fromhex(octets))


def test_extensions_are_skipped() -> None:
    header, offset = MessageHeader.decode(bytes.fromhex("00 0100 20 07000000 0300 aabbcc ff"))
    assert (header.session_id, header.counter, offset) == (1, 7, 13)
    protocol, offset = ProtocolHeader.decode(bytes.fromhex("08 02 0100 0100 0200 aabb ff"))
    assert (protocol.opcode, offset) == (2, 10)
