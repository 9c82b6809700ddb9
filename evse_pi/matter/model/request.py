"""On whose behalf code runs: the request being served, and elevation above it.

Both travel in context variables, so they follow a handler over its awaits and into tasks it starts. An elevation ends
with the call it was made for, wherever copies of the context went.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evse_pi.matter.identity.accessor import Accessor

T = TypeVar("T")


@dataclass(slots=True)
class PeerRequest:
    """One read, write or command of a peer while it is served."""

    accessor: Accessor
    session: Any = None
    """The secure session it came over, where the server needs more than the accessor."""
    after_response: list[Callable[[], None]] = field(default_factory=list)
    """What to do once the peer has the answer."""
    is_served: bool = False
    """Whether the handler is at work; contexts that timers and tasks took along live longer."""


class _Elevation:
    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active = True


_REQUEST: ContextVar[PeerRequest | None] = ContextVar("matter_request", default=None)
_ELEVATION: ContextVar[_Elevation | None] = ContextVar("matter_elevation", default=None)


def current_request() -> PeerRequest | None:
    """Return the request that the running code serves; None means the node acts by itself."""
    request = _REQUEST.get()
    return request if request is not None and request.is_served else None


def acting_accessor() -> Accessor | None:
    """Return whose privileges limit the running code, even after the request it began in; None when nothing does."""
    elevation = _ELEVATION.get()
    if elevation is not None and elevation.active:
        return None
    request = _REQUEST.get()
    return None if request is None else request.accessor


@contextmanager
def serving(request: PeerRequest) -> Iterator[PeerRequest]:
    """Run the block on behalf of `request`."""
    token = _REQUEST.set(request)
    request.is_served = True
    try:
        yield request
    finally:
        request.is_served = False
        _REQUEST.reset(token)


def as_admin(action: Callable[[], T]) -> T:
    """Return what `action` returns, run without access control until it returns or raises.

    Raises: TypeError when `action` is not synchronous, since its work would go on after the elevation.
    """
    elevation = _Elevation()
    token = _ELEVATION.set(elevation)
    try:
        result = action()
    finally:
        elevation.active = False
        _ELEVATION.reset(token)
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("as_admin runs synchronous code only")
    return result
