"""Whether the contactor does what it was told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.load_sense import LoadSense

DEBOUNCE_NS = 30 * MILLISECOND  # contacts bounce for a few ms; three looks in a row do not
MIRROR_ALONE_NS = 5 * SECOND
"""After so long a plug is let go by the mirror contact alone, if what stands on it does not alternate.

Source: docs/boards/reference.md; 2.2 µF without a bleeder keep 60 V for 7.4 s.
"""
EASED_REST_NS = 2 * SECOND
"""How long the contacts rest when no current was broken, so that a vehicle that asks again has power within 3 s."""


@dataclass(frozen=True, slots=True)
class ContactorMonitor:
    """What the contactor was told, when, and since when its contacts say otherwise.

    `closed` is the order in force, given at `ordered_ns`. `opened_ns` is the last opening; a start counts as one,
    because it is unknown when the contacts last moved. `wet_ns` and `dry_ns` are when a contradiction began, or None.
    `eased` says that the last opening broke no current, `closed_for_ns` how long the contacts were closed before it.
    `made` says that the contacts closed on the order in force: every sensor said so at one look, since which they may
    have bounced, or the time to pull in is over where there is none. `touching` says that they are closed now, whether
    or not there is mains to switch. `apart` says that the contacts are proven open, `dead` that their load side may be
    touched besides: a vehicle's capacitors make no difference to the first.
    """

    closed: bool = False
    ordered_ns: int = 0
    opened_ns: int = 0
    wet_ns: int | None = None
    dry_ns: int | None = None
    dead: bool = False
    made: bool = False
    cycles: int = 0
    openings_under_load: int = 0
    eased: bool = False
    closed_for_ns: int = 0
    apart: bool = False
    touching: bool = False

    def watch(self, now_ns: int, mirror: bool | None, load: LoadSense, board: BoardRatings) -> ContactorMonitor:
        """Return the supervision after one look at the mirror contact and at the load side.

        Hazard: H-03 a contactor that stays closed leaves a live plug.
        """
        settled_ns = self.ordered_ns + (board.contactor_pull_in_ns if self.closed else board.contactor_release_ns)
        settled = now_ns >= settled_ns
        mirrored = board.mirror_fitted and mirror is True
        unlit = board.load_sense_fitted and load.live is not True
        closed_by_all = self.closed and (mirrored or not board.mirror_fitted) and not unlit
        sensed = board.mirror_fitted or board.load_sense_fitted
        made = self.made or (closed_by_all if sensed else self.closed and settled)
        touching = self.closed and settled and (mirrored if board.mirror_fitted else made)
        parted = mirror is not True if board.mirror_fitted else not made and unlit
        wet_ns = _since(self.wet_ns, now_ns, held=not self.closed and settled and mirrored)
        dry_ns = _since(self.dry_ns, now_ns, held=self.closed and settled and parted)
        open_by_mirror = not self.closed and settled and (not board.mirror_fitted or mirror is False)
        apart = open_by_mirror and (not board.load_sense_fitted or load.live is False)
        dead = open_by_mirror and (not board.load_sense_fitted or self._dead(now_ns, load, board))
        known = (self.wet_ns, self.dry_ns, self.dead, self.made, self.apart, self.touching)
        if (wet_ns, dry_ns, dead, made, apart, touching) == known:
            return self
        return replace(self, wet_ns=wet_ns, dry_ns=dry_ns, dead=dead, made=made, apart=apart, touching=touching)

    def _dead(self, now_ns: int, load: LoadSense, board: BoardRatings) -> bool:
        waited = board.mirror_fitted and load.live is not True and now_ns - self.opened_ns >= MIRROR_ALONE_NS
        return load.dead or waited

    @property
    def parted(self) -> bool:
        """Whether the contacts that had closed on the order in force do not say so any more."""
        return self.closed and self.made and self.dry_ns is not None

    def rested_ns(self, min_off_ns: int) -> int:
        """Return when the contacts may close again: `min_off_ns` after an opening, sooner after an eased one.

        Only contacts that had been closed for `min_off_ns` are granted that, so that they close no more often for it.
        Hazard: H-15.
        """
        eased = self.eased and self.closed_for_ns >= min_off_ns
        return self.opened_ns + (min(EASED_REST_NS, min_off_ns) if eased else min_off_ns)

    def order(self, now_ns: int, *, closed: bool, loaded: bool, eased: bool = False) -> ContactorMonitor:
        """Return the supervision after an order.

        `loaded` says that the vehicle was still asking for power, `eased` that it had let go of it by itself.
        """
        if closed is self.closed:
            return self
        if closed:
            return ContactorMonitor(
                closed=True,
                ordered_ns=now_ns,
                opened_ns=self.opened_ns,
                cycles=self.cycles + 1,
                openings_under_load=self.openings_under_load,
            )
        return ContactorMonitor(
            ordered_ns=now_ns,
            opened_ns=now_ns,
            cycles=self.cycles,
            openings_under_load=self.openings_under_load + loaded,
            eased=eased,
            closed_for_ns=now_ns - self.ordered_ns,
        )

    def faults(self, now_ns: int) -> frozenset[Fault]:
        """Return the contradictions that have lasted longer than contacts bounce."""
        if self.wet_ns is not None and now_ns - self.wet_ns >= DEBOUNCE_NS:
            return frozenset((Fault.CONTACTOR_WELDED,))
        if self.dry_ns is not None and now_ns - self.dry_ns >= DEBOUNCE_NS:
            return frozenset((Fault.CONTACTOR_FAILED_TO_CLOSE,))
        return NO_FAULTS


def _since(begun_ns: int | None, now_ns: int, *, held: bool) -> int | None:
    if not held:
        return None
    return now_ns if begun_ns is None else begun_ns
