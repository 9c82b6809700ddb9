"""Named timers over a time that is handed in, so that the plant runs the same in virtual and in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_NS = 2**63 - 1
"""Later than every instant."""


class Agenda:
    """Keep timers by name and hand them out in the order of their instants."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns
        self.next_ns = NEVER_NS
        self._timers: dict[str, tuple[int, Callable[[], None]]] = {}

    def at(self, name: str, at_ns: int, action: Callable[[], None]) -> None:
        """Run `action` at `at_ns`, with the next advance when that is past; a timer of that name is replaced."""
        self._timers[name] = (max(at_ns, self.now_ns), action)
        self._find_next()

    def after(self, name: str, delay_ns: int, action: Callable[[], None]) -> None:
        """Run `action` when `delay_ns` have passed; a timer of that name is replaced."""
        self.at(name, self.now_ns + delay_ns, action)

    def pending(self, name: str) -> bool:
        """Return whether a timer of that name is set."""
        return name in self._timers

    def cancel(self, name: str) -> None:
        """Drop the timer of that name, if there is one."""
        if self._timers.pop(name, None) is not None:
            self._find_next()

    def take_due(self, until_ns: int) -> Callable[[], None] | None:
        """Move the time to the earliest timer that is due and return its action; without one, to `until_ns`."""
        if self.next_ns > until_ns:
            self.now_ns = max(self.now_ns, until_ns)
            return None
        self.now_ns = self.next_ns
        name = next(name for name, (at_ns, _) in self._timers.items() if at_ns == self.next_ns)
        action = self._timers.pop(name)[1]
        self._find_next()
        return action

    def _find_next(self) -> None:
        self.next_ns = min((at_ns for at_ns, _ in self._timers.values()), default=NEVER_NS)
