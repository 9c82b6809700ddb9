"""Doubles of what the safety process drives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hal.interfaces import PilotPeaks, PilotWindow
from hal.mock.script import inverted, plus
from hal.units import DutyPpm, Millivolts, Ohms

if TYPE_CHECKING:
    from array import array

    from hal.mock.script import Script


class MockPilotAdc:
    """Answers with the codes that were driven last."""

    def __init__(self, script: Script, codes: array[int], window_ns: int = 4_000_000) -> None:
        self.script = script
        self._codes = codes
        self._window_ns = window_ns

    def drive_codes(self, codes: array[int]) -> None:
        """Let every following window have these codes."""
        self._codes = codes

    def read_window(self) -> PilotWindow:
        """Return the driven codes; takes `window_ns`."""
        started_ns = self.script.clock.now_ns
        self.script.clock.now_ns += self._window_ns
        window = PilotWindow(self._codes[:], started_ns, self.script.clock.now_ns)
        return self.script.reading("read_window", window, _drifted_window)

    def close(self) -> None:
        """Note it."""
        self.script.order("close", None, lambda: None)


def _drifted_window(window: PilotWindow, amount: int) -> PilotWindow:
    codes = window.codes[:]
    for index, code in enumerate(codes):
        codes[index] = max(0, code + amount)
    return replace(window, codes=codes)


class MockPeakDetector:
    """Answers with the plateaus that were driven last."""

    def __init__(self, script: Script, high_mv: int, low_mv: int) -> None:
        self.script = script
        self.drive_peaks(high_mv, low_mv)

    def drive_peaks(self, high_mv: int, low_mv: int) -> None:
        """Let the plateaus be these."""
        self._peaks = (Millivolts(high_mv), Millivolts(low_mv))

    def read_peaks(self) -> PilotPeaks:
        """Return the driven plateaus."""
        peaks = PilotPeaks(*self._peaks, self.script.clock.now_ns)
        return self.script.reading(
            "read_peaks", peaks, lambda seen, amount: replace(seen, high_mv=Millivolts(seen.high_mv + amount))
        )


class MockAnalogInput:
    """Answers with the voltage that was driven last."""

    def __init__(self, script: Script, voltage_mv: int = 0) -> None:
        self.script = script
        self._voltage_mv = voltage_mv

    def drive_mv(self, voltage_mv: int) -> None:
        """Let the input have this voltage."""
        self._voltage_mv = voltage_mv

    def read_mv(self) -> Millivolts:
        """Return the driven voltage."""
        return Millivolts(self.script.reading("read_mv", self._voltage_mv, plus))


class MockPilotPwm:
    """Remembers what the generator does; `duty_ppm` is what the wire would show."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.duty_ppm = DutyPpm(0)

    def set_duty(self, duty_ppm: DutyPpm) -> None:
        """Oscillate."""
        self.script.order("set_duty", duty_ppm, lambda: self._put(duty_ppm))

    def set_high(self) -> None:
        """Hold +12 V."""
        self.script.order("set_high", None, lambda: self._put(DutyPpm(1_000_000)))

    def set_low(self) -> None:
        """Hold −12 V."""
        self.script.order("set_low", None, lambda: self._put(DutyPpm(0)))

    def close(self) -> None:
        """Hold −12 V."""
        self.script.order("close", None, lambda: self._put(DutyPpm(0)))

    def _put(self, duty_ppm: DutyPpm) -> None:
        self.duty_ppm = duty_ppm


class MockContactor:
    """A coil and contacts that follow it at once unless they are welded or blocked."""

    def __init__(self, script: Script, *, has_mirror: bool = True) -> None:
        self.script = script
        self.driven = False
        self._has_mirror = has_mirror
        self._held: bool | None = None

    def drive_welded(self, closed: bool | None) -> None:
        """Hold the contacts closed (True) or open (False) whatever the coil does; None sets them free."""
        self._held = closed

    @property
    def closed(self) -> bool:
        """What the main contacts are."""
        return self.driven if self._held is None else self._held

    def open(self) -> None:
        """Let go."""
        self.script.order("open", None, lambda: self._drive(driven=False))

    def close(self) -> None:
        """Pull in."""
        self.script.order("close", None, lambda: self._drive(driven=True))

    def maintain(self, now_ns: int) -> None:
        """Note it."""
        self.script.order("maintain", now_ns, lambda: None)

    def read_closed(self) -> bool | None:
        """Return what the mirror contact says."""
        return self.script.reading("read_closed", self.closed, inverted) if self._has_mirror else None

    def release(self) -> None:
        """Let go."""
        self.script.order("release", None, lambda: self._drive(driven=False))

    def _drive(self, *, driven: bool) -> None:
        self.driven = driven


class MockVoltageSense:
    """Answers what was driven last."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._live = False

    def drive_live(self, live: bool) -> None:
        """Make the load side live or dead."""
        self._live = live

    def read_live(self) -> bool:
        """Return what was driven."""
        return self.script.reading("read_live", self._live, inverted)


class MockResidualCurrentDevice:
    """Trips when it is told to, and when it is tested unless it is deaf."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.testing = False
        self._tripped = False
        self._latched = False
        self._deaf = False

    def drive_trip(self) -> None:
        """Trip; it stays tripped until it is reset."""
        self._tripped = self._latched = True

    def drive_glitch(self) -> None:
        """Trip and fall back before the input is read."""
        self._latched = True

    def drive_deaf(self) -> None:
        """Let the test have no effect from now on."""
        self._deaf = True

    def read_tripped(self) -> bool:
        """Return whether it is tripped or was since the last call."""
        latched, self._latched = self._latched, False
        return self.script.reading("read_tripped", self._tripped or latched, inverted)

    def set_test(self, active: bool) -> None:
        """Inject the test current, or stop it."""
        self.script.order("set_test", active, lambda: self._test(active=active))

    def reset(self) -> None:
        """Close the latch unless the test current flows."""
        self.script.order("reset", None, self._reset)

    def close(self) -> None:
        """Stop testing."""
        self.script.order("close", None, lambda: self._test(active=False))

    def _test(self, *, active: bool) -> None:
        self.testing = active
        if active and not self._deaf:
            self.drive_trip()

    def _reset(self) -> None:
        self._tripped = self.testing and not self._deaf


class MockProximity:
    """Answers with the coding resistor that was driven last."""

    def __init__(self, script: Script, ohms: int | None = None) -> None:
        self.script = script
        self._ohms = ohms

    def drive_ohms(self, ohms: int | None) -> None:
        """Plug in a cable with this resistor, or None to pull it out."""
        self._ohms = ohms

    def read_ohms(self) -> Ohms | None:
        """Return the driven resistor."""
        if self._ohms is None:
            return self.script.reading("read_ohms", None, lambda seen, _: seen)
        return Ohms(self.script.reading("read_ohms", self._ohms, plus))


class MockConnectorLock:
    """A bolt that follows its motor at once unless it is jammed."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.locked = False
        self._jammed = False

    def drive_jam(self, jammed: bool) -> None:
        """Hold the bolt where it is, or set it free."""
        self._jammed = jammed

    def drive_lock(self) -> None:
        """Lock."""
        self.script.order("drive_lock", None, lambda: self._move(locked=True))

    def drive_unlock(self) -> None:
        """Unlock."""
        self.script.order("drive_unlock", None, lambda: self._move(locked=False))

    def stop(self) -> None:
        """Note it."""
        self.script.order("stop", None, lambda: None)

    def read_locked(self) -> bool:
        """Return where the bolt is."""
        return self.script.reading("read_locked", self.locked, inverted)

    def close(self) -> None:
        """Note it."""
        self.script.order("close", None, lambda: None)

    def _move(self, *, locked: bool) -> None:
        self.locked = self.locked if self._jammed else locked


class MockEmergencyStop:
    """Answers what was driven last."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._pressed = False

    def drive_pressed(self, pressed: bool) -> None:
        """Press or pull the button."""
        self._pressed = pressed

    def read_pressed(self) -> bool:
        """Return what was driven."""
        return self.script.reading("read_pressed", self._pressed, inverted)


class MockWatchdog:
    """Counts pulses; `last_ns` is when the last one reached the circuit."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.pulses = 0
        self.last_ns: int | None = None

    def lower(self) -> None:
        """Note it."""
        self.script.order("lower", None, lambda: None)

    def pulse(self) -> None:
        """Count one."""
        self.script.order("pulse", None, self._count)

    def close(self) -> None:
        """Note it."""
        self.script.order("close", None, lambda: None)

    def _count(self) -> None:
        self.pulses += 1
        self.last_ns = self.script.clock.now_ns
