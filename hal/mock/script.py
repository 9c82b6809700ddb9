"""How a double fails, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar

from hal.errors import HalError

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


class FaultKind(Enum):
    """How a driver fails."""

    RAISE = "raise"
    """The call raises HalError and has no effect."""
    HANG = "hang"
    """The call does its work, after `amount` nanoseconds."""
    STUCK = "stuck"
    """A reading stays what it was at the first faulty call; an order has no effect and raises nothing."""
    DRIFT = "drift"
    """A number is off by `amount` more at each faulty call; a truth value is inverted."""


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """One method of one mock fails in one way, after `after` good calls and for `lasting` calls.

    Units: `amount` is ns for HANG, the reading's own unit per call for DRIFT.
    """

    method: str
    kind: FaultKind
    after: int = 0
    lasting: int | None = None
    amount: int = 0
    error: type[HalError] = HalError

    def applies(self, call: int) -> bool:
        """Return whether the call number `call`, counted from 0, is a faulty one."""
        return call >= self.after and (self.lasting is None or call < self.after + self.lasting)


@dataclass(frozen=True, slots=True)
class Call:
    """One entry of a history; `value` is the argument of an order or the result of a reading."""

    at_ns: int
    method: str
    value: object = None


class ScriptClock(Protocol):
    """Time of a test."""

    now_ns: int


@dataclass(slots=True)
class Script:
    """What a mock keeps: its history and its planned faults."""

    clock: ScriptClock
    faults: list[FaultPlan] = field(default_factory=list)
    history: list[Call] = field(default_factory=list)
    _calls: dict[str, int] = field(default_factory=dict)
    _frozen: dict[str, object] = field(default_factory=dict)

    def order(self, method: str, value: object, effect: Callable[[], None]) -> None:
        """Carry out `effect` unless a fault prevents it, and note the call."""
        fault = self._enter(method)
        self.history.append(Call(self.clock.now_ns, method, value))
        if fault is None or fault.kind is not FaultKind.STUCK:
            effect()

    def reading(self, method: str, value: T, drift: Callable[[T, int], T]) -> T:
        """Return `value` as the faults let it through, and note it."""
        call = self._calls.get(method, 0)
        fault = self._enter(method)
        if fault and fault.kind is FaultKind.STUCK:
            value = self._frozen.setdefault(method, value)  # type: ignore[assignment]
        elif fault and fault.kind is FaultKind.DRIFT:
            value = drift(value, fault.amount * (call - fault.after + 1))
        self.history.append(Call(self.clock.now_ns, method, value))
        return value

    def _enter(self, method: str) -> FaultPlan | None:
        call = self._calls.get(method, 0)
        self._calls[method] = call + 1
        for fault in self.faults:
            if fault.method == method and fault.applies(call):
                if fault.kind is FaultKind.RAISE:
                    raise fault.error(f"mock: {method} fails at call {call}")
                if fault.kind is FaultKind.HANG:
                    self.clock.now_ns += fault.amount
                return fault
        return None


def plus(value: int, amount: int) -> int:
    """Drift of a number."""
    return value + amount


def inverted(value: bool, _: int) -> bool:
    """Drift of a truth value."""
    return not value
