"""JSON lines, both ways, without any socket: one object a line.

A request is `{"command": NAME, ...}`, its answer `{"ok": true, "result": ...}`, or `{"ok": false, "error": TEXT}` with
`"at"` where one field is at fault. A command that streams is answered by one line a change until either side closes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from evse_pi.api.codec import from_plain, to_plain
from evse_pi.api.refusal import AtFault, Refusal
from evse_pi.api.texts.catalogue import tr

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
    text = str(answer.get("error", tr("refused without a reason")))
    raise Refusal(text, None if at is None else from_plain(AtFault, at, "ignore"))


def read_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the command and the plain fields of a request. Raises: Refusal for what is none."""
    if line.count(b"[") + line.count(b"{") > MAX_BRACKETS:
        raise Refusal(tr("request: more opening brackets than allowed; at most {most}").format(most=MAX_BRACKETS))
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise Refusal(tr("request: no JSON: {error}").format(error=error)) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("command"), str):
        raise Refusal(tr('request: must be an object with a text "command"'))
    return fields.pop("command"), fields


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _plain_or_text(value: Any) -> Any:
    try:
        return to_plain(value)
    except TypeError:
        return repr(value)
