"""Who is let in: names of the box, origins of forms, and the short sessions of those who knew the PIN."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without a referrer browsers send no origin with a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
SESSION_COOKIE = "evse-pi-session"
SESSION_NS = 15 * 60 * 1_000_000_000
MAX_SESSIONS = 4


def is_own_name(host: str, names: frozenset[str]) -> bool:
    """Return whether a Host field names this box: an address, `localhost`, a name of the link, or one of `names`.

    Any other name could be a stranger's that was pointed at this box, so that his page may read ours.
    """
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 or "]:" in host else host
    if name.startswith("[") and name.endswith("]"):
        return _is_address(name[1:-1].split("%")[0])
    name = name.lower().removesuffix(".")
    return _is_address(name) or name == "localhost" or name.endswith(".local") or name in names


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class PinSession:
    """A browser that knew the PIN, until `until_ns`; each of its forms carries `token`."""

    token: str
    until_ns: int


class PinSessions:
    """The few sessions there are; the oldest goes when there are too many."""

    def __init__(self, monotonic_ns: Callable[[], int], random_text: Callable[[], str]) -> None:
        self._now_ns = monotonic_ns
        self._random_text = random_text
        self._sessions: dict[str, PinSession] = {}

    def open(self) -> str:
        """Begin a session and return the key of its cookie."""
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        key = self._random_text()
        self._sessions[key] = PinSession(self._random_text(), self._now_ns() + SESSION_NS)
        return key

    def find(self, key: str | None) -> PinSession | None:
        """Return the session of a cookie, None when there is none any more."""
        known = next((each for each in self._sessions if hmac.compare_digest(each, key or "")), None)
        if known is None:
            return None
        session = self._sessions[known]
        if session.until_ns <= self._now_ns():
            del self._sessions[known]
            return None
        return session

    def close(self, key: str | None) -> None:
        """End a session."""
        self._sessions.pop(key or "", None)
