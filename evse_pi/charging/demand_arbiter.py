"""Who asks for what, until when, and who wins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from evse_pi.charging.acting_limits import ActingLimit
from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA
from evse_pi.core.records import Demand
from evse_pi.core.states import LimitSource
from evse_pi.core.vehicle_doubt import PAUSE_NS
from hal.units import SECOND, Milliamps

if TYPE_CHECKING:
    from collections.abc import Iterable

LEASE_NS = 15 * SECOND
NUMBERS = 1 << 32  # wire form: 32 bits; the number is for people, the link has its own

AUTOMATIC = frozenset((LimitSource.SCHEDULE, LimitSource.POWER_ADJUSTMENT))
"""Who stops and resumes without a person: planners and energy managers."""
IMMEDIATE = frozenset((LimitSource.OWNER, LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM))
"""Sources whose changed request counts at once, pause or not."""


class ExpiryPolicy(Enum):
    """What follows when a request expires."""

    FORGOTTEN = "as if it had never been asked"
    STOPPED = "nothing is permitted until the same source asks again"


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """What one source wants. `limit_ma` None is no limit of its own, `until_ns` None is for good."""

    source: LimitSource
    permitted: bool = True
    limit_ma: Milliamps | None = None
    until_ns: int | None = None
    on_expiry: ExpiryPolicy = ExpiryPolicy.FORGOTTEN

    def expired(self, now_ns: int) -> bool:
        """Return whether its time is over."""
        return self.until_ns is not None and now_ns >= self.until_ns

    def permits(self, now_ns: int) -> bool:
        """Return whether charging is permitted as far as this source is concerned."""
        return self.on_expiry is ExpiryPolicy.FORGOTTEN if self.expired(now_ns) else self.permitted

    def stops_later(self, now_ns: int) -> bool:
        """Return whether what it permits now ends by itself."""
        return self.on_expiry is ExpiryPolicy.STOPPED and self.until_ns is not None and not self.expired(now_ns)

    def ceiling_ma(self, now_ns: int) -> Milliamps | None:
        """Return the limit that counts now, None of none."""
        return None if self.expired(now_ns) else self.limit_ma


OWNER_DEFAULT = LimitRequest(LimitSource.OWNER)
"""Plug and charge: without any controller charging is permitted, up to the installation's limits."""


class DemandArbiter:
    """The requests of all sources, one each, and the demand that follows from them."""

    def __init__(self, requests: Iterable[LimitRequest] = (OWNER_DEFAULT,)) -> None:
        self._requests: dict[LimitSource, LimitRequest] = {}
        self._number = 0
        self._offering = False
        self._pause: LimitRequest | None = None
        self._unpaused = False
        for request in requests:
            self.put(request)

    def put(self, request: LimitRequest) -> None:
        """Take `request` in place of the last one of its source.

        Raises: ValueError for a source in whose name the node may not ask, or a limit outside 0 to 80 A.
        """
        if request.source < LimitSource.OWNER:
            raise ValueError(f"source {request.source.name}: the safety process alone judges and asks in its name")
        if request.limit_ma is not None and not 0 <= request.limit_ma <= MAX_OFFER_MA:
            raise ValueError(f"limit_ma {request.limit_ma}: 0 to {MAX_OFFER_MA} mA")
        if request.source in IMMEDIATE and request != self._requests.get(request.source):
            self.resume_at_once()
        self._requests[request.source] = request

    def resume_at_once(self) -> None:
        """End the pause after an automatic stop, and begin none for what the next demand stops.

        For a request of a person or a controller, a change of the mode among them, and for a vehicle that has gone: the
        pause spares a vehicle the switching of an automatic source, and none of these is one.
        """
        self._pause, self._unpaused = None, True

    def withdraw(self, source: LimitSource) -> None:
        """Forget what `source` asked; the owner falls back to plug and charge."""
        self._requests.pop(source, None)
        if source is LimitSource.OWNER:
            self.put(OWNER_DEFAULT)

    def request_of(self, source: LimitSource) -> LimitRequest | None:
        """Return the request of `source`, expired or not."""
        return self._requests.get(source)

    def compose(self, now_ns: int) -> Demand:
        """Return the demand that follows from all requests, good for 15 s and no longer than the permission behind it.

        A node that hangs cannot take a permission back when its time is over. Hazard: H-10.
        """
        self._number = (self._number + 1) % NUMBERS
        asked, offered = self._winner(now_ns), self._offering
        # Only an automatic stop begins a pause: a stop by a person, or one that follows from what a person has changed
        # since the last demand, is followed by a resumption without delay.
        if offered and not _offers(asked, now_ns) and asked.source in AUTOMATIC and not self._unpaused:
            until_ns = now_ns + PAUSE_NS
            self._pause = LimitRequest(LimitSource.RESUME_PAUSE, permitted=False, until_ns=until_ns)
        self._unpaused = False
        winner = self._pausing(now_ns) or asked
        self._offering = _offers(winner, now_ns)  # what a manager permits in a pause was offered to no vehicle
        permitted = winner.permits(now_ns)
        limit_ma = winner.ceiling_ma(now_ns) if permitted else 0
        offer_ma = Milliamps(MAX_OFFER_MA if limit_ma is None else limit_ma)
        ending = [request for request in self._requests.values() if permitted and request.stops_later(now_ns)]
        until_ns = min([now_ns + LEASE_NS, *(each.until_ns for each in ending if each.until_ns is not None)])
        return Demand(self._number, permitted, offer_ma, winner.source, until_ns)

    def limits(self, now_ns: int) -> tuple[ActingLimit, ...]:
        """Return every request as a limit with its owner and its end, the one that decides first."""
        winner, pause = self._winner(now_ns), self._pausing(now_ns)
        return tuple(
            ActingLimit(
                request.source,
                request.limit_ma,
                request.permits(now_ns),
                request.until_ns,
                counts=not request.expired(now_ns) or request.on_expiry is ExpiryPolicy.STOPPED,
                expired=request.expired(now_ns),
            )
            for request in (
                *([pause] if pause else []),
                *sorted(self._requests.values(), key=lambda request: (request is not winner, request.source)),
            )
        )

    def offers(self, now_ns: int) -> bool:
        """Return whether a vehicle is offered a current as far as the node decides it."""
        return _offers(self._pausing(now_ns) or self._winner(now_ns), now_ns)

    def next_expiry_ns(self, now_ns: int) -> int | None:
        """Return when the demand will change by itself, None when it will not."""
        requests = (*self._requests.values(), *([self._pause] if self._pause else []))
        return min(
            (request.until_ns for request in requests if request.until_ns and request.until_ns > now_ns), default=None
        )

    def _pausing(self, now_ns: int) -> LimitRequest | None:
        """Return the pause while it alone keeps the box from resuming. No stop and no lower limit ever waits for it."""
        pause = self._pause
        if pause is None or pause.expired(now_ns) or not _offers(self._winner(now_ns), now_ns):
            return None
        return pause

    def _winner(self, now_ns: int) -> LimitRequest:
        """Return the request that decides: one that forbids, else the lowest limit, of equals the unexpired one."""

        def weight(request: LimitRequest) -> tuple[bool, int, bool, int]:
            ceiling_ma = request.ceiling_ma(now_ns)
            limit_ma = MAX_OFFER_MA + 1 if ceiling_ma is None else ceiling_ma
            return request.permits(now_ns), limit_ma, request.expired(now_ns), request.source

        return min(self._requests.values(), key=weight)


def _offers(winner: LimitRequest, now_ns: int) -> bool:
    """Return whether a vehicle is offered a current where `winner` wins."""
    ceiling_ma = winner.ceiling_ma(now_ns)
    return winner.permits(now_ns) and (ceiling_ma is None or ceiling_ma >= MIN_OFFER_MA)
