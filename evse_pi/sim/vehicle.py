"""A virtual car at the pilot wire: verbs for a script, and what a real car does by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from evse_pi.sim.circuit import NOMINAL_CAR, PROXIMITY_OHM, CarResistors, PilotLoad
from evse_pi.sim.plant_settings import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.agenda import Agenda

MS = 1_000_000
SECOND = 1000 * MS


class S2(StrEnum):
    """What the car's switch asks for: B, C, or D."""

    OPEN = "open"
    CLOSED = "closed"
    VENTILATED = "ventilated"


class ShortPlace(StrEnum):
    """On which side of the car's diode the pilot is shorted to earth."""

    BEFORE_DIODE = "before_diode"
    BEHIND_DIODE = "behind_diode"


@dataclass(frozen=True, slots=True)
class VehicleSettings:
    """A car's nature; the delays are below what IEC 61851-1 Table A.6 allows it."""

    automatic: bool = False  # goes to C by itself when current is offered
    cable_ma: int | None = None  # the loose cable that it brings along, none at a tethered one
    phases: int = 3
    demand_ma: int = 16_000
    minimum_ma: int = 6_000
    follow_ns: int = 1500 * MS  # allowed 5 s
    stop_ns: int = 1000 * MS  # allowed 3 s
    close_ns: int = 500 * MS
    start_ns: int = 800 * MS
    wake_ns: int = 3000 * MS  # E or F has to stand that long to wake it
    diode_v: float = 0.7
    cable_farad: float = 1.5e-9
    car_farad: float = 1.0e-9


@dataclass(frozen=True, slots=True)
class PilotView:
    """The pilot as it reaches the car: duty cycle of the source, or a dead wire."""

    duty_ppm: int = 1_000_000
    connected: bool = True

    @property
    def wakes(self) -> bool:
        """Return whether this is state E or F, which wakes a sleeping car."""
        return not self.connected or self.duty_ppm == 0


def offered_ma(duty_ppm: int) -> int:
    """Return the current that a car reads from a duty cycle, 0 when it may draw none.

    Source: IEC 61851-1 Annex A, as a vehicle test adapter applies it: 8 to 10 % is 6 A, 96 to 97 % is 80 A.
    """
    if not 80_000 <= duty_ppm <= 970_000:
        return 0
    if duty_ppm < 100_000:
        return 6_000
    if duty_ppm <= 850_000:
        return duty_ppm * 60 // 1000
    return min(80_000, (duty_ppm - 640_000) * 250 // 1000)


class Vehicle:
    """One car; each verb acts at the agenda's present instant and reports its change to the plant."""

    def __init__(self, settings: VehicleSettings, agenda: Agenda, changed: Callable[[], None]) -> None:
        self.settings = settings
        self.plugged = False
        self.cable_ma: int | None = None
        self.s2 = S2.OPEN
        self.asleep = False
        self.automatic = settings.automatic
        self.insistent = False
        self.demand_ma = settings.demand_ma
        self.allowed_ma = 0
        self.drawing = False
        self.obstinate = False
        self.greedy = False
        self.missing_mwh: float | None = None
        self.resistors = NOMINAL_CAR
        self.battery_percent: int | None = None
        self.battery_mwh: int | None = None
        self.identifier: str | None = None
        self._diode = True
        self._short: dict[ShortPlace, float] = {}
        self._flap_half_ns = 0
        self._agenda = agenda
        self._changed = changed
        self._view = PilotView()
        self._live = False

    # What a script does to the car.

    def plug_in(self, cable_ma: int | None = None) -> None:
        """Connect the car; `cable_ma` is the rating of a loose cable, by default of the one that it brings along."""
        if cable_ma is not None and cable_ma not in PROXIMITY_OHM:
            raise ValueError(f"cable_ma {cable_ma}: allowed are {', '.join(map(str, PROXIMITY_OHM))}")
        self.plugged, self.asleep = True, False
        self.cable_ma = self.settings.cable_ma if cable_ma is None else cable_ma
        self._adopt_offer()
        self._changed()

    def unplug(self) -> None:
        """Pull the plug in whatever state the car is."""
        self._forget_timers()
        self.plugged, self.cable_ma, self.s2, self.drawing, self._flap_half_ns = False, None, S2.OPEN, False, 0
        self.insistent = False
        self._changed()

    def close_s2(self) -> None:
        """Ask for energy (C)."""
        self._set_s2(S2.CLOSED)

    def open_s2(self) -> None:
        """Ask for no energy (B)."""
        self._set_s2(S2.OPEN)

    def ask_ventilation(self) -> None:
        """Ask for energy and for ventilation (D)."""
        self._set_s2(S2.VENTILATED)

    def draw(self, ma: int) -> None:
        """Draw up to this current on each phase, never more than what is offered."""
        within("ma", ma, 0, 100_000)
        self.demand_ma = ma
        self._changed()

    def want(self, mwh: int) -> None:
        """Stop by itself when this much energy was taken from now on."""
        within("mwh", mwh, 1, 1_000_000_000)
        self._changed()  # what flowed until now does not count
        self.missing_mwh = float(mwh)
        self._changed()

    def auto(self, on: bool = True) -> None:
        """Go to C by itself whenever current is offered."""
        self.automatic = on
        self._changed()

    def insist(self, on: bool = True) -> None:
        """Ask for energy whether or not current is offered: close S2 as for an offer, and again after every stop."""
        self.insistent = on
        if not on:
            self._set_s2(S2.OPEN)
        self._changed()
        self._close_when_offered()

    def tell_battery(self, percent: int | None = None, mwh: int | None = None) -> None:
        """Tell the box how full the battery is and how much it holds, or no longer tell it."""
        within("percent", percent or 0, 0, 100)
        within("mwh", mwh or 0, 0, 1_000_000_000)
        self.battery_percent, self.battery_mwh = percent, mwh

    def tell_identifier(self, identifier: str | None = None) -> None:
        """Tell the box who the car is, or no longer tell it."""
        self.identifier = identifier

    def ignore_pwm_stop(self, on: bool = True) -> None:
        """Keep S2 closed and the current flowing when the PWM stops."""
        self.obstinate = on
        self._changed()

    def ignore_offer(self, on: bool = True) -> None:
        """Draw what it likes, whatever is offered."""
        self.greedy = on
        self._changed()

    def short_pilot(self, where: ShortPlace = ShortPlace.BEFORE_DIODE, ohm: float = 1.0) -> None:
        """Short the pilot to earth on one side of the diode."""
        within("ohm", ohm, 0.01, 1_000_000)
        self._short[where] = ohm
        self._changed()

    def clear_short(self) -> None:
        """Remove every short of the pilot."""
        self._short.clear()
        self._changed()

    def remove_diode(self) -> None:
        """Bridge the diode: the negative half is loaded as the positive one."""
        self._diode = False
        self._changed()

    def restore_diode(self) -> None:
        """Put the diode back."""
        self._diode = True
        self._changed()

    def fit_resistors(self, b_ohm: float = 2740.0, c_ohm: float = 1300.0, d_ohm: float = 270.0) -> None:
        """Replace the car's resistors."""
        for name, ohm in (("b_ohm", b_ohm), ("c_ohm", c_ohm), ("d_ohm", d_ohm)):
            within(name, ohm, 1, 10_000_000)
        self.resistors = CarResistors(b_ohm, c_ohm, d_ohm)
        self._changed()

    def flap(self, hz: float) -> None:
        """Toggle S2 that often until `flap` with 0 leaves it where it is."""
        within("hz", hz, 0, 1000)
        self._flap_half_ns = round(SECOND / hz / 2) if hz else 0
        if hz:
            self._agenda.after("vehicle.flap", self._flap_half_ns, self._flap_once)
        else:
            self._agenda.cancel("vehicle.flap")

    def sleep(self) -> None:
        """Open S2 and ignore the pilot until E, F or a new plug-in wakes it."""
        self.asleep = True
        self._set_s2(S2.OPEN)

    def wake(self) -> None:
        """Wake up, as a driver with the key does."""
        self.asleep = False
        self._changed()

    # What the plant asks and tells.

    def load(self) -> PilotLoad:
        """Return what the pilot wire is loaded with."""
        if not self.plugged:
            return PilotLoad(short_before_diode_ohm=self._short.get(ShortPlace.BEFORE_DIODE))
        ohm = {
            S2.OPEN: self.resistors.in_b,
            S2.CLOSED: self.resistors.in_c,
            S2.VENTILATED: self.resistors.in_d,
        }[self.s2]()
        return PilotLoad(
            ohm=ohm,
            diode_v=self.settings.diode_v if self._diode else None,
            short_before_diode_ohm=self._short.get(ShortPlace.BEFORE_DIODE),
            short_behind_diode_ohm=self._short.get(ShortPlace.BEHIND_DIODE),
            farad=0.3e-9 + self.settings.cable_farad + self.settings.car_farad,
        )

    def observe(self, view: PilotView, *, live: bool) -> None:
        """See the pilot and whether there is voltage at the inlet; reactions come later, by the agenda."""
        if view != self._view:
            before, self._view = self._view, view
            self._pilot_changed(before)
        self._live = live
        if not live or self.s2 is S2.OPEN or not self.plugged:
            self.drawing = False
            self._agenda.cancel("vehicle.start")
        elif not self.drawing and not self._agenda.pending("vehicle.start"):
            self._agenda.after("vehicle.start", self.settings.start_ns, self._start)
        self._close_when_offered()

    def current_ma(self) -> int:
        """Return the current on each of the car's phases."""
        if not self.drawing:
            return 0
        if self.greedy or self.obstinate:
            return self.demand_ma
        wanted = min(self.demand_ma, self.allowed_ma)
        return wanted if wanted >= min(self.settings.minimum_ma, self.demand_ma) else 0

    def charge(self, mwh: float, mw: float) -> None:
        """Take energy that flowed, and stop when all that was wanted is there at the present power."""
        if self.missing_mwh is None:
            return
        self.missing_mwh -= mwh
        if mw > 0:
            delay_ns = max(0, round(self.missing_mwh / mw * 3600 * SECOND))
            self._agenda.after("vehicle.full", delay_ns, self._full)
        else:
            self._agenda.cancel("vehicle.full")

    # What the car does by itself.

    def _offer(self) -> int:
        if not self.plugged or not self._view.connected:
            return 0
        return offered_ma(self._view.duty_ppm)

    def _adopt_offer(self) -> None:
        self.allowed_ma = self._offer()

    def _pilot_changed(self, before: PilotView) -> None:
        had = offered_ma(before.duty_ppm) if before.connected else 0
        offer = self._offer()
        if offer:
            self._agenda.cancel("vehicle.stop")
            if self.drawing:
                self._agenda.after("vehicle.follow", self.settings.follow_ns, self._follow)
            else:
                self.allowed_ma = offer
        elif had and self.plugged:
            self._agenda.cancel("vehicle.follow")
            self._agenda.after("vehicle.stop", self.settings.stop_ns, self._stop)
        if self.asleep and self._view.wakes and self.plugged:
            if not before.wakes:
                self._agenda.after("vehicle.wake", self.settings.wake_ns, self._wake)
        else:
            self._agenda.cancel("vehicle.wake")

    def _close_when_offered(self) -> None:
        wants = (self.insistent and not self._view.wakes) or (self.automatic and self._offer() > 0)
        ready = wants and self.plugged and not self.asleep and self.s2 is S2.OPEN
        if not ready or self._flap_half_ns:
            self._agenda.cancel("vehicle.close")
        elif not self._agenda.pending("vehicle.close"):
            self._agenda.after("vehicle.close", self.settings.close_ns, self.close_s2)

    def _set_s2(self, s2: S2) -> None:
        self.s2 = s2
        if s2 is S2.OPEN:
            self.drawing = False
        self._changed()

    def _start(self) -> None:
        self.drawing = self._live and self.s2 is not S2.OPEN
        self._changed()

    def _follow(self) -> None:
        self._adopt_offer()
        self._changed()

    def _stop(self) -> None:
        if self.obstinate:
            return
        self.allowed_ma = 0
        self._set_s2(S2.OPEN)

    def _full(self) -> None:
        self.missing_mwh, self.automatic = None, False
        self._set_s2(S2.OPEN)

    def _wake(self) -> None:
        self.asleep = False
        self._changed()

    def _flap_once(self) -> None:
        self._agenda.after("vehicle.flap", self._flap_half_ns, self._flap_once)
        self._set_s2(S2.CLOSED if self.s2 is S2.OPEN else S2.OPEN)

    def _forget_timers(self) -> None:
        for name in ("follow", "stop", "close", "start", "wake", "flap", "full"):
            self._agenda.cancel(f"vehicle.{name}")
