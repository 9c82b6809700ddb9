"""Values as people write them: one format for each quantity, wherever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr

if TYPE_CHECKING:
    from evse_pi.api.refusal import AtFault

UNKNOWN = tr("not known")


def volts(millivolts: int | None) -> str:
    """Return a voltage."""
    return UNKNOWN if millivolts is None else f"{millivolts / 1000:.2f} V"


def amps(milliamps: int | None) -> str:
    """Return a current that was measured or follows from others, to 0.1 A."""
    return UNKNOWN if milliamps is None else f"{milliamps / 1000:.1f} A"


def exact_amps(milliamps: int) -> str:
    """Return a current that was set, to the last mA; one of whole tenths looks as `amps` shows it."""
    return amps(milliamps) if milliamps % 100 == 0 else f"{milliamps / 1000:.3f}".rstrip("0") + " A"


def current_refused(name: str, at: AtFault | None) -> str | None:
    """Return the refusal of a current under the name that a person knows; None where another thing was refused."""
    if at is None or at.allowed.lowest is None or at.allowed.highest is None or type(at.value) is not int:
        return None
    allowed = tr("{exact_amps} to {exact_amps_2}").format(
        exact_amps=exact_amps(at.allowed.lowest), exact_amps_2=exact_amps(at.allowed.highest)
    )
    return tr("{name}: {exact_amps} is not allowed; {allowed}").format(
        name=name, exact_amps=exact_amps(at.value), allowed=allowed
    )


def power(milliwatts: int | None) -> str:
    """Return a power."""
    return UNKNOWN if milliwatts is None else f"{milliwatts / 1_000_000:.2f} kW"


def energy(milliwatt_hours: int, *, estimated: bool = False) -> str:
    """Return an energy, with `~` where no meter counted it."""
    return f"{'~' if estimated else ''}{milliwatt_hours / 1_000_000:.3f} kWh"


def degrees(centi_celsius: int | None) -> str:
    """Return a temperature."""
    return UNKNOWN if centi_celsius is None else f"{centi_celsius / 100:.1f} °C"


def percent(ppm: int) -> str:
    """Return a duty cycle."""
    return f"{ppm / 10_000:.2f} %"


def hours(seconds: int) -> str:
    """Return a duration as h:mm:ss."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def milliseconds(microseconds: int) -> str:
    """Return a short duration."""
    return f"{microseconds / 1000:.2f} ms"


def sentence(told: str) -> str:
    """Return a phrase as a sentence begins."""
    return told[:1].upper() + told[1:]
