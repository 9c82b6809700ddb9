"""Whether the wall clock can be believed, and when it was set: dates by a wrong clock are corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.troubles import ClockBehind, ClockSet, ClockUnknown
from evse_pi.charging.history_rows import STEP_S
from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.api.troubles import ClockTrouble
    from evse_pi.charging.clock import Clock

BEHIND_S = 120  # what was written last may be that much younger than a clock that was read before it was set
TOLD_NS = 3600 * SECOND  # for so long people are told that the clock was set


class WallClockWatch:
    """Watches the wall clock beside the monotonic one, which no setting moves; `latest_unix_s` is of an earlier one."""

    def __init__(self, clock: Clock, latest_unix_s: int | None = None) -> None:
        self._clock = clock
        self._latest_unix_s = latest_unix_s
        self._epoch_s: int | None = None
        self._step: tuple[int, int] | None = None

    def look(self) -> int | None:
        """Return when the monotonic clock stood at 0, in s since 1970, if that has become known or is another now."""
        unix_s, now_ns = self._clock.unix_s(), self._clock.monotonic_ns()
        before = self._epoch_s
        self._epoch_s = None if unix_s is None else unix_s - now_ns // SECOND
        if self._epoch_s is None or before is None:
            return self._epoch_s
        if abs(self._epoch_s - before) < STEP_S:
            self._epoch_s = before
            return None
        self._step = (now_ns, self._epoch_s - before)
        return self._epoch_s

    @property
    def trouble(self) -> ClockTrouble | None:
        """What people should know of the clock, None of nothing."""
        unix_s, latest_s = self._clock.unix_s(), self._latest_unix_s
        if unix_s is None:
            return ClockUnknown()
        if latest_s is not None and unix_s < latest_s - BEHIND_S:
            return ClockBehind(unix_s, latest_s)
        if self._step is not None and self._clock.monotonic_ns() - self._step[0] < TOLD_NS:
            return ClockSet(self._step[1])
        return None
