"""What happened when a fault was set, told with the readings of that moment; what to do stands in the fault table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNKNOWN = "not known"
NOMINAL_MV = (12_000, 9_000, 6_000, 3_000, 0)
FAR_MV = 700  # the corner resistors of IEC 61851-1 Table A.4 stay within
NEARLY_LOW_MV = -9_300


def volts(millivolts: int | None) -> str:
    """Return a voltage for people."""
    return UNKNOWN if millivolts is None else f"{millivolts / 1000:.2f} V"


def amps(milliamps: int | None) -> str:
    """Return a current for people."""
    return UNKNOWN if milliamps is None else f"{milliamps / 1000:.1f} A"


def degrees(centi_celsius: int | None) -> str:
    """Return a temperature for people."""
    return UNKNOWN if centi_celsius is None else f"{centi_celsius / 100:.1f} °C"


def happened(fault: str, readings: Mapping[str, Any]) -> str:
    """Return in one sentence what was seen when `fault` was set; `readings` may lack any of its names."""
    tell = EVENTS.get(fault)
    return tell(readings) if tell is not None else "The driver of this device raised an error."


def _plateaus(seen: Mapping[str, Any]) -> str:
    return f"{volts(seen.get('high_mv'))} / {volts(seen.get('low_mv'))}"


def _short(seen: Mapping[str, Any]) -> str:
    low_mv = seen.get("low_mv")
    if low_mv is not None and low_mv <= -10_000:
        where = "behind the vehicle's diode, so in the vehicle or its inlet: the negative half is whole"
    elif seen.get("driven") == "1 kHz":
        where = "before the vehicle's diode, so in the plug, the cable or the box: the negative half is gone too"
    else:
        where = "somewhere between box and vehicle: the pilot was steady, so the side of the diode is not known"
    return f"The pilot was shorted to earth {where}; its plateaus were {_plateaus(seen)}."


def _diode(seen: Mapping[str, Any]) -> str:
    return (
        f"The negative half of the pilot stood at {volts(seen.get('low_mv'))} while -12 V were driven; "
        f"with the diode of a vehicle it stays at -12 V. {_cause_of_low(seen.get('low_mv'))}"
    )


def _cause_of_low(low_mv: int | None) -> str:
    """Return the likelier cause: no vehicle's resistors without a diode leave more than -9 V; a drift does."""
    if low_mv is not None and low_mv <= NEARLY_LOW_MV:
        return "That is too near to -12 V for a missing diode: supply or calibration of the pilot has drifted."
    return "The diode is missing or bridged."


def _drift(high_mv: int | None) -> str:
    """Return a warning when a plateau is far from what every state would show."""
    off = high_mv is not None and min(abs(high_mv - nominal) for nominal in NOMINAL_MV) > FAR_MV
    return " No state stands there: supply or calibration of the pilot has drifted." if off else ""


def _out_of_band(seen: Mapping[str, Any]) -> str:
    return f"The pilot's plateaus were {_plateaus(seen)}, none of the states A to F.{_drift(seen.get('high_mv'))}"


def _generator(seen: Mapping[str, Any]) -> str:
    return (
        f"The box drove {seen.get('driven') or 'the pilot'} and read {_plateaus(seen)}: generator, supply or the "
        "calibration of the converter is wrong."
    )


def _noise(seen: Mapping[str, Any]) -> str:
    return f"The samples of one plateau scattered over {volts(seen.get('spread_mv'))}; 0.50 V are allowed."


def _welded(seen: Mapping[str, Any]) -> str:
    told = [
        text
        for name, text in (("mirror_closed", "the mirror contact said closed"), ("load_live", "the output was live"))
        if seen.get(name)
    ]
    return f"The contactor was told to open, and {' and '.join(told) or 'its contacts did not answer'}."


def _dry(seen: Mapping[str, Any]) -> str:
    told = [
        text
        for name, text in (("mirror_closed", "the mirror contact said open"), ("load_live", "the output was dead"))
        if seen.get(name) is False
    ]
    return f"The contactor was told to close, and {' and '.join(told) or 'no contact was seen'}."


def _cable(seen: Mapping[str, Any]) -> str:
    ohms = seen.get("proximity_ohms")
    return (
        f"The coding resistor measured {'nothing' if ohms is None else f'{ohms} ohms'}; cables have 100, 220, 680 or "
        "1500 ohms."
    )


def _cable_lost(seen: Mapping[str, Any]) -> str:
    high_mv = seen.get("high_mv")
    return (
        f"The pilot stood at {volts(high_mv)}, as with a vehicle, and no coding resistor of a cable was seen."
        f"{_drift(high_mv)}"
    )


def _overcurrent(seen: Mapping[str, Any]) -> str:
    drawn = max(seen.get("current_ma") or [0], key=abs, default=0)
    return f"The vehicle drew {amps(drawn)} while {amps(seen.get('driven_ma'))} were offered."


def _voltage(seen: Mapping[str, Any]) -> str:
    phases = seen.get("voltage_mv") or []
    return (
        f"The meter showed {', '.join(f'L{place} {mv / 1000:.1f} V' for place, mv in enumerate(phases, 1)) or UNKNOWN}."
    )


def _age(name: str, device: str) -> Callable[[Mapping[str, Any]], str]:
    def tell(seen: Mapping[str, Any]) -> str:
        age_ms = seen.get(name)
        return f"The last reading of the {device} is {'missing' if age_ms is None else f'{age_ms / 1000:.0f} s old'}."

    return tell


def _always(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _: text


def _budget(_: Mapping[str, Any]) -> str:
    return "A tick came too late, or reactions took too long: opening within 100 ms is not certain any more."


EVENTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "PILOT_SHORT": _short,
    "PILOT_DIODE": _diode,
    "PILOT_OUT_OF_BAND": _out_of_band,
    "PILOT_GENERATOR": _generator,
    "PILOT_UNCERTAIN": _noise,
    "VENTILATION_REQUIRED": lambda seen: (
        f"The vehicle showed state D: the pilot stood at {volts(seen.get('high_mv'))}."
    ),
    "CONTACTOR_WELDED": _welded,
    "CONTACTOR_FAILED_TO_CLOSE": _dry,
    "RCD_TRIPPED": _always("The residual current device tripped outside of its test."),
    "RCD_TEST_FAILED": _always("The residual current device did not trip when tested, or did not reset after it."),
    "EMERGENCY_STOP": _always("The emergency stop's contact opened: the button is pressed, or its wire is broken."),
    "PROXIMITY_INVALID": _cable,
    "CABLE_REMOVED": _cable_lost,
    "LOCK_FAILED": _always("Five pulses of the lock's motor did not bring its feedback contact to where it should be."),
    "OVERCURRENT": _overcurrent,
    "OVERVOLTAGE": _voltage,
    "UNDERVOLTAGE": _voltage,
    "POWER_QUALITY": _voltage,
    "LIVE_NEUTRAL_SWAP": _always("Line and neutral are swapped at the supply terminals."),
    "METER_STALE": _age("meter_age_ms", "meter"),
    "TEMPERATURE_STALE": _age("temperature_age_ms", "thermometers"),
    "OVER_TEMPERATURE": lambda seen: f"The hottest sensor showed {degrees(seen.get('centi_celsius'))}.",
    "TIMING_BUDGET": _budget,
    "SELF_TEST_FAILED": _always("The self-test could not be finished."),
    "OUTPUTS_PERSIST": _always("This kernel keeps an output driven when the process that held it has died."),
    "INSTALLATION_INVALID": _always("The installer's file is missing, damaged, or asks for what is not allowed."),
    "PILOT_ADC_FAILED": _always("The converter of the pilot did not answer, or repeated itself."),
    "PILOT_PWM_FAILED": _always("The generator of the pilot did not take what it was told."),
    "CONTACTOR_DRIVE_FAILED": _always("The contactor's output or its mirror contact could not be used."),
    "RCD_DRIVE_FAILED": _always("The lines of the residual current device could not be used."),
    "PROXIMITY_READ_FAILED": _always("The proximity input could not be read."),
    "LOCK_DRIVE_FAILED": _always("The lines of the connector lock could not be used."),
    "EMERGENCY_STOP_READ_FAILED": _always("The emergency stop's input could not be read."),
    "VOLTAGE_SENSE_FAILED": _always("The input that sees voltage behind the contactor could not be read."),
    "WATCHDOG_DRIVE_FAILED": _always("The line of the hardware watchdog could not be driven."),
    "INTERNAL": _always("The safety process met an error that no driver is known to raise, opened, and restarted."),
}

CLEARS = {
    "WHEN_GONE": "by itself once the cause is gone",
    "ON_UNPLUG": "when the vehicle is unplugged",
    "BY_USER": "with: evse-pi clear",
    "BY_INSTALLER": "with: sudo evse-pi clear --installer",
}


def clearing(rules: list[str]) -> str:
    """Return how a fault ends, given the names of its rules."""
    return (
        ", or ".join(CLEARS[rule] for rule in rules) or "when the box restarts: sudo systemctl restart evse-pi-safety"
    )
