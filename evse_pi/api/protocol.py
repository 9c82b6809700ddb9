"""JSON lines, both ways, without any socket: one object a line.

A request is `{"command": NAME, ...}`, its answer `{"ok": true, "result": ...}`, or `{"ok": false, "error": TEXT}` with
`"at"` where one field is at fault. A command that streams is answered by one line a change until either side closes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from evse_pi.api.codec import Mismatch, from_plain, to_plain
from evse_pi.api.refusal import Allowed, AtFault, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REQUEST_BYTES = 4096
"""The longest request is a current and a word."""
MAX_BRACKETS = 32
"""No request nests deeper than two; the parser of JSON recurses with every one."""
MAX_ANSWER_BYTES = 1 << 20
"""An answer is a status or a page of history; a longer line is not from this box."""

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class Nothing(NamedTuple):
    """A request without fields."""


class Command(Generic[Asked, Answered]):
    """One thing that may be asked: its name, the record of its fields, and the type of its answer.

    `streams` says that it is answered by a line a change, `installer` that only an installer may ask it.
    """

    __slots__ = ("about", "answer", "installer", "name", "request", "streams")

    def __init__(
        self,
        name: str,
        request: type[Asked],
        answer: Any,
        about: str,
        *,
        streams: bool = False,
        installer: bool = False,
    ) -> None:
        self.name = name
        self.request = request
        self.answer = answer
        self.about = about
        self.streams = streams
        self.installer = installer


class Caller(NamedTuple):
    """Who asks. `installer` says that root asks, or the user that the service runs as."""

    uid: int
    installer: bool


class Peer(NamedTuple):
    """The process at the other end of a connection. Source: unix(7), SO_PEERCRED."""

    pid: int
    uid: int
    gid: int


class Offer(NamedTuple):
    """A command with the function that answers it, given the request and who asks."""

    command: Command[Any, Any]
    answer: Callable[[Any, Caller], Any]


class Call(NamedTuple):
    """A request that was understood."""

    offer: Offer
    request: Any
    caller: Caller

    def begin(self) -> Any:
        """Return what the function returns: an answer, or what is to be awaited or iterated for it."""
        return self.offer.answer(self.request, self.caller)


class Service:
    """The commands that are answered at one socket."""

    def __init__(self, *offers: Offer) -> None:
        self.offers: Mapping[str, Offer] = {offer.command.name: offer for offer in offers}

    def understand(self, line: bytes, caller: Caller) -> Call:
        """Return the call that a line is. Raises: Refusal."""
        name, fields = read_request(line)
        if name not in self.offers:
            known = tuple(sorted(self.offers))
            at = AtFault("command", name, Allowed(words=known))
            raise Refusal(f"command: {name!r} is unknown; one of {', '.join(known)}", at)
        command = self.offers[name].command
        if command.installer and not caller.installer:
            raise Refusal(f"{name}: only root may ask for this; use sudo")
        try:
            request = from_plain(command.request, fields, "refuse")
        except Mismatch as mismatch:
            raise Refusal(
                str(mismatch), AtFault(mismatch.field, mismatch.value, mismatch.bounds or Allowed())
            ) from mismatch
        return Call(self.offers[name], request, caller)


def request_line(command: str, fields: Mapping[str, Any]) -> bytes:
    """Return a request as it travels."""
    return _line({"command": command, **fields})


def answer_line(result: Any) -> bytes:
    """Return an answer as it travels."""
    return _line({"ok": True, "result": to_plain(result)})


def refusal_line(refusal: Refusal) -> bytes:
    """Return a refusal as it travels."""
    told: dict[str, Any] = {"ok": False, "error": str(refusal)}
    if refusal.at is not None:
        told["at"] = {**to_plain(refusal.at._replace(value=None)), "value": _plain_or_text(refusal.at.value)}
    return _line(told)


def read_answer(line: bytes) -> Any:
    """Return the plain result of an answer. Raises: Refusal as the other side put it, ValueError for what is none."""
    try:
        answer = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(answer, dict):
        raise ValueError("no object")  # noqa: TRY004 (it is what was sent that is wrong)
    if answer.get("ok"):
        return answer.get("result")
    at = answer.get("at")
    text = str(answer.get("error", "refused without a reason"))
    raise Refusal(text, None if at is None else from_plain(AtFault, at, "ignore"))


def read_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the command and the plain fields of a request. Raises: Refusal for what is none."""
    if line.count(b"[") + line.count(b"{") > MAX_BRACKETS:
        raise Refusal(f"request: more opening brackets than allowed; at most {MAX_BRACKETS}")
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise Refusal(f"request: no JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("command"), str):
        raise Refusal('request: must be an object with a text "command"')
    return fields.pop("command"), fields


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _plain_or_text(value: Any) -> Any:
    try:
        return to_plain(value)
    except TypeError:
        return repr(value)
