"""Something that can be listened to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listener:
    """The handle of one listener; closing it twice is harmless."""

    close: Callable[[], None]


class Observable(Generic[T]):
    """A source of values; every listener is called with every value, in order of subscription."""

    __slots__ = ("_listeners", "name")

    def __init__(self, name: str = "observable") -> None:
        self.name = name
        self._listeners: dict[object, Callable[[T], object]] = {}

    def on(self, listener: Callable[[T], object]) -> Listener:
        """Call `listener` with every value emitted from now on, until the handle is closed."""
        key = object()
        self._listeners[key] = listener
        return Listener(lambda: self._listeners.pop(key, None) and None)

    def emit(self, value: T) -> None:
        """Hand `value` to all listeners; one that raises is logged and does not keep it from the others."""
        for listener in tuple(self._listeners.values()):
            try:
                listener(value)
            except Exception:
                log.exception("listener failed observable=%s", self.name)

    def __bool__(self) -> bool:
        """Return whether there is a listener."""
        return bool(self._listeners)
