"""The encodings that the Matter core specification gives as examples in appendix A.12."""

from __future__ import annotations

import math
from typing import Any

import pytest
from chip.tlv import float32

from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.tlv import TLVList, uint

VECTORS: list[tuple[str, Any]] = [
    ("08", False),
    ("09", True),
    ("00 2a", 42),
    ("00 ef", -17),
    ("04 2a", uint(42)),
    ("02 f0 67 fd ff", -170000),
    ("03 00 90 2f 50 09 00 00 00", 40000000000),
    ("0c 06 48 65 6c 6c 6f 21", "Hello!"),
    ("0c 07 54 73 63 68 c3 bc 73", "Tschüs"),
    ("10 05 00 01 02 03 04", bytes(range(5))),
    ("14", None),
    ("0a 00 00 00 00", float32(0.0)),
    ("0a 00 00 80 7f", float32(math.inf)),
    ("0a 00 00 80 ff", float32(-math.inf)),
    ("0b 00 00 00 00 00 00 00 00", 0.0),
    ("0b 55 55 55 55 55 55 d5 3f", 1 / 3),
    ("0b 66 66 66 66 66 e6 31 40", 17.9),
    ("15 18", {}),
    ("16 18", []),
    ("17 18", TLVList()),
    ("15 20 00 2a 20 01 ef 18", {0: 42, 1: -17}),
    ("16 00 00 00 01 00 02 00 03 00 04 18", [0, 1, 2, 3, 4]),
    ("17 00 01 20 00 2a 00 02 00 03 20 00 ef 18", TLVList([(None, 1), (0, 42), (None, 2), (None, 3), (0, -17)])),
    ("16 00 2a 02 f0 67 fd ff 15 18 0b 66 66 66 66 66 e6 31 40 0c 06 48 65 6c 6c 6f 21 18",
     [42, -170000, {}, 17.9, "Hello!"]),
    ("15 24 00 2a 18", {0: uint(42)}),
    ("15 44 01 00 2a 18", {(0, 1): uint(42)}),
    ("15 64 a0 86 01 00 2a 18", {(0, 100000): uint(42)}),
    ("15 c4 f1 ff ed de 01 00 2a 18", {(0xFFF1DEED, 1): uint(42)}),
]  # fmt: skip


@pytest.mark.parametrize(("encoded", "value"), VECTORS, ids=[encoded for encoded, _ in VECTORS])
def test_an_example_of_the_specification_is_read_and_written(encoded: str, value: Any) -> None:
    octets = bytes.fromhex(encoded)
    assert tlv.decode(octets) == value
    assert type(tlv.decode(octets)) is type(value)
    assert tlv.encode(value) == octets
