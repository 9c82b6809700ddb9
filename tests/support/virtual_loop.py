"""An event loop whose clock jumps to the next timer when nothing is ready, so that minutes pass in milliseconds.

Sockets and the self-pipe still work; work in an executor does not hold the clock back.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from math import ceil
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

DEADLOCK_AFTER_S = 5.0


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self._clock.advance(max(ceil(timeout * SECOND), 0))
            return []
        ready = super().select(DEADLOCK_AFTER_S)
        if not ready:
            raise RuntimeError("no timer and no input: every task waits for another")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop that moves a virtual clock; its time is what passed on it since it was made."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._began_ns = self.clock.now_ns
        super().__init__(_JumpingSelector(self.clock))

    def time(self) -> float:
        return (self.clock.now_ns - self._began_ns) / SECOND

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 (asyncio's own)
        """Wait for the executor's threads as long as they take: a bound in virtual time would be over at once."""
        await super().shutdown_default_executor()


def running_clock() -> VirtualClock:
    """Return the clock of the loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.clock


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def virtual_time(test: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """Make a test coroutine a plain test that runs in virtual time; fixtures and hypothesis work as ever."""

    @functools.wraps(test)
    def in_virtual_time(*args: P.args, **kwargs: P.kwargs) -> T:
        async def main() -> T:
            return await test(*args, **kwargs)

        return run(main())

    in_virtual_time.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    del in_virtual_time.__wrapped__
    return in_virtual_time
