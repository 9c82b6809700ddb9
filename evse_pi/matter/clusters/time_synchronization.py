"""TimeSynchronization: what time the node believes it is, and an administrator's word on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S, WallClock
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Event, Feature, Field
from evse_pi.matter.model.watch import Watch
from evse_pi.matter.wire.chip_objects import TimeSynchronization
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.identity.accessor import Accessor

_Granularity = TimeSynchronization.Enums.GranularityEnum
_Source = TimeSynchronization.Enums.TimeSourceEnum
_TIME_NOT_ACCEPTED = 2
_EPOCH_US = MATTER_EPOCH_UNIX_S * 1_000_000

SCHEMA = ClusterSchema(
    TimeSynchronization,
    revision=2,
    features=(
        Feature("TZ", "TimeZone", "X"),
        Feature("NTPC", "NTPClient", "X"),
        Feature("NTPS", "NTPServer", "X"),
        Feature("TSC", "TimeSyncClient", "X"),
    ),
    attributes=(
        Attribute("UTCTime", "epoch-us", "R V", "X C"),
        Attribute("Granularity", "enum8", default=_Granularity.kNoTimeGranularity),
        Attribute("TimeSource", "enum8", "R V", "", "O", default=_Source.kNone),
    ),
    commands=(Command("SetUTCTime", "A", fields=(Field("UTCTime", "epoch-us"),)),),
    events=(Event("TimeFailure", "info"),),
)


class SynchronizedClock:
    """The system's clock while the network keeps it, else what an administrator said, kept by the loop's clock.

    A system's time that no network keeps, such as a clock chip's, counts until an administrator says another.
    """

    def __init__(
        self,
        system: WallClock,
        told: Callable[[int], None] | None = None,
        *,
        is_synchronized: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make the clock; `told` learns what an administrator says, in microseconds since 1970.

        `is_synchronized` says whether the network keeps `system`, where that knows the time at all.
        """
        self._system = system
        self._is_synchronized = is_synchronized
        self._tell = told
        self._told: tuple[int, float] | None = None

    @property
    def system_is_trusted(self) -> bool:
        """Return whether the operating system knows the time, and the network keeps it."""
        return self._system.unix_us() is not None and self._is_synchronized()

    @property
    def was_told(self) -> bool:
        """Return whether an administrator's time is the one that counts."""
        return self._told is not None and not self.system_is_trusted

    def unix_us(self) -> int | None:
        """Return UTC in microseconds since 1970, or None while it is unknown."""
        if self._told is None or self.system_is_trusted:
            return self._system.unix_us()
        told_us, at_s = self._told
        return told_us + int((asyncio.get_running_loop().time() - at_s) * 1_000_000)

    def tell(self, unix_us: int) -> None:
        """Take an administrator's word for the time."""
        self._told = (unix_us, asyncio.get_running_loop().time())
        if self._tell is not None:
            self._tell(unix_us)


class TimeSynchronizationServer(ClusterServer, enable=("TimeSource",)):
    """Tells the time; takes it from an administrator only while the operating system does not know it."""

    schema = SCHEMA

    def __init__(self, clock: SynchronizedClock, **state: Any) -> None:
        super().__init__(**state)
        self._clock = clock
        self._watch = Watch(self, "granularity", "time_source")

    def initialize(self) -> None:
        """Follow whether the operating system knows the time."""
        self._watch.start()

    def close(self) -> None:
        """Follow it no more."""
        self._watch.close()

    def read_utc_time(self, _accessor: Accessor | None) -> int | None:
        """Return the time in microseconds since 2000, null while unknown."""
        unix_us = self._clock.unix_us()
        return None if unix_us is None else unix_us - _EPOCH_US

    def read_granularity(self, _accessor: Accessor | None) -> Any:
        """Return how exact the time is: the system's is kept by NTP."""
        if self._clock.system_is_trusted:
            return _Granularity.kMillisecondsGranularity
        if self._clock.was_told:
            return self.internal.granularity
        known = self._clock.unix_us() is not None
        return _Granularity.kSecondsGranularity if known else _Granularity.kNoTimeGranularity

    def read_time_source(self, _accessor: Accessor | None) -> Any:
        """Return whose time it is."""
        if self._clock.system_is_trusted:
            return _Source.kNonMatterNTP
        if self._clock.was_told:
            return _Source.kAdmin
        return _Source.kUnknown if self._clock.unix_us() is not None else _Source.kNone

    class Internal:
        """How exact the administrator's time is."""

        granularity = _Granularity.kNoTimeGranularity

    def set_utc_time(self, request: Any) -> None:
        """Take the time, unless a better one is known."""
        better = self._clock.was_told and request.granularity < self.internal.granularity
        if self._clock.system_is_trusted or better:
            raise MatterStatus(StatusCode.FAILURE, "a better time is known", cluster_status=_TIME_NOT_ACCEPTED)
        self.internal.granularity = min(request.granularity, _Granularity.kSecondsGranularity)
        self._clock.tell(request.UTCTime + _EPOCH_US)
        self.changed("utc_time", "granularity", "time_source")
