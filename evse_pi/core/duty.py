"""The pilot's duty cycle and the current it offers."""

from __future__ import annotations

from hal.units import DutyPpm, Milliamps

MIN_OFFER_MA = 6_000
MAX_OFFER_MA = 80_000
KNEE_PPM = 850_000  # 51 A on the lower line, 52.5 A on the upper one; vehicles read the lower
UPPER_LINE_MA = 52_500


def duty_for(current_ma: Milliamps) -> DutyPpm:
    """Return the largest duty cycle that does not offer more than `current_ma`.

    Units: ppm of the 1 ms period, so 533_333 means 32 A; equals ns for sysfs.
    Raises: ValueError outside 6_000..80_000 mA.
    Source: IEC 61851-1 Annex A; 51.0-52.5 A has no code point and offers 51 A.
    Hazard: H-04 overload of the circuit.
    """
    if not MIN_OFFER_MA <= current_ma <= MAX_OFFER_MA:
        raise ValueError(f"current_ma {current_ma}: a duty cycle offers {MIN_OFFER_MA} to {MAX_OFFER_MA} mA")
    if current_ma > UPPER_LINE_MA:
        return DutyPpm(current_ma * 4 + 640_000)
    return DutyPpm(min(current_ma * 50 // 3, KNEE_PPM))


def current_for(duty_ppm: DutyPpm) -> Milliamps:
    """Return the current that a vehicle reads from a duty cycle, to the nearest mA; 0 where the duty permits none.

    Source: IEC 61851-1 Annex A; 3 to 7 % asks for digital communication and permits nothing by itself.
    """
    if not 80_000 <= duty_ppm <= 970_000:
        return Milliamps(0)
    if duty_ppm <= KNEE_PPM:
        return Milliamps(max((duty_ppm * 3 + 25) // 50, MIN_OFFER_MA))
    return Milliamps(min((duty_ppm - 640_000 + 2) // 4, MAX_OFFER_MA))
