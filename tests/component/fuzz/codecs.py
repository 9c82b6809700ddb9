"""What bytes from strangers are fed to: every decoder of Matter, of the link and of the command socket.

Each may raise nothing but DecodeError, or what its protocol answers with: MatterStatus, a refused handshake, a refusal.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from evse_pi.api.protocol import read_answer, read_request, request_line
from evse_pi.api.refusal import Refusal
from evse_pi.core.records import (
    Demand,
    MeterSample,
    RecordDecodeError,
    TemperatureSample,
    decode_demand,
    decode_snapshot,
    encode_demand,
    encode_snapshot,
)
from evse_pi.core.states import LimitSource
from evse_pi.matter.channel.case import Sigma1
from evse_pi.matter.channel.handshake import HandshakeRefused
from evse_pi.matter.channel.pase import ParamRequest
from evse_pi.matter.channel.secure_channel import StatusReport
from evse_pi.matter.identity.certificate import CertificateError, MatterCertificate, verify_chain, verify_root
from evse_pi.matter.interaction import messages
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import MessageHeader, ProtocolHeader
from evse_pi.matter.wire.status_code import DecodeError, MatterStatus
from hal.units import CentiCelsius, Milliamps, Millivolts
from tests.support.matter_authority import Authority, CountingEntropy
from tests.support.node_box import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable

AUTHORITY = Authority(with_icac=True)
DEMAND = Demand(
    number=1,
    permitted=True,
    offered_current_ma=Milliamps(16_000),
    limit_source=LimitSource.OWNER,
    valid_until_ns=15_000_000_000,
    meter=MeterSample(1, (Millivolts(230_000),) * 3, (Milliamps(16_000),) * 3),
    temperature=TemperatureSample(1, CentiCelsius(2_500)),
)


def _decodes(decode: Callable[[bytes], object], *answers: type[Exception]) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        with suppress(DecodeError, *answers):
            decode(data)

    return target


def message_header(data: bytes) -> None:
    """A header that decodes is encoded back to the bytes it came from, extensions and reserved bits aside."""
    try:
        header, offset = MessageHeader.decode(data)
    except DecodeError:
        return
    assert offset <= len(data)
    assert MessageHeader.decode(header.encode())[0] == header


def protocol_header(data: bytes) -> None:
    try:
        header, offset = ProtocolHeader.decode(data)
    except DecodeError:
        return
    assert offset <= len(data)
    assert ProtocolHeader.decode(header.encode())[0] == header


def tlv_element(data: bytes) -> None:
    """What decodes can be encoded, and then decodes to the same encoding."""
    try:
        value = tlv.decode(data)
    except DecodeError:
        return
    with suppress(ValueError, struct.error):  # profile tags, which the writer does not know in every form
        encoded = tlv.encode(value)
        assert tlv.encode(tlv.decode(encoded)) == encoded


def certificate(data: bytes) -> None:
    try:
        decoded = MatterCertificate.decode(data)
    except DecodeError:
        return
    with suppress(CertificateError):
        verify_root(decoded)
        assert decoded == AUTHORITY.root_certificate
    with suppress(CertificateError):
        verify_chain(decoded, AUTHORITY.icac_certificate, AUTHORITY.root_certificate, None)
    with suppress(CertificateError):
        verify_chain(AUTHORITY.make_noc(1, AUTHORITY.icac_key.public_key), decoded, AUTHORITY.root_certificate, 0)


def demand(data: bytes) -> None:
    """What decodes is a demand that could have been sent."""
    with suppress(RecordDecodeError):
        assert decode_demand(encode_demand(decode_demand(data))) == decode_demand(data)


def snapshot(data: bytes) -> None:
    """What decodes is a snapshot that could have been sent."""
    with suppress(RecordDecodeError):
        assert decode_snapshot(encode_snapshot(decode_snapshot(data))) == decode_snapshot(data)


def request(data: bytes) -> None:
    """Only the command socket's server reads it, and it refuses longer lines before."""
    with suppress(Refusal):
        read_request(data)


def answer(data: bytes) -> None:
    with suppress(Refusal, ValueError):
        read_answer(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "message_header": message_header,
    "protocol_header": protocol_header,
    "tlv": tlv_element,
    "certificate": certificate,
    "status_report": _decodes(StatusReport.decode),
    "param_request": _decodes(ParamRequest.decode, HandshakeRefused),
    "sigma1": _decodes(Sigma1.decode, HandshakeRefused),
    "read": _decodes(messages.decode_read, MatterStatus),
    "subscribe": _decodes(messages.decode_subscribe, MatterStatus),
    "write": _decodes(messages.decode_write, MatterStatus),
    "invoke": _decodes(messages.decode_invoke, MatterStatus),
    "timed": _decodes(messages.decode_timed),
    "status": _decodes(messages.decode_status),
    "demand": demand,
    "snapshot": snapshot,
    "request": request,
    "answer": answer,
}


def _path(*pairs: tuple[int, int | None]) -> tlv.TLVList:
    return tlv.TLVList([(tag, None if value is None else tlv.uint(value)) for tag, value in pairs])


def seeds() -> dict[str, list[bytes]]:
    """Return well-formed examples, from which a fuzzer reaches the inside of each decoder."""
    entropy = CountingEntropy("seeds")
    revision = {255: tlv.uint(12)}
    attribute = _path((2, 1), (3, 6), (4, 0))
    parameters = {1: tlv.uint(500), 2: tlv.uint(300), 3: tlv.uint(4000), 7: tlv.uint(1), 9: tlv.uint(70000)}
    sigma1 = {1: entropy.octets(32), 2: tlv.uint(7), 3: entropy.octets(32), 4: b"\x04" + entropy.octets(64)}
    reading = {
        0: [attribute, _path()],
        1: [_path((1, 0), (2, 40), (3, 0))],
        2: [{1: tlv.uint(3)}],
        3: True,
        4: [{0: _path((1, 0), (2, 40)), 1: tlv.uint(99)}],
    }
    subscribing = {0: False, 1: tlv.uint(0), 2: tlv.uint(60), 3: reading[0], 4: reading[1], 5: reading[2], 7: True}
    writing = {
        0: False,
        1: False,
        2: [
            {0: tlv.uint(5), 1: attribute, 2: True},
            {1: _path((2, 0), (3, 31), (4, 0), (5, None)), 2: {1: tlv.uint(5)}},
        ],
        3: False,
    }
    invoking = {0: False, 1: False, 2: [{0: _path((0, 1), (1, 6), (2, 2)), 1: {0: b"x"}, 2: tlv.uint(1)}]}
    return {
        "message_header": [
            MessageHeader(0, 1, source_node_id=5).encode(),
            MessageHeader(7, 1, destination_node_id=5).encode() + entropy.octets(40),
            bytes.fromhex("000700200100000003000102030405"),
        ],
        "protocol_header": [
            ProtocolHeader(is_initiator=True, opcode=2, exchange_id=9, protocol_id=1, needs_ack=True).encode()
            + b"\x15",
            bytes.fromhex("1f020900010005000403020103000102030405"),
        ],
        "tlv": [tlv.encode(reading), AUTHORITY.root, tlv.encode({1: -5, 2: 1.5, 3: None, 4: "ü", (0, 7): [True]})],
        "certificate": [
            AUTHORITY.root,
            AUTHORITY.icac or b"",
            AUTHORITY.issue(5, AUTHORITY.icac_key.public_key, tags=(0x10001,)),
        ],
        "status_report": [StatusReport(0, 0, 0).encode(), StatusReport(8, 4, 0).encode() + b"\x01\x00"],
        "param_request": [
            tlv.encode({1: entropy.octets(32), 2: tlv.uint(7), 3: tlv.uint(0), 4: False, 5: parameters}),
        ],
        "sigma1": [
            tlv.encode({**sigma1, 5: parameters}),
            tlv.encode({**sigma1, 6: entropy.octets(16), 7: entropy.octets(16)}),
        ],
        "read": [tlv.encode({**reading, **revision}), tlv.encode({2: [tlv.uint(1)], 3: True})],
        "subscribe": [tlv.encode({**subscribing, **revision})],
        "write": [tlv.encode({**writing, **revision})],
        "invoke": [tlv.encode({**invoking, **revision})],
        "timed": [tlv.encode({0: tlv.uint(500), **revision})],
        "status": [tlv.encode({0: tlv.uint(0), **revision})],
        "demand": [encode_demand(DEMAND), encode_demand(replace(DEMAND, meter=None, temperature=None))],
        "snapshot": [encode_snapshot(IDLE)],
        "request": [request_line("set", {"field": "limit", "value": [1, -2.5e3, None, True, "ü"]})],
        "answer": [b'{"ok": true, "result": {}}', b'{"ok": false, "error": "no", "at": {"field": "a", "value": 1}}'],
    }


def any_decoder(data: bytes) -> None:
    """Feed the decoder that the first octet names."""
    if data:
        targets = list(TARGETS.values())
        targets[data[0] % len(targets)](data[1:])


def any_seeds() -> list[bytes]:
    """Return the seeds of all decoders, each behind the octet that names its decoder."""
    return [bytes((number,)) + seed for number, name in enumerate(TARGETS) for seed in seeds()[name]]
