"""What is wrong with meter, clock, permission or storage, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.api.texts.quantities import amps, power
from evse_pi.api.troubles import ClockBehind, ClockSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evse_pi.api.troubles import ClockTrouble, MeterTrouble, PermissionDoubt, StorageTrouble


def meter_trouble(trouble: MeterTrouble) -> str:
    """Return what speaks against the meter, as it follows the meter's name."""
    return words.METER_TROUBLES[trouble.kind].format(
        current=amps(trouble.current_ma), power=power(trouble.power_mw), phase=trouble.phase
    )


def thermometer_troubles(still: Iterable[str], jumping: Iterable[str]) -> dict[str, str]:
    """Return what speaks against thermometers, by their names, those that jump first."""
    return dict.fromkeys(still, words.THERMOMETER_STANDS_STILL) | dict.fromkeys(jumping, words.THERMOMETER_JUMPS)


def clock_trouble(trouble: ClockTrouble) -> str:
    """Return what people should know of the clock."""
    if isinstance(trouble, ClockBehind):
        return words.CLOCK_BEHIND.format(shown=_utc(trouble.shown_s), latest=_utc(trouble.latest_s))
    if isinstance(trouble, ClockSet):
        text = words.CLOCK_SET_FORWARD if trouble.by_s > 0 else words.CLOCK_SET_BACK
        return text.format(by_s=abs(trouble.by_s))
    return words.CLOCK_UNKNOWN


def permission_doubt(doubt: PermissionDoubt) -> str:
    """Return why charging is forbidden until a person permits it."""
    return words.PERMISSION_DOUBTS[doubt.kind].format(detail=doubt.detail)


def storage_trouble(trouble: StorageTrouble) -> str:
    """Return what people must know of the storage."""
    return words.STORAGE_TROUBLES[trouble.kind].format(number=trouble.number, detail=trouble.detail)


def _utc(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"
