"""The limits that act on the charge point: every one with its owner, what it allows now, and until when.

Status, clusters and energy management show parts of this one list. Which limit wins is decided by the safety process,
which knows temperature, lease and stale sensors first hand (`evse_pi.core.monitors.Monitors.limit`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA, current_for, duty_for
from evse_pi.core.limits import fixed_limits
from evse_pi.core.states import LimitSource
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.installation_limits import Installation
    from evse_pi.core.records import Snapshot


@dataclass(frozen=True, slots=True)
class ActingLimit:
    """One limit. `limit_ma` None sets no current; `counts` is false once a request has expired without effect.

    `permitted` is false where its owner forbids charging. `until_ns` None has no end.
    """

    source: LimitSource
    limit_ma: Milliamps | None = None
    permitted: bool = True
    until_ns: int | None = None
    counts: bool = True
    expired: bool = False

    @property
    def judged(self) -> bool:
        """Whether the safety process judges it, not the node."""
        return self.source < LimitSource.OWNER

    @property
    def ceiling_ma(self) -> Milliamps | None:
        """What it allows now, None where it sets no current or its time is over.

        The lease sets none: it says that the safety process waits for this node's next demand. Nor does a cable of 0 A,
        which is none that is plugged in.
        """
        absent = self.source is LimitSource.CABLE and not self.limit_ma
        return None if self.expired or absent or self.source is LimitSource.LEASE else self.limit_ma


def judged_limits(
    ratings: BoardRatings, installation: Installation | None, snapshot: Snapshot | None
) -> tuple[ActingLimit, ...]:
    """Return the limits that the safety process judges, as the node knows them.

    While the safety process is silent, what it said last counts: silence lifts no limit.
    """
    capacity_ma = None if installation is None else installation.circuit_capacity_ma
    cable_ma = None if snapshot is None else snapshot.cable_ma or None
    known = {each.source: each.current_ma for each in fixed_limits(ratings.rated_current_ma, capacity_ma, cable_ma)}
    if snapshot is not None and snapshot.limit_source < LimitSource.OWNER:
        known[snapshot.limit_source] = snapshot.limit_ma
    return tuple(ActingLimit(source, limit_ma) for source, limit_ma in known.items())


def lowest_ceiling_ma(limits: Iterable[ActingLimit], *, without: LimitSource | None = None) -> Milliamps | None:
    """Return the least current that any of `limits` but `without` allows, None where none sets a current."""
    return min(
        (each.ceiling_ma for each in limits if each.ceiling_ma is not None and each.source is not without),
        default=None,
    )


def maximum_charge_ma(limits: Iterable[ActingLimit], *, permitted: bool) -> Milliamps:
    """Return the least of all limits, as the pilot can offer it; 0 while charging is not permitted."""
    return offerable_ma(lowest_ceiling_ma(limits)) if permitted else Milliamps(0)


def offerable_ma(limit_ma: Milliamps | None) -> Milliamps:
    """Return what the pilot offers under a limit; 0 where it can signal none, and where no limit is known.

    Source: IEC 61851-1 Annex A, nothing below 6 A.
    """
    if limit_ma is None or limit_ma < MIN_OFFER_MA:
        return Milliamps(0)
    return current_for(duty_for(Milliamps(min(limit_ma, MAX_OFFER_MA))))
