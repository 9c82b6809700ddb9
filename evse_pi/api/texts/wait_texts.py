"""What the box may be waiting for, each with its name, what is seen and what would end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evse_pi.api.texts import english as words
from evse_pi.api.texts.quantities import amps, volts
from evse_pi.core.states import LimitSource, Reason

if TYPE_CHECKING:
    from evse_pi.api.status import Status


class WaitText(NamedTuple):
    """The name for scripts, the same for people, what is seen, and what to do."""

    name: str
    title: str
    what: str
    do: str


def explain(reason: Reason, status: Status) -> WaitText:
    """Return what the box waits for."""
    if reason is Reason.NOT_PERMITTED:
        return _not_permitted(status)
    if reason is Reason.LIMIT_BELOW_MINIMUM:
        return _below_minimum(status)
    return _plain(reason, status)


def _plain(reason: Reason, status: Status) -> WaitText:
    what, do = words.WAITS[reason]
    return WaitText(reason.name, words.REASONS[reason], what.format_map(_values(status)), do)


def _not_permitted(status: Status) -> WaitText:
    against = next((each for each in status.limits if not each.permitted), None)
    if against is None:
        return _plain(Reason.NOT_PERMITTED, status)
    told, do = words.REFUSES.get(against.source, (against.text, words.ASK_WHO))
    ends = words.ENDS_LATER.format(in_s=against.in_s) if against.in_s else ""
    name = against.source.name if against.source in words.REFUSES else Reason.NOT_PERMITTED.name
    return WaitText(name, told, words.NOT_PERMITTED.format(against=told, ends=ends), do)


def _below_minimum(status: Status) -> WaitText:
    source = LimitSource.LEASE if status.limit is None else status.limit.source
    if source is LimitSource.STALE_SENSOR:
        silent = ", ".join(f"{each.device} ({each.trouble})" for each in status.devices if each.trouble)
        what, do = words.SENSOR_SILENT
        told = what.format(silent=silent or words.NO_SENSOR_YET)
        return WaitText(source.name, words.LIMITS[source], told, do)
    if source is LimitSource.LEASE:
        return _plain(Reason.NO_LEASE, status)
    text = _plain(Reason.LIMIT_BELOW_MINIMUM, status)
    if source is LimitSource.OWNER:
        return text._replace(do=words.OWNER_TOO_LOW)
    return text._replace(do=words.REFUSES[source][1]) if source in words.REFUSES else text


def _values(status: Status) -> dict[str, str]:
    limit = status.limit
    high_mv = None if status.pilot is None else status.pilot.high_mv
    return {
        "pilot": words.PILOT_STANDS.format(high=volts(high_mv)),
        "offered": amps(status.offered_current_ma),
        "limit": words.LIMITS[LimitSource.LEASE] if limit is None else limit.text,
        "limit_value": amps(0 if limit is None else limit.limit_ma),
    }
