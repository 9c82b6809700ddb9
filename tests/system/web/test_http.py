"""The page as a stranger's program meets it: what is shown, what needs the PIN, what is refused."""

from __future__ import annotations

import csv
import io
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.web_box import HOST, PIN, WebBox

if TYPE_CHECKING:
    from tests.support.web_box import Answer

PAGES = ("/", "/why", "/scope", "/sessions", "/faults", "/selftest", "/codes", "/control", "/pin")
ACTS = ("/selftest", "/permit", "/stop", "/limit", "/start")


def enter(box: WebBox, pin: str = PIN) -> Answer:
    return box.post("/pin", {"pin": pin})


def cookie_and_token(box: WebBox) -> tuple[str, str]:
    answer = enter(box)
    assert answer.status == 303, answer.body
    cookie = answer.fields["set-cookie"].split(";")[0]
    token = re.search(r'name="token" value="([\w-]+)"', box.get("/control", Cookie=cookie).body)
    assert token is not None
    return cookie, token[1]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_private_and_asks_no_other_host(box: WebBox, path: str) -> None:
    answer = box.get(path)
    assert answer.status == 200
    assert answer.body.startswith("<!doctype html>")
    assert answer.body.endswith("</html>")
    assert answer.fields["cache-control"] == "no-store"
    assert answer.fields["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.fields["content-security-policy"]
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", answer.body)
    assert "<style" not in answer.body
    assert "<script>" not in answer.body


def test_a_passcode_is_on_no_page_without_the_pin(box: WebBox) -> None:
    codes = box.ask("commission", action="CODES")["codes"]
    secrets = (str(codes["passcode"]), codes["qr"], codes["manual"][:4] + "-")
    for path in PAGES:
        assert not any(secret in box.get(path).body for secret in secrets), path
    cookie, _ = cookie_and_token(box)
    assert codes["qr"] in box.get("/codes", Cookie=cookie).body
    assert "<svg" in box.get("/codes", Cookie=cookie).body


@pytest.mark.parametrize("path", ACTS)
def test_nothing_is_done_without_the_pin_nor_with_a_forged_form(box: WebBox, path: str) -> None:
    before = box.ask("status")["owner"]
    form = {"amps": "6"}
    assert box.post(path, form).status == 403
    cookie, token = cookie_and_token(box)
    assert box.post(path, form, Cookie=cookie).status == 403
    assert "token" in box.post(path, {**form, "token": "x"}, Cookie=cookie).body
    right = {**form, "token": token}
    for origin in ("null", "http://evil.example", f"http://{HOST}:1", ""):
        answer = box.post(path, right, Cookie=cookie, Origin=origin)
        assert (answer.status, "origin" in answer.body) == (403, True), origin
    assert box.get(f"{path}?token={token}", Cookie=cookie).status in (200, 405)
    assert box.ask("status")["owner"] == before
    assert box.ask("status")["safety"]["self_test"] == "PASSED"


def test_the_session_is_kept_from_scripts_other_sites_and_long_lives(box: WebBox) -> None:
    told = enter(box).fields["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Max-Age=900", "Path=/"):
        assert word in told
    cookie, token = cookie_and_token(box)
    assert box.post("/leave", {"token": token}, Cookie=cookie).status == 303
    assert "Read-only" in box.get("/", Cookie=cookie).body


def test_a_form_of_too_many_fields_is_refused_in_a_line_and_leaves_no_traceback(box: WebBox) -> None:
    for path in ("/pin", "/leave", "/stop"):
        answer = box.post(path, {f"f{number}": "x" for number in range(9)})
        assert (answer.status, answer.body) == (400, "form: more fields than allowed; at most 8\n")
    assert "Traceback" not in (box.box.state_dir / "log").read_text()


def test_a_limit_is_taken_or_refused_by_name_value_and_range(box: WebBox) -> None:
    cookie, token = cookie_and_token(box)
    for amps, words in (
        ("16A", "a number of A"),
        ("1e1", "a number of A"),
        ("5", "6.0 A to 32.0 A"),
        ("999", "6.0 A to 32.0 A"),
    ):
        answer = box.post("/limit", {"amps": amps, "token": token}, Cookie=cookie)
        told = answer.body.replace("\N{NO-BREAK SPACE}", " ")
        assert (answer.status, words in told, "limit" in told) == (409, True, True), amps
    assert box.post("/limit", {"amps": "10,5", "token": token}, Cookie=cookie).status == 303
    assert box.ask("status")["owner"]["limit_ma"] == 10_500
    assert box.post("/limit", {"amps": "", "token": token}, Cookie=cookie).status == 303
    assert box.ask("status")["owner"]["limit_ma"] is None


def test_the_capacity_of_the_circuit_is_out_of_reach(box: WebBox) -> None:
    cookie, token = cookie_and_token(box)
    before = (box.box.state_dir / "installation.toml").read_bytes()
    for path in ("/capacity", "/reload", "/set", "/clear", "/commission"):
        answer = box.post(path, {"token": token, "current_ma": "32000", "role": "installer"}, Cookie=cookie)
        assert answer.status == 404, path
    assert (box.box.state_dir / "installation.toml").read_bytes() == before


def test_a_name_that_is_not_the_boxs_is_refused(box: WebBox) -> None:
    answer = box.get("/", Host="evil.example")
    assert (answer.status, "--web-name" in answer.body) == (421, True)
    assert box.get("/live/status", Host="evil.example").status == 421
    assert box.post("/pin", {"pin": PIN}, Host="evil.example", Origin="http://evil.example").status == 421
    assert box.get("/", Host=f"localhost:{box.port}").status == 200
    assert box.get("/", Host="wallbox.local").status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/page.css", 200),
        ("/static/icon.svg", 200),
        ("/static/../application.py", 404),
        ("/static/..", 404),
        ("/static/", 404),
        ("/static/page.css/..", 404),
        ("/static//etc/passwd", 404),
        ("/nothing", 404),
        ("/static/%2e%2e%2fanswers.py", 400),
    ],
)
def test_files_are_the_three_and_no_others(box: WebBox, path: str, status: int) -> None:
    answer = box.get(path)
    assert answer.status == status
    assert "import" not in answer.body


def test_sessions_are_a_spreadsheet(box: WebBox) -> None:
    answer = box.get("/sessions.csv")
    assert answer.fields["content-type"] == "text/csv; charset=utf-8"
    assert "sessions.csv" in answer.fields["content-disposition"]
    assert next(csv.reader(io.StringIO(answer.body)))[:2] == ["number", "started_unix_s"]


def test_news_come_without_asking_and_signs_of_life_in_between(box: WebBox) -> None:
    with socket.create_connection((HOST, box.port), timeout=20) as client:
        client.sendall(f"GET /live/selftest HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        heard = b""
        while b"event: alive" not in heard:  # a result does not change by itself
            heard += client.recv(4096)
    assert b"text/event-stream" in heard
    assert heard.count(b"data: <section") == 1


def test_live_pages_are_few(box: WebBox) -> None:
    clients = []
    try:
        for number in range(14):
            address = (f"127.0.0.{2 + number // 7}", 0)
            client = socket.create_connection((HOST, box.port), timeout=20, source_address=address)
            clients.append(client)
            client.sendall(f"GET /live/status HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            time.sleep(0.05)
        statuses = [client.recv(12) for client in clients]
        assert 1 <= statuses.count(b"HTTP/1.1 200") <= 12
        assert statuses.count(b"HTTP/1.1 503") >= 2
        assert box.get("/").status == 200
    finally:
        for client in clients:
            client.close()


def test_a_wrong_pin_opens_nothing_and_is_told_so(box: WebBox) -> None:
    for pin in ("111222", ""):
        answer = enter(box, pin)
        assert (answer.status, "the PIN is wrong" in answer.body) == (403, True)
        assert "set-cookie" not in answer.fields
    assert enter(box).status == 303
