"""What controllers and users have set, the requests that follow from it, and its one stored copy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.demand_arbiter import ExpiryPolicy, LimitRequest
from evse_pi.charging.history_rows import setting_row
from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.stored_fields import LATEST_UNIX_S, StoredFields, UnknownRecord
from evse_pi.charging.targets import DAYS, MAX_SCHEDULES, MAX_TARGETS_PER_DAY, MINUTES_PER_DAY, DaySchedule, Target
from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA
from evse_pi.core.states import LimitSource
from hal.units import SECOND, Milliamps, MilliwattHours

if TYPE_CHECKING:
    from evse_pi.charging.history_rows import Row

SETTINGS = "charging"
"""The name of the setting that holds them."""
LONGEST_WINDOW_S = 86_400  # RandomizationDelayWindow
DISABLED = 0


@dataclass(frozen=True, slots=True)
class ChargingSettings:
    """What controllers and users have set. Units: `…_until_s` in s since 1970, 0 for disabled, None for good.

    `user_maximum_ma` None was never set and means the circuit's capacity; `window_s`, the randomization window, None
    means the installer's.
    """

    charging_until_s: int | None = DISABLED
    discharging_until_s: int | None = DISABLED
    minimum_ma: int = MIN_OFFER_MA
    maximum_ma: int = 0
    discharge_maximum_ma: int = 0
    user_maximum_ma: int | None = None
    window_s: int | None = None
    targets: tuple[DaySchedule, ...] = ()
    mode: ChargeMode = ChargeMode.MANUAL

    def charging(self, unix_s: int | None) -> bool:
        """Return whether charging is permitted; None is no time to judge by, and no end has come."""
        return _permitted(self.charging_until_s, unix_s)

    def discharging(self, unix_s: int | None) -> bool:
        """Return whether discharging is permitted."""
        return _permitted(self.discharging_until_s, unix_s)

    def expired(self, unix_s: int | None) -> ChargingSettings:
        """Return the settings after every permission whose time is over was taken back, as Disable would."""
        settings = self
        if settings.charging_until_s != DISABLED and not settings.charging(unix_s):
            settings = replace(settings, charging_until_s=DISABLED, minimum_ma=0, maximum_ma=0)
        if settings.discharging_until_s != DISABLED and not settings.discharging(unix_s):
            settings = replace(settings, discharging_until_s=DISABLED, discharge_maximum_ma=0)
        return settings

    def disabled(self) -> ChargingSettings:
        """Return the settings after Disable."""
        return replace(
            self,
            charging_until_s=DISABLED,
            discharging_until_s=DISABLED,
            minimum_ma=0,
            maximum_ma=0,
            discharge_maximum_ma=0,
        )

    def enabled(self) -> ChargingSettings:
        """Return the settings after charging was permitted for good, with no limit but the installer's."""
        return replace(self, charging_until_s=None, minimum_ma=MIN_OFFER_MA, maximum_ma=MAX_OFFER_MA)

    def user_limit_ma(self, capacity_ma: int) -> int:
        """Return the user's maximum as far as it acts: never below the minimum that the controller named."""
        wanted = capacity_ma if self.user_maximum_ma is None else self.user_maximum_ma
        return max(wanted, self.minimum_ma)


NOTHING_SET = ChargingSettings()


def requests_of(
    settings: ChargingSettings, capacity_ma: int, now_ns: int, unix_s: int | None, *, permitted: bool
) -> tuple[LimitRequest, LimitRequest]:
    """Return what the controller and the user ask of the charge point by their settings.

    The end is asked for as well, unless no clock can tell it: it comes even should this process be gone by then.
    """
    until_ns = None
    if settings.charging_until_s and unix_s is not None:
        until_ns = now_ns + (settings.charging_until_s - unix_s) * SECOND
    maximum_ma = Milliamps(min(settings.maximum_ma, MAX_OFFER_MA))
    user_ma = Milliamps(min(settings.user_limit_ma(capacity_ma), MAX_OFFER_MA))
    return (
        LimitRequest(LimitSource.ENABLE_CHARGING, permitted, maximum_ma, until_ns, ExpiryPolicy.STOPPED),
        LimitRequest(LimitSource.USER_MAXIMUM, limit_ma=user_ma),
    )


def _permitted(until_s: int | None, unix_s: int | None) -> bool:
    return until_s is None or (until_s != DISABLED and (unix_s is None or unix_s < until_s))


# The stored copy.


def settings_row(settings: ChargingSettings) -> Row:
    """Return the settings as the row that stores them."""
    return setting_row(SETTINGS, asdict(settings) | {"mode": settings.mode.name})


def settings_of(stored: Any) -> ChargingSettings:
    """Return what is stored. Raises: UnknownRecord."""
    fields = StoredFields(stored)
    schedules = fields.items("targets")
    if len(schedules) > MAX_SCHEDULES:
        raise UnknownRecord(f"targets: {len(schedules)} schedules, at most {MAX_SCHEDULES}")
    return ChargingSettings(
        charging_until_s=fields.optional_integer("charging_until_s", 0, LATEST_UNIX_S),
        discharging_until_s=fields.optional_integer("discharging_until_s", 0, LATEST_UNIX_S),
        minimum_ma=fields.integer("minimum_ma"),
        maximum_ma=fields.integer("maximum_ma"),
        discharge_maximum_ma=fields.integer("discharge_maximum_ma"),
        user_maximum_ma=fields.optional_integer("user_maximum_ma"),
        window_s=fields.optional_integer("window_s", 0, LONGEST_WINDOW_S),
        targets=tuple(schedule_of(StoredFields(each)) for each in schedules),
        mode=fields.member("mode", ChargeMode),
    )


def schedule_of(fields: StoredFields) -> DaySchedule:
    """Return the stored targets of some days. Raises: UnknownRecord."""
    targets = fields.items("targets")
    if len(targets) > MAX_TARGETS_PER_DAY:
        raise UnknownRecord(f"targets: {len(targets)} a day, at most {MAX_TARGETS_PER_DAY}")
    return DaySchedule(fields.integer("days", 1, DAYS), tuple(target_of(StoredFields(each)) for each in targets))


def target_of(fields: StoredFields) -> Target:
    """Return a stored target. Raises: UnknownRecord."""
    energy_mwh = fields.optional_integer("added_energy_mwh")
    return Target(
        fields.integer("minutes_past_midnight", 0, MINUTES_PER_DAY - 1),
        fields.optional_integer("soc_percent", 0, 100),
        None if energy_mwh is None else MilliwattHours(energy_mwh),
    )
