"""What controllers permit: the settings in force, and the requests that follow from them.

What forbids holds at once, whether or not it can be stored. What a controller's command permits or plans holds once it
is stored: after a power cut the charge point goes on with what it was last answered for, and with nothing more. What a
person permits at the charge point, and a written UserMaximumChargeCurrent, hold at once as well: the person is told
where that is not stored, and after a power cut what was stored before holds again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from evse_pi.charging.evse_status import Permission
from evse_pi.charging.self_test import WantedSelfTest
from evse_pi.charging.settings import requests_of, settings_row
from evse_pi.core.states import LimitSource
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evse_pi.charging.demand_arbiter import DemandArbiter, LimitRequest
    from evse_pi.charging.history_rows import Row
    from evse_pi.charging.self_test import SelfTestView
    from evse_pi.charging.settings import ChargingSettings

SAME_END_NS = 2 * SECOND  # the calendar is read to the second; less is no new end
SOURCES = (LimitSource.ENABLE_CHARGING, LimitSource.USER_MAXIMUM)


class NotStored(Exception):  # noqa: N818 (what is the case)
    """What was to be permitted or planned is not stored, and so nothing has changed; the text says why."""


class RowWriter(Protocol):
    """Writes rows to the database; see `evse_pi.storage.writer_thread.WriterThread`."""

    @property
    def number(self) -> int:
        """Return the number of the last `put`."""

    def put(self, rows: Iterable[Row]) -> int:
        """Take rows to be written at once, in one transaction; return their number, which only grows."""

    async def written(self, number: int) -> str | None:
        """Return why the rows up to `number` are not durable, None when they are; wait for a bounded time."""


class Calendar(Protocol):
    """The part of the clocks that settings depend on."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""

    def unix_s(self) -> int | None:
        """Return the time in s since 1970, None while it is unknown."""


class ControllerPermission:
    """The settings in force. While no controller is commissioned the owner decides, and they only stay stored.

    Hazard: H-10, H-18.
    """

    def __init__(
        self,
        clock: Calendar,
        arbiter: DemandArbiter,
        writer: RowWriter,
        settings: ChargingSettings,
        *,
        commissioned: bool,
    ) -> None:
        """Begin with what is stored; `capacity_ma` is the installer's, 0 until there is one."""
        self.settings = settings
        self.commissioned = commissioned
        self.capacity_ma = 0
        self.on_request: Callable[[], None] | None = None
        """Told whenever a request was put or withdrawn."""
        self._clock = clock
        self._arbiter = arbiter
        self._writer = writer
        self._stored = settings
        self._changes = 0
        self._test: WantedSelfTest | None = None
        self._epoch_s: int | None = None
        self.advance()

    def begin_no_earlier(self, unix_s: int | None) -> None:
        """Take `unix_s`, None if there is none, as a time that has certainly passed, for as long as none is known."""
        if unix_s is not None and self._epoch_s is None:
            self._epoch_s = unix_s - self._clock.monotonic_ns() // SECOND
            self.advance()

    @property
    def now(self) -> Permission:
        """What is permitted now, and by whom."""
        if not self.commissioned:
            owner = self._arbiter.request_of(LimitSource.OWNER)
            return Permission(owner is None or owner.permitted, commissioned=False)
        settings, unix_s = self.settings, self._unix_s()
        return Permission(settings.charging(unix_s), settings.discharging(unix_s), diagnosing=self._test is not None)

    @property
    def in_force(self) -> ChargingSettings:
        """The settings without what is over by now, which `advance` will store so."""
        return self.settings.expired(self._unix_s()) if self.commissioned else self.settings

    def apply(self, settings: ChargingSettings) -> None:
        """Put `settings` in force at once, and have them stored."""
        self._changes += 1
        self.settings = settings
        self._put(settings)
        self.advance()

    async def apply_stored(self, change: Callable[[ChargingSettings], ChargingSettings]) -> None:
        """Put what `change` makes of the settings in force once it is stored.

        Raises: NotStored where the disk does not take it, or the settings were changed meanwhile. Whatever `change`
        raises.
        """
        self._changes += 1
        mine, wanted = self._changes, change(self.settings)
        number = self._put(wanted)
        try:
            self._check(mine, await self._writer.written(number))
            self.settings = change(self.settings)
        except BaseException:
            if self._stored is wanted:
                self._put(self.settings)  # the disk may still take what was refused
            raise
        if self._stored != self.settings:  # a permission has expired meanwhile
            self._put(self.settings)
        self.advance()

    def _check(self, mine: int, trouble: str | None) -> None:
        if trouble is not None:
            raise NotStored("the disk does not take it; nothing has changed")
        if mine != self._changes:
            raise NotStored("another command came before this one was stored")

    def commission(self, *, commissioned: bool) -> None:
        """Let a controller decide from now on, or the owner."""
        self.commissioned = commissioned
        self.advance()

    def want_self_test(self) -> None:
        """Have the box test itself; nothing is offered until that is over."""
        self._test = WantedSelfTest(self._clock.monotonic_ns())
        self.advance()

    def follow_self_test(self, test: SelfTestView, *, current_may_flow: bool, faulty: bool) -> bool:
        """Take in where a wanted self-test is; return whether the safety process is to be told to begin it."""
        wanted = self._test
        if wanted is None:
            return False
        due = wanted.due(current_may_flow=current_may_flow)
        if wanted.over(self._clock.monotonic_ns(), test, faulty=faulty):
            self._test = None
            self.advance()
        elif due:
            self._test = replace(wanted, ordered=True)
        return due

    def advance(self) -> None:
        """Take back what has expired, and bring the requests in line with settings and time."""
        if not self.commissioned:
            for source in SOURCES:
                if self._arbiter.request_of(source) is not None:
                    self._arbiter.withdraw(source)
                    self._tell()
            return
        now_ns, unix_s = self._clock.monotonic_ns(), self._unix_s()
        self._epoch_s = None if unix_s is None else unix_s - now_ns // SECOND
        expired = self.in_force
        if expired != self.settings:
            self.settings = expired
            self._put(expired)
        permission = self.now
        permitted = permission.charging and not permission.diagnosing
        for request in requests_of(expired, self.capacity_ma, now_ns, unix_s, permitted=permitted):
            self._request(request)

    def _unix_s(self) -> int | None:
        """Return the time; while it is unknown, counted on from when it was known last, or from the newest stored date.

        Either is no later than the true time, so that an end that has come by it has come.
        """
        unix_s = self._clock.unix_s()
        if unix_s is None and self._epoch_s is not None:
            return self._epoch_s + self._clock.monotonic_ns() // SECOND
        return unix_s

    def _put(self, settings: ChargingSettings) -> int:
        self._stored = settings
        return self._writer.put([settings_row(settings)])

    def _request(self, wanted: LimitRequest) -> None:
        """Put a request that is not there already."""
        present = self._arbiter.request_of(wanted.source)
        if present is not None and present.until_ns is not None and wanted.until_ns is not None:
            same_end = abs(present.until_ns - wanted.until_ns) < SAME_END_NS
            wanted = replace(wanted, until_ns=present.until_ns) if same_end else wanted
        if present != wanted:
            self._arbiter.put(wanted)
            self._tell()

    def _tell(self) -> None:
        if self.on_request is not None:
            self.on_request()
