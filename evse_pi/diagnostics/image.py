"""The scope as a picture: a PNG of grey levels and three colours, written without any library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from evse_pi.diagnostics.scope import BANDS, TOP_MV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.api.diagnosis import Scope

WIDTH, HEIGHT, BORDER = 960, 480, 24
PALETTE = bytes((255, 255, 255, 205, 205, 205, 236, 241, 248, 20, 20, 20, 200, 40, 30))
WHITE, GREY, BAND, BLACK, RED = range(5)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(view: Scope) -> bytes:
    """Return the PNG of a scope view: bands shaded, grid of 3 V, samples joined in black, medians in red.

    Source: PNG, ISO/IEC 15948: signature, IHDR, PLTE, IDAT, IEND.
    """
    rows = [bytearray([WHITE]) * WIDTH for _ in range(HEIGHT)]
    for _, lowest, highest in BANDS[:4]:
        for y in range(_y(highest), _y(lowest) + 1):
            rows[y][BORDER : WIDTH - BORDER] = bytes([BAND]) * (WIDTH - 2 * BORDER)
    for level in range(-12_000, 12_001, 3_000):
        rows[_y(level)][BORDER : WIDTH - BORDER] = bytes([GREY]) * (WIDTH - 2 * BORDER)
    for plateau in (view.high_mv, view.low_mv):
        if plateau is not None:
            rows[_y(plateau)][BORDER : WIDTH - BORDER] = bytes([RED]) * (WIDTH - 2 * BORDER)
    _trace(rows, view.samples_mv)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    chunks = ((b"IHDR", header), (b"PLTE", PALETTE), (b"IDAT", data), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _trace(rows: list[bytearray], samples: Sequence[int]) -> None:
    before: int | None = None
    for place, millivolts in enumerate(samples):
        x = BORDER + place * (WIDTH - 2 * BORDER - 1) // max(len(samples) - 1, 1)
        y = _y(millivolts)
        for between in range(min(y, before if before is not None else y), max(y, before or y) + 1):
            rows[between][x] = BLACK
        following = BORDER + (place + 1) * (WIDTH - 2 * BORDER - 1) // max(len(samples) - 1, 1)
        rows[y][x : min(following, WIDTH - BORDER)] = bytes([BLACK]) * (min(following, WIDTH - BORDER) - x)
        before = y


def _y(millivolts: int) -> int:
    inside = min(max(millivolts, -TOP_MV), TOP_MV)
    return BORDER + (TOP_MV - inside) * (HEIGHT - 2 * BORDER - 1) // (2 * TOP_MV)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
