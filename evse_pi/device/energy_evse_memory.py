"""What the EVSE cluster keeps beside its attributes, and its form in the store.

It loads nothing of Matter: a box that starts must know what its peers were told before it counts its sessions on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from evse_pi.charging.demand_arbiter import ExpiryPolicy, LimitRequest
from evse_pi.charging.stored_fields import Fields, UnknownRecord, parsed
from evse_pi.charging.targets import DAYS, MAX_SCHEDULES, MAX_TARGETS_PER_DAY, MINUTES_PER_DAY, DaySchedule, Target
from evse_pi.core.duty import MAX_OFFER_MA, MIN_OFFER_MA
from evse_pi.core.states import FaultState, LimitSource
from hal.units import SECOND, Milliamps, MilliwattHours

LATEST_MATTER_S = (1 << 32) - 1  # an epoch-s, about the year 2136
LONGEST_WINDOW_S = 86_400  # RandomizationDelayWindow


@dataclass(frozen=True, slots=True)
class ChargingSettings:
    """What controllers and users have set. Units: `…_until` in s since 2000, 0 for disabled, None for good.

    `user_maximum_ma` None was never set and means the circuit's capacity.
    """

    charging_until: int | None = 0
    discharging_until: int | None = 0
    minimum_ma: int = MIN_OFFER_MA
    maximum_ma: int = 0
    discharge_maximum_ma: int = 0
    user_maximum_ma: int | None = None

    def charging(self, now_s: int | None) -> bool:
        """Return whether charging is granted; an end that no clock can tell has not come."""
        return _granted(self.charging_until, now_s)

    def discharging(self, now_s: int | None) -> bool:
        """Return whether discharging is granted."""
        return _granted(self.discharging_until, now_s)

    def expired(self, now_s: int | None) -> ChargingSettings:
        """Return the grant after everything whose time is over was taken back, as Disable would."""
        grant = self
        if grant.charging_until != 0 and not grant.charging(now_s):
            grant = replace(grant, charging_until=0, minimum_ma=0, maximum_ma=0)
        if grant.discharging_until != 0 and not grant.discharging(now_s):
            grant = replace(grant, discharging_until=0, discharge_maximum_ma=0)
        return grant

    def disabled(self) -> ChargingSettings:
        """Return the grant after Disable."""
        return replace(self, charging_until=0, discharging_until=0, minimum_ma=0, maximum_ma=0, discharge_maximum_ma=0)

    def user_limit_ma(self, capacity_ma: int) -> int:
        """Return the user's maximum as far as it acts: never below the minimum that the controller named."""
        wanted = capacity_ma if self.user_maximum_ma is None else self.user_maximum_ma
        return max(wanted, self.minimum_ma)


NOTHING_GRANTED = ChargingSettings()


def asks_of(
    grant: ChargingSettings, capacity_ma: int, now_ns: int, now_s: int | None, *, permitted: bool
) -> tuple[LimitRequest, LimitRequest]:
    """Return what the controller and the user ask of the box by what they granted.

    The end is asked for as well, so that it comes should the cluster be gone by then, unless no clock can tell it.
    """
    until_ns = None
    if grant.charging_until and now_s is not None:
        until_ns = now_ns + (grant.charging_until - now_s) * SECOND
    maximum_ma = Milliamps(min(grant.maximum_ma, MAX_OFFER_MA))
    user_ma = Milliamps(min(grant.user_limit_ma(capacity_ma), MAX_OFFER_MA))
    return (
        LimitRequest(LimitSource.ENABLE_CHARGING, permitted, maximum_ma, until_ns, ExpiryPolicy.STOPPED),
        LimitRequest(LimitSource.USER_MAXIMUM, limit_ma=user_ma),
    )


def _granted(until: int | None, now_s: int | None) -> bool:
    return until is None or (until != 0 and (now_s is None or now_s < until))


@dataclass(frozen=True, slots=True)
class Transfer:
    """An energy transfer that was told to have started.

    A fault suspends it; `lapses_ns` is then when it ends unless the vehicle charges again, None while the fault lasts.
    """

    energy_mwh: int
    suspended: bool = False
    lapses_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ReportedState:
    """What the peers know by events: the number of the session of the vehicle that is connected, and its transfer.

    `latest` is the highest number of a session that they ever heard of, 0 for none; `fault` is the FaultState.
    """

    session: int | None = None
    transfer: Transfer | None = None
    latest: int = 0
    fault: FaultState = FaultState.NO_ERROR

    def after(self, session: int | None, transfer: Transfer | None, fault: FaultState) -> ReportedState:
        """Return what they know after the events that lead to this."""
        return ReportedState(session, transfer, max(self.latest, session or 0), fault)


NOTHING_TOLD = ReportedState()


@dataclass(frozen=True, slots=True)
class PersistedState:
    """What a restart continues from: the last commands, what peers were told by events, the charging targets.

    `window_s` is the randomization window, None while nobody has set it and the installer's word holds.
    """

    grant: ChargingSettings = NOTHING_GRANTED
    told: ReportedState = NOTHING_TOLD
    targets: tuple[DaySchedule, ...] = ()
    window_s: int | None = None


NOTHING_KEPT = PersistedState()


def record_key(endpoint: int) -> str:
    """Return the name of the record in the store."""
    return f"energy-evse/{endpoint}"


def encode(kept: PersistedState) -> bytes:
    """Return the record of `kept`."""
    return json.dumps(asdict(kept), separators=(",", ":")).encode()


def decode(record: bytes) -> PersistedState:
    """Return what `record` holds. Raises: UnknownRecord when it is no record of this kind."""
    fields = Fields(parsed(record))
    schedules = fields.items("targets")
    if len(schedules) > MAX_SCHEDULES:
        raise UnknownRecord(f"targets: {len(schedules)} schedules, at most {MAX_SCHEDULES}")
    return PersistedState(
        _grant(fields.record("grant")),
        _told(fields.record("told")),
        tuple(_schedule(Fields(each)) for each in schedules),
        fields.optional_integer("window_s", 0, LONGEST_WINDOW_S),
    )


def _grant(fields: Fields) -> ChargingSettings:
    return ChargingSettings(
        charging_until=fields.optional_integer("charging_until", 0, LATEST_MATTER_S),
        discharging_until=fields.optional_integer("discharging_until", 0, LATEST_MATTER_S),
        minimum_ma=fields.integer("minimum_ma"),
        maximum_ma=fields.integer("maximum_ma"),
        discharge_maximum_ma=fields.integer("discharge_maximum_ma"),
        user_maximum_ma=fields.optional_integer("user_maximum_ma"),
    )


def _told(fields: Fields) -> ReportedState:
    transfer, fault = fields.optional_record("transfer"), fields.integer("fault")
    if fault not in set(FaultState):
        raise UnknownRecord(f"fault: {fault} is no FaultState of this version")
    return ReportedState(
        session=fields.optional_integer("session", 1),
        transfer=None if transfer is None else _transfer(transfer),
        latest=fields.integer("latest"),
        fault=FaultState(fault),
    )


def _transfer(fields: Fields) -> Transfer:
    return Transfer(fields.integer("energy_mwh"), fields.boolean("suspended"), fields.optional_instant_ns("lapses_ns"))


def _schedule(fields: Fields) -> DaySchedule:
    targets = fields.items("targets")
    if len(targets) > MAX_TARGETS_PER_DAY:
        raise UnknownRecord(f"targets: {len(targets)} a day, at most {MAX_TARGETS_PER_DAY}")
    return DaySchedule(fields.integer("days", 1, DAYS), tuple(target_of(Fields(each)) for each in targets))


def target_of(fields: Fields) -> Target:
    """Return a stored target. Raises: UnknownRecord."""
    energy_mwh = fields.optional_integer("added_energy_mwh")
    return Target(
        fields.integer("minutes_past_midnight", 0, MINUTES_PER_DAY - 1),
        fields.optional_integer("soc_percent", 0, 100),
        None if energy_mwh is None else MilliwattHours(energy_mwh),
    )
