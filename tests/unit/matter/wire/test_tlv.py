from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import DecodeError
from evse_pi.matter.wire.tlv import TLVList, uint

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 2**64 - 1).map(uint)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
TAGS = st.integers(0, 255)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(TAGS, inner, max_size=5)
        | st.lists(st.tuples(st.none() | TAGS, inner), max_size=5).map(TLVList)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_survives_encoding(value: object) -> None:
    assert tlv.decode(tlv.encode(value)) == value


@given(st.binary(max_size=200))
@example(b"\x15" * 200)
@example(b"\x17\xc4\xf1\xff\xed\xde\x01\x00\x2a\x18")  # chip.tlv cannot put a profile tag into a list
@example(b"\x13\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x0c\x01\xff")
def test_random_bytes_give_a_value_or_a_decode_error(octets: bytes) -> None:
    with suppress(DecodeError):
        tlv.decode(octets)


@given(st.lists(st.sampled_from(b"\x15\x16\x17\x18\x00\x24\x35\x36\x30\x01\x2c\x0c"), max_size=60))
def test_random_structure_gives_a_value_or_a_decode_error(octets: list[int]) -> None:
    with suppress(DecodeError):
        tlv.decode(bytes(octets))


@given(VALUES, st.data())
def test_a_cut_value_is_refused(value: object, data: st.DataObject) -> None:
    encoded = tlv.encode(value)
    with pytest.raises(DecodeError):
        tlv.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(VALUES, st.binary(min_size=1, max_size=8))
def test_bytes_after_the_value_are_refused(value: object, rest: bytes) -> None:
    with pytest.raises(DecodeError):
        tlv.decode(tlv.encode(value) + rest)


def test_nesting_is_bounded() -> None:
    tlv.decode(b"\x16" * 16 + b"\x18" * 16)
    with pytest.raises(DecodeError, match="nested deeper than 16"):
        tlv.decode(b"\x16" * 17 + b"\x18" * 17)


def test_size_is_bounded() -> None:
    with pytest.raises(DecodeError, match="at most 65536"):
        tlv.decode(bytes(tlv.MAX_BYTES + 1))


@pytest.mark.parametrize(
    "octets",
    ["15 00 2a 18", "16 20 00 2a 18", "20 00 2a", "38", "19", "18", "1f"],
    ids=["anonymous member", "tagged item", "tagged top", "tagged end", "type 0x19", "lone end", "type 0x1f"],
)
def test_a_tag_or_type_out_of_place_is_refused(octets: str) -> None:
    with pytest.raises(DecodeError):
        tlv.decode(bytes.fromhex(octets))


def test_a_string_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(DecodeError, match="not UTF-8"):
        tlv.decode(b"\x15\x2c\x01\x02\xc3\x28\x18")
    assert tlv.decode(b"\x10\x02\xc3\x28") == b"\xc3\x28"


def test_fields_are_read_with_their_type() -> None:
    fields = tlv.decode_fields(
        tlv.encode({1: b"abc", 2: uint(0x1_0000), 3: True, 4: {0: uint(1)}, 5: -1, 6: uint(0)}), "Thing"
    )
    assert fields.octets(1) == fields.octets(1, size=3) == b"abc"
    assert fields.unsigned(2, bits=17) == 0x1_0000
    assert fields.boolean(3) is True
    assert fields.fields(4).unsigned(0, bits=8) == 1
    assert 6 in fields
    assert 7 not in fields
    refused = [
        (lambda: fields.octets(2), "Thing field 2 is not any octets"),
        (lambda: fields.octets(1, size=4), "Thing field 1 is not 4 octets"),
        (lambda: fields.unsigned(2, bits=16), "Thing field 2 is not an unsigned integer of 16 bits"),
        (lambda: fields.unsigned(3, bits=8), "Thing field 3"),
        (lambda: fields.unsigned(5, bits=8), "Thing field 5"),
        (lambda: fields.boolean(6), "Thing field 6 is not a boolean"),
        (lambda: fields.fields(1), "Thing field 1 is not a structure"),
        (lambda: fields.octets(9), "Thing field 9 is absent"),
    ]
    for read, why in refused:
        with pytest.raises(DecodeError, match=why):
            read()


def test_a_message_must_be_a_structure() -> None:
    with pytest.raises(DecodeError, match="Thing is not a structure"):
        tlv.decode_fields(tlv.encode([1]), "Thing")


def test_tlv_loads_no_cluster() -> None:
    """The clusters of the chip package take 1.5 s and 54 MB."""
    code = (
        "import sys, evse_pi.matter.wire.tlv\n"
        "print(sorted(name for name in sys.modules if name.startswith('chip.') and not name.startswith('chip.tlv')))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"
