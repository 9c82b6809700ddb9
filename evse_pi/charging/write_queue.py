"""What is to be written, and when: few writes for the card's sake, none too late for the owner's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.charging.history_rows import Row, Value

BURST = 20  # urgent writes that may follow each other at once: several plug-ins, each with its faults
REFILL_NS = 60 * SECOND
PERIOD_NS = 300 * SECOND
"""At most this much of a running session's energy is lost with the power. A write is some 10 kB of card wear."""


class WriteQueue:
    """Collects rows; of several versions of a row only the newest is written.

    A box whose pilot flaps all day writes once a minute, not once a flap. That budget is for what happens by itself:
    what a person or a controller said waits for nothing, because it is answered as stored.
    """

    def __init__(self, now_ns: int) -> None:
        self._rows: dict[tuple[str, Value], Row] = {}
        self._urgent = False
        self._said = False
        self._tokens = BURST
        self._refilled_ns = now_ns
        self._written_ns = now_ns

    def note(self, row: Row, *, urgent: bool = False, said: bool = False) -> None:
        """Take `row` to be written: at once if a person or controller said it, soon if urgent, else some time."""
        self._rows[row.key] = row
        self._urgent = self._urgent or urgent
        self._said = self._said or said

    @property
    def waiting(self) -> bool:
        """Whether noted rows have not been taken yet."""
        return bool(self._rows)

    def take(self, now_ns: int, *, all_rows: bool = False) -> list[Row]:
        """Return the rows to write now; they are the caller's from here on."""
        refills = min((now_ns - self._refilled_ns) // REFILL_NS, BURST)
        if refills > 0:
            self._tokens = min(self._tokens + refills, BURST)
            self._refilled_ns = now_ns
        urgent = self._urgent and self._tokens > 0
        if not self._rows or not (all_rows or self._said or urgent or now_ns - self._written_ns >= PERIOD_NS):
            return []
        # What happens costs a token, so that a vehicle or a peer wears the card no faster; what was ordered costs none.
        if self._urgent and not self._said:
            self._tokens = max(self._tokens - 1, 0)
        rows = list(self._rows.values())
        self._rows.clear()
        self._urgent = self._said = False
        self._written_ns = now_ns
        return rows
