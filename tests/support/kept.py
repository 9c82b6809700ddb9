"""Counterparts that tests share: started once, looked at before every test, and another one where one is broken.

So what breaks a controller, a box or a browser fails the test in which it broke, and no other.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

T = TypeVar("T")

FAILED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether setup or call of a test has failed; tests/conftest.py keeps it."""


class Kept(Generic[T]):
    """One counterpart at a time.

    `start` makes one that works. `check` returns when one still works and raises what it likes when not. `stop` ends a
    sound one and may complain; `abandon` ends a broken one by force and must not wait for it.
    """

    def __init__(
        self,
        start: Callable[[], T],
        *,
        check: Callable[[T], object],
        stop: Callable[[T], object],
        abandon: Callable[[T], object],
    ) -> None:
        self.starts = 0
        self._start = start
        self._check = check
        self._stop = stop
        self._abandon = abandon
        self._one: T | None = None

    def get(self) -> T:
        """Return the one that works: the former one, or another where that is broken."""
        if self._one is not None:
            try:
                self._check(self._one)
            except Exception:  # noqa: BLE001 (whatever it says, it does not work)
                self.discard()
        if self._one is None:
            self._one = self._start()
            self.starts += 1
        return self._one

    def discard(self) -> None:
        """End the present one, which is broken: how it ends proves nothing any more."""
        one, self._one = self._one, None
        if one is not None:
            with suppress(Exception):
                self._abandon(one)

    def close(self) -> None:
        """End the present one, which must end cleanly."""
        one, self._one = self._one, None
        if one is not None:
            self._stop(one)


def kept_open(open_one: Callable[[], AbstractContextManager[T]], *, check: Callable[[T], object]) -> Kept[T]:
    """Keep what a context manager gives: entered to start, left to end."""
    stack = ExitStack()

    def end(_one: T) -> None:
        stack.close()

    return Kept(lambda: stack.enter_context(open_one()), check=check, stop=end, abandon=end)


def has_failed(request: pytest.FixtureRequest) -> bool:
    """Return whether the test that a fixture serves has failed so far."""
    return bool(request.node.stash.get(FAILED, False))


@contextmanager
def lent(kept: Kept[T], request: pytest.FixtureRequest) -> Iterator[T]:
    """Give one that works to a test; a test that fails may have broken it, so that the next one gets another."""
    one = kept.get()
    try:
        yield one
    except BaseException:
        kept.discard()
        raise
    if has_failed(request):
        kept.discard()
