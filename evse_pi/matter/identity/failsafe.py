"""The fail-safe: changes to who owns the node hold only if they are confirmed in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.identity.fabric import FabricTable
    from evse_pi.matter.identity.signing import OperationalKey

MAX_CUMULATIVE_S = 900  # BasicCommissioningInfo.MaxCumulativeFailsafeSeconds


class FailSafeBusy(Exception):  # noqa: N818 (an answer, not an error)
    """Another administrator has armed the fail-safe."""


@dataclass(slots=True)
class FailSafeContext:
    """What was begun since the fail-safe was armed and what it takes to undo it.

    `fabric_index` is the fabric that owns the fail-safe, 0 for a commissioner without one.
    """

    fabric_index: int
    session: object
    pending_key: OperationalKey | None = None
    pending_key_is_for_update: bool = False
    pending_root: bytes | None = None
    added_fabric: int | None = None
    updated_fabric: int | None = None


class FailSafe:
    """One timer and one context; when the timer ends, every unconfirmed change is taken back.

    `session` is any object that stands for the peer's session; it is only compared.
    Source: Matter core 11.10.7.2.
    """

    def __init__(self, fabrics: FabricTable, *, max_cumulative_s: int = MAX_CUMULATIVE_S) -> None:
        self._fabrics = fabrics
        self._max_cumulative_s = max_cumulative_s
        self._context: FailSafeContext | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._latest_end = 0.0
        self.on_expired: list[Callable[[FailSafeContext], None]] = []
        self.on_committed: list[Callable[[FailSafeContext], None]] = []

    @property
    def context(self) -> FailSafeContext | None:
        """The armed context, or None."""
        return self._context

    @property
    def is_armed(self) -> bool:
        """Whether unconfirmed changes are possible now."""
        return self._context is not None

    def is_armed_for(self, fabric_index: int) -> bool:
        """Tell whether the fail-safe is armed and belongs to `fabric_index`, 0 for a commissioner without fabric."""
        return self._context is not None and self._context.fabric_index == fabric_index

    def arm(self, expiry_s: int, fabric_index: int, session: object) -> None:
        """Arm for `expiry_s` from now, or prolong; 0 takes back all changes at once.

        The cumulative limit counts from the first arming and is never prolonged.
        Raises: FailSafeBusy if another fabric or commissioner has armed it.
        """
        if self._context is not None and self._context.fabric_index != fabric_index:
            raise FailSafeBusy(f"fail-safe is armed by fabric {self._context.fabric_index}")
        if expiry_s == 0:
            self.expire()
            return
        loop = asyncio.get_running_loop()
        if self._context is None:
            self._context = FailSafeContext(fabric_index, session)
            self._latest_end = loop.time() + self._max_cumulative_s
        self._stop_timer()
        self._timer = loop.call_at(min(loop.time() + expiry_s, self._latest_end), self.expire)

    def fabric_added(self, fabric_index: int) -> None:
        """Hand the armed context over to the fabric that was just added."""
        context = self._armed()
        context.added_fabric = context.fabric_index = fabric_index

    def fabric_updated(self, fabric_index: int) -> None:
        """Remember that the NOC of `fabric_index` was replaced."""
        self._armed().updated_fabric = fabric_index

    def commit(self) -> None:
        """Make all changes durable and disarm."""
        context = self._armed()
        for index in (context.added_fabric, context.updated_fabric):
            if index is not None:
                self._fabrics.commit(index)
        self._disarm()
        for listener in self.on_committed:
            listener(context)

    def expire(self) -> None:
        """Take back all changes and disarm; nothing happens when not armed."""
        context = self._context
        if context is None:
            return
        self._disarm()
        if context.added_fabric is not None and self._fabrics.get(context.added_fabric) is not None:
            self._fabrics.remove(context.added_fabric)
        if context.updated_fabric is not None and self._fabrics.get(context.updated_fabric) is not None:
            self._fabrics.restore(context.updated_fabric)
        for listener in self.on_expired:
            listener(context)

    def session_closed(self, session: object) -> None:
        """Take back all changes if `session` had armed the fail-safe and no fabric owns it yet."""
        if self._context is not None and self._context.fabric_index == 0 and self._context.session is session:
            self.expire()

    def fabric_removed(self, fabric_index: int) -> None:
        """Disarm if the fabric that owns the fail-safe is gone."""
        if self._context is not None and self._context.fabric_index == fabric_index != 0:
            self.expire()

    def _armed(self) -> FailSafeContext:
        if self._context is None:
            raise RuntimeError("fail-safe is not armed")
        return self._context

    def _disarm(self) -> None:
        self._stop_timer()
        self._context = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
