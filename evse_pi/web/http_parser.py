"""HTTP/1.1 as far as a browser needs it here: one request a connection, of bounded size, and plain characters only.

What is not exactly that never reaches the framework.
Source: RFC 9112; `Connection: close` on every answer leaves out pipelining, chunks and persistence.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD_BYTES = 8_192
MAX_BODY_BYTES = 1_024  # the longest form has a PIN, a token and a current
_REQUEST_LINE = re.compile(rb"(GET|HEAD|POST) (/[\w./-]*)(\?[\w=&.-]*)? HTTP/1\.[01]")
_OTHER_METHOD = re.compile(rb"[A-Z]{1,20} \S+ HTTP/1\.[01]")
_FIELD = re.compile(rb"([\w!#$%&'*+.^`|~-]+):[ \t]*([\x20-\x7e]*?)[ \t]*")
_ONLY_ONCE = frozenset({"host", "content-length", "origin", "cookie"})


class BadRequest(Exception):  # noqa: N818 (it is an answer)
    """The bytes are no request that is served here."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One request, checked for its form; names of fields are in lower case."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> RawRequest:
    """Return the request. Raises: BadRequest, EOFError when the client went away before its end, OSError."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        reason = f"the head of a request has at most {MAX_HEAD_BYTES} bytes"
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason) from None
    method, target, fields = parse_head(head)
    return RawRequest(method, target, fields, await _body(reader, method, fields))


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, target and fields. Raises: BadRequest."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        if _OTHER_METHOD.fullmatch(first) and not first.startswith((b"GET ", b"HEAD ", b"POST ")):
            raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, "allowed methods are GET, HEAD and POST")
        raise BadRequest(HTTPStatus.BAD_REQUEST, "request line: not an HTTP/1.1 request for a page of this box")
    fields: dict[str, str] = {}
    for each in lines:
        field = _FIELD.fullmatch(each)
        if field is None:
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"field {len(fields) + 1}: not `name: printable characters`")
        name = field[1].decode().lower()
        if name in fields and name in _ONLY_ONCE:
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"{name}: sent twice")
        fields[name] = field[2].decode()
    return line[1].decode(), (line[2] + (line[3] or b"")).decode(), fields


async def _body(reader: asyncio.StreamReader, method: str, fields: dict[str, str]) -> bytes:
    if "transfer-encoding" in fields:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "transfer-encoding: not allowed; send content-length")
    told = fields.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,9}", told):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "content-length: not a number")
    length = int(told)
    if length > MAX_BODY_BYTES:
        reason = f"content-length: {length} is not allowed; at most {MAX_BODY_BYTES}"
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
    return await reader.readexactly(length) if method == "POST" else b""
