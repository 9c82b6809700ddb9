"""Drivers that break on purpose: any method of any device can raise, hang, get stuck or drift.

The words are those of `hal.mock.script.FaultKind`. Here a call that hangs never returns, and one that is
stuck reads what it read last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hal.errors import BusTimeout
from hal.mock.script import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable


class ProcessHangs(BaseException):
    """A driver never returns, so the process does nothing any more."""


class Breakage:
    """Which methods are broken now, by "device.method"."""

    def __init__(self) -> None:
        self.broken: dict[str, FaultKind] = {}
        self.drifts: dict[str, Callable[[Any], Any]] = {}
        self.hits = 0  # calls that met a broken method
        self._last: dict[str, Any] = {}

    def call(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call `method`, or do what its breakage does instead. Raises: BusTimeout, ProcessHangs."""
        how = self.broken.get(name)
        self.hits += how is not None
        if how is FaultKind.RAISE:
            raise BusTimeout(f"{name}: broken on purpose")
        if how is FaultKind.HANG:
            raise ProcessHangs(name)
        if how is FaultKind.STUCK:
            return self._last.get(name)
        if how is FaultKind.DRIFT:
            drift = self.drifts[name]
            return method(*map(drift, args)) if args else drift(method())
        result = self._last[name] = method(*args)
        return result


class Breakable:
    """A device in front of which a breakage stands."""

    def __init__(self, device: object, name: str, breakage: Breakage) -> None:
        self._device = device
        self._name = name
        self._breakage = breakage

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """Return the method of the device, by way of the breakage."""
        name, breakage, target = f"{self._name}.{method}", self._breakage, getattr(self._device, method)

        def call(*args: Any) -> Any:
            return breakage.call(name, target, args)

        return call
