"""Changes of cluster state that become visible together: all of a command's or write's, or none.

Inside a transaction the code that made a change sees it, all other code sees the previous state. A commit stores the
non-volatile values in one step, then publishes the attributes, then the events in the order they were emitted.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evse_pi.matter.model.tree_interface import ServerInterface

UNCHANGED: Final[Any] = object()


class Transaction:
    """The changes of one unit of work."""

    def __init__(self) -> None:
        self.open = True
        self._staged: dict[ServerInterface, dict[int, Any]] = {}
        self._published: dict[ServerInterface, set[int]] = {}
        self._after: list[Callable[[], None]] = []

    def stage(self, server: ServerInterface, attribute_id: int, value: Any) -> None:
        """Remember a new value of an attribute."""
        self._staged.setdefault(server, {})[attribute_id] = value

    def staged(self, server: ServerInterface, attribute_id: int) -> Any:
        """Return the value this transaction gave an attribute, or UNCHANGED."""
        return self._staged.get(server, {}).get(attribute_id, UNCHANGED)

    def publish(self, server: ServerInterface, attribute_id: int) -> None:
        """Report an attribute at the commit, changed or not."""
        self._published.setdefault(server, set()).add(attribute_id)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do `action` once the attributes are published; a rollback drops it."""
        self._after.append(action)

    def commit(self) -> None:
        """Make the changes durable and visible; if they cannot be stored nothing changes and the error is raised."""
        self.open = False
        changes = {server: server.differences(values) for server, values in self._staged.items()}
        _persist(changes)
        for server in {**changes, **self._published}:
            server.apply(changes.get(server, {}), self._published.get(server, set()))
        for action in self._after:
            action()

    def rollback(self) -> None:
        """Forget the changes."""
        self.open = False


def _persist(changes: dict[ServerInterface, dict[int, Any]]) -> None:
    records = [record for server, values in changes.items() for record in server.records(values)]
    if not records:
        return
    store = next(iter(changes)).node.store
    with store.transaction() as transaction:
        for key, value in records:
            transaction.put(key, value)


_CURRENT: ContextVar[Transaction | None] = ContextVar("matter_transaction", default=None)


def current_transaction() -> Transaction | None:
    """Return the transaction that the running code is part of, if it is still open."""
    transaction = _CURRENT.get()
    return transaction if transaction is not None and transaction.open else None


@contextmanager
def independent() -> Iterator[None]:
    """Run the block outside the present transaction, so that others see at once what it does."""
    token = _CURRENT.set(None)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def transaction() -> Iterator[Transaction]:
    """Run the block as one unit of work: part of the present transaction, or a new one that commits at its end."""
    present = current_transaction()
    if present is not None:
        yield present
        return
    new = Transaction()
    token = _CURRENT.set(new)
    try:
        yield new
    except BaseException:
        new.rollback()
        raise
    else:
        new.commit()
    finally:
        _CURRENT.reset(token)
