"""What reaches the framework is a well-formed request of bounded size, whatever comes over the wire."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evse_pi.web.http_parser import MAX_BODY_BYTES, MAX_HEAD_BYTES, BadRequest, RawRequest, parse_head, read_request

GOOD = b"GET /why?to=codes HTTP/1.1\r\nHost: 192.0.2.7:8080\r\nCookie: a=b; c=d\r\n\r\n"


async def read(content: bytes) -> RawRequest:
    reader = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
    reader.feed_data(content)
    reader.feed_eof()
    return await read_request(reader)


async def test_a_browsers_request_is_read() -> None:
    request = await read(GOOD)
    assert (request.method, request.target) == ("GET", "/why?to=codes")
    assert request.fields == {"host": "192.0.2.7:8080", "cookie": "a=b; c=d"}


async def test_a_form_is_read_to_its_length_and_no_further() -> None:
    request = await read(b"POST /pin HTTP/1.1\r\nContent-Length: 3\r\n\r\npin=4 GET /again")
    assert request.body == b"pin"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"GET /../etc/passwd%00 HTTP/1.1\r\n\r\n", 400, "request line"),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/2.0\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/1.1 \r\n\r\n", 400, "request line"),
        (b"\r\n\r\n", 400, "request line"),
        (b"DELETE / HTTP/1.1\r\n\r\n", 405, "GET, HEAD and POST"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "field 1"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400, "field 2"),
        (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "field 1"),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400, "field 1"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "host: sent twice"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "content-length"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", 400, "content-length"),
        (b"POST / HTTP/1.1\r\nContent-Length: 4000\r\n\r\n", 413, f"at most {MAX_BODY_BYTES}"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, "transfer-encoding"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, f"{MAX_HEAD_BYTES} bytes"),
    ],
)
async def test_what_is_no_such_request_is_named(content: bytes, status: int, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await read(content)
    assert refused.value.status == status
    assert words in str(refused.value)


async def test_a_client_that_goes_away_is_not_waited_for() -> None:
    for content in (b"", GOOD[:-2], b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort"):
        with pytest.raises(EOFError):
            await read(content)


@given(st.binary(max_size=200))
@example(b"GET / HTTP/1.1")
def test_any_head_is_a_request_or_refused(head: bytes) -> None:
    try:
        method, target, fields = parse_head(head + b"\r\n\r\n")
    except BadRequest:
        return
    assert method in ("GET", "HEAD", "POST")
    assert target.startswith("/")
    assert all(value.isprintable() for value in fields.values())


async def test_a_head_of_8192_bytes_and_a_form_of_1024_are_read_and_no_longer_ones() -> None:
    """The figures of docs/SECURITY.md, to the byte."""
    head = b"GET / HTTP/1.1\r\nX: %s\r\n\r\n"
    fits = 8_192 - len(head) + len(b"%s") + len(b"\r\n\r\n")  # the end of a head is not counted
    assert (await read(head % (b"x" * fits))).method == "GET"
    with pytest.raises(BadRequest, match="at most 8192 bytes"):
        await read(head % (b"x" * (fits + 1)))
    form = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"
    assert len((await read(form % (1_024, b"x" * 1_024))).body) == 1_024
    with pytest.raises(BadRequest, match="at most 1024"):
        await read(form % (1_025, b"x" * 1_025))
