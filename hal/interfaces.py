"""What the wallbox needs of its devices; every driver and every double fits one of these.

All of them raise HalError and nothing else when the device fails, and `close()` leaves the device in its safe state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from hal.units import CentiCelsius, DutyPpm, Milliamps, Millihertz, Millivolts, MilliwattHours, Milliwatts, Ohms


@dataclass(frozen=True, slots=True)
class PilotWindow:
    """Raw codes of one look at the control pilot, at least 3 PWM periods long.

    `before` and `after` are what other channels of the converter showed right before and right after it.
    `sampled_ns` is when each code was taken, all off by the same; empty where that cannot be told.
    Units: codes of the converter, shape (n,), n ≈ 96; instants in ns of CLOCK_MONOTONIC.
    """

    codes: array[int]
    started_ns: int
    ended_ns: int
    before: Mapping[int, int] = field(default_factory=dict)
    after: Mapping[int, int] = field(default_factory=dict)
    sampled_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PilotPeaks:
    """The two plateaus of the control pilot as analogue peak detectors held them."""

    high_mv: Millivolts
    low_mv: Millivolts
    read_ns: int


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One complete reading of an energy meter; a quantity that the meter lacks is None.

    Units: tuples have one entry per phase, L1 first; `read_ns` is when the last register arrived.
    """

    voltage_mv: tuple[Millivolts, ...]
    current_ma: tuple[Milliamps, ...]
    power_mw: tuple[Milliwatts, ...]
    total_power_mw: Milliwatts
    energy_mwh: MilliwattHours
    frequency_mhz: Millihertz | None
    read_ns: int


class PilotAdc(Protocol):
    """Samples the control pilot."""

    def read_window(self) -> PilotWindow:
        """Return the codes of one window, whose spacing is dithered against the 1 kHz of the pilot."""

    def close(self) -> None:
        """Release the bus."""


class AnalogInput(Protocol):
    """One slow analogue value, such as the proximity contact."""

    def read_mv(self) -> Millivolts:
        """Return the voltage at the input."""


class PilotPwm(Protocol):
    """Drives the control pilot: 1 kHz, or one of the two constant levels."""

    def set_duty(self, duty_ppm: DutyPpm) -> None:
        """Oscillate with `duty_ppm` of the period high; 0 and 1_000_000 are the constant levels."""

    def set_high(self) -> None:
        """Hold +12 V: states A1, B1, C1, D1."""

    def set_low(self) -> None:
        """Hold −12 V: state F."""

    def close(self) -> None:
        """Hold −12 V and release the channel."""


class Contactor(Protocol):
    """Switches the mains to the vehicle."""

    def open(self) -> None:
        """Open the main contacts; legal at any time, any number of times."""

    def close(self) -> None:
        """Close the main contacts; closing a closed contactor does nothing."""

    def maintain(self, now_ns: int) -> None:
        """Let the coil economiser go from pull-in to hold when its time has come; called every tick."""

    def read_closed(self) -> bool | None:
        """Return whether the mirror contact says that the main contacts are closed, None without one."""

    def release(self) -> None:
        """Open, and give the lines back."""


class VoltageSense(Protocol):
    """Sees mains voltage at the vehicle's side of the contactor."""

    def read_live(self) -> bool:
        """Return whether any phase of the load side is live."""


class ResidualCurrentDevice(Protocol):
    """Trips on residual current, tells it, and can be tested."""

    def read_tripped(self) -> bool:
        """Return whether it is tripped now or was since the last call; an edge between two calls is not lost."""

    def set_test(self, active: bool) -> None:
        """Inject the test current, or stop it."""

    def reset(self) -> None:
        """Let a tripped device close its latch again."""

    def close(self) -> None:
        """Stop testing and release the lines."""


class ProximityInput(Protocol):
    """Reads the cable's coding resistor."""

    def read_ohms(self) -> Ohms | None:
        """Return the resistance between proximity and earth, None when nothing is plugged in."""


class ConnectorLock(Protocol):
    """Holds the plug in the socket with a motor that must be driven only for a moment."""

    def drive_lock(self) -> None:
        """Drive the motor towards locked."""

    def drive_unlock(self) -> None:
        """Drive the motor towards unlocked."""

    def stop(self) -> None:
        """Stop the motor."""

    def read_locked(self) -> bool:
        """Return what the feedback contact says."""

    def close(self) -> None:
        """Stop the motor and release the lines."""


class EmergencyStop(Protocol):
    """A normally closed button: a broken wire reads as pressed."""

    def read_pressed(self) -> bool:
        """Return whether it is pressed, or its wire is broken."""


class WeldOutput(Protocol):
    """Trips a switch ahead of the wallbox."""

    def set(self, active: bool) -> None:
        """Close the output's contact, or let it open."""

    def read_closed(self) -> bool | None:
        """Return whether a second contact says that it is closed, None without one."""

    def close(self) -> None:
        """Let it open and release the lines."""


class Watchdog(Protocol):
    """The external circuit that lets go of the contactor when pulses stop."""

    def lower(self) -> None:
        """Make the next pulse an edge that counts; a tick begins with it."""

    def pulse(self) -> None:
        """Give the edge that counts; only a completed tick of the safety loop may call this."""

    def close(self) -> None:
        """Stop pulsing and release the line."""


class StatusLed(Protocol):
    """One light of the box."""

    def set(self, lit: bool) -> None:
        """Light it or not."""

    def close(self) -> None:
        """Dark, and release the line."""


class Meter(Protocol):
    """An energy meter on a bus that may fail."""

    def read(self) -> MeterReading:
        """Return fresh values, all of them or none. Raises: BusTimeout, BadReading."""

    def close(self) -> None:
        """Release the port."""


class TemperatureSensor(Protocol):
    """A thermometer on a bus that may fail."""

    def read_centi_celsius(self) -> CentiCelsius:
        """Return a fresh temperature. Raises: DeviceNotFound, BadReading outside the chip's range."""

    def close(self) -> None:
        """Release the bus."""
