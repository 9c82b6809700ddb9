"""The wallbox's electrical world: pilot circuit, car, contactor, mains, residual current device, lock, temperatures.

Time is handed in and the plant catches up lazily, so it runs the same under virtual and under real time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evse_pi.sim.agenda import Agenda
from evse_pi.sim.circuit import (
    PROXIMITY_OHM,
    Disturbance,
    Generator,
    PilotLoad,
    PilotWire,
    proximity_v,
    sagged,
    waveform,
)
from evse_pi.sim.coil_circuit import CoilCircuit, CoilState, SwitchFault
from evse_pi.sim.contactor_model import Coil, ContactorSettings, PowerContactor
from evse_pi.sim.fault_injection import FaultInjection
from evse_pi.sim.load_side import LoadSide
from evse_pi.sim.lock_model import LockMotor
from evse_pi.sim.mains import Mains, MainsSettings
from evse_pi.sim.meter_model import EnergyMeter
from evse_pi.sim.plant_settings import argument_types, arguments, invoke
from evse_pi.sim.rails import Rail
from evse_pi.sim.residual import RcdSettings, ResidualDevice
from evse_pi.sim.signals import LOAD_PHASES, Analog, Drive, History, PilotRail, Sense
from evse_pi.sim.vehicle import PilotView, Vehicle, VehicleSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evse_pi.sim.meter_model import MeterRegisters

MS = 1_000_000


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """The external circuit that wants rising edges while the contactor is closed.

    Its hold after an edge is drawn once per plant between the two ends that its data sheets allow.
    """

    hold_min_ns: int = 100 * MS
    hold_max_ns: int = 100 * MS
    trips_rcd: bool = False  # instead of only taking the coil, make a residual current event


@dataclass(frozen=True, slots=True)
class PlantSettings:
    """One wallbox and one car, before anything happens."""

    generator: Generator = field(default_factory=Generator)
    disturbance: Disturbance = field(default_factory=Disturbance)
    vehicle: VehicleSettings = field(default_factory=VehicleSettings)
    contactor: ContactorSettings = field(default_factory=ContactorSettings)
    mains: MainsSettings = field(default_factory=MainsSettings)
    rcd: RcdSettings = field(default_factory=RcdSettings)
    watchdog: WatchdogSettings | None = None
    economiser: bool = False  # the contactor's line alone only holds, its boost line pulls in
    stop_cuts_coil: bool = True
    lock_travel_ns: int = 300 * MS
    sense_hold_ns: int | None = 40 * MS  # of the load side's couplers: 1 µF; None: it has none
    upstream_ns: int = 20 * MS  # the shunt release trips the switch ahead of the box
    proximity_supply_mv: int = 3_300
    proximity_pull_up_ohm: int = 1_000
    input_filter_s: float = 2.0e-6  # of the pilot's divider: 20.0 kΩ, 100 pF
    positive_tap_ns: int = 937_000  # 10.0 kΩ ‖ 2.49 kΩ, 470 nF
    negative_tap_ns: int = 717_000  # 10.0 kΩ ‖ 1.80 kΩ, 470 nF
    temperatures: dict[str, float] = field(default_factory=lambda: {"board": 25.0})
    ambient_swing_c: float = 0.0  # how far the air goes to both sides of that, within the hours of a day
    seed: int = 1


class Plant:
    """Everything outside the controller; drive its lines, read its senses, and let verbs happen to it."""

    def __init__(self, settings: PlantSettings, now_ns: int = 0) -> None:
        rng = random.Random(settings.seed)
        dog = settings.watchdog
        self.gate_hold_ns = random.Random(settings.seed).randint(dog.hold_min_ns, dog.hold_max_ns) if dog else 0
        self.settings = settings
        self.history = History()
        self.agenda = Agenda(now_ns)
        self.rails = (
            Rail(settings.generator.positive_v, settings.positive_tap_ns, rng),
            Rail(settings.generator.negative_v, settings.negative_tap_ns, rng),
        )
        self.wire = PilotWire(rng, settings.disturbance, settings.generator.clock_ppm, self.rails)
        self.vehicle = Vehicle(settings.vehicle, self.agenda, self.settle)
        self.contactor = PowerContactor(settings.contactor, settings.mains.phases, self.agenda, rng, self.settle)
        self.coil = CoilCircuit()
        self.rcd = ResidualDevice(settings.rcd, self.agenda, self.settle)
        self.lock = LockMotor(settings.lock_travel_ns, self.agenda, self.settle)
        self.mains = Mains(settings.mains)
        self.energy_meter = EnergyMeter(self.mains, settings.mains.frequency_swing_mhz)
        self.temperatures = dict(settings.temperatures)
        self.fault_injection = FaultInjection(self)
        self.openings_under_load = 0
        self.card = ""
        self.drives = dict.fromkeys(Drive, False)
        self.duty_ppm = 0
        self.period_ns = 1_000_000
        self._energy_ns = now_ns
        self._flowed_mwh = 0.0
        self.load = LoadSide(self.mains, self.contactor, self.vehicle, self.agenda, self.settle, settings.sense_hold_ns)
        self._seen: tuple[object, ...] = ()
        self._verbs = self._verb_table()
        self.settle()

    # Time.

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due until `now_ns`; an earlier instant than the last changes nothing."""
        agenda = self.agenda
        if now_ns < agenda.next_ns:
            agenda.now_ns = max(agenda.now_ns, now_ns)
            return
        while (action := agenda.take_due(now_ns)) is not None:
            action()

    @property
    def next_ns(self) -> int:
        """Return when the plant has something to do by itself next."""
        return self.agenda.next_ns

    # What the controller does.

    def set_pilot(self, duty_ppm: int, now_ns: int, period_ns: int = 1_000_000) -> None:
        """Drive the pilot stage: 0 is −12 V for ever, 1,000,000 is +12 V for ever."""
        self.advance(now_ns)
        self.duty_ppm, self.period_ns = duty_ppm, period_ns
        self.settle()

    def drive(self, line: Drive, active: bool, now_ns: int) -> None:
        """Set one of the controller's outputs."""
        self.advance(now_ns)
        if self.drives[line] is active:
            return
        self.drives[line] = active
        if line is Drive.WATCHDOG:
            if active:
                self._feed_watchdog()
            return
        if line is Drive.RCD_TEST:
            self.rcd.set_test(active)
        elif line is Drive.RCD_RESET and active:
            self.rcd.reset()
        elif line in (Drive.LOCK, Drive.UNLOCK):
            self.lock.drive(lock=self.drives[Drive.LOCK], unlock=self.drives[Drive.UNLOCK])
        self.settle()

    # What the controller sees.

    def sense(self, line: Sense) -> bool:
        """Return what one of the controller's inputs shows at the plant's present instant."""
        stuck = self.fault_injection.senses.get(line)
        if stuck is not None:
            return stuck
        return {
            Sense.MIRROR: lambda: self.contactor.mirror,
            Sense.LOAD_VOLTAGE: lambda: self.load.lit,
            Sense.RCD_TRIPPED: lambda: self.rcd.tripped,
            Sense.LOCKED: lambda: self.lock.locked,
            Sense.EMERGENCY_STOP: lambda: self.fault_injection.stop_pressed,
            Sense.LIVE_NEUTRAL_SWAPPED: lambda: self.mains.swapped,
            Sense.WELD_OUTPUT: lambda: self.weld_relay_closed,
        }[line]()

    def sample_pilot(self, instants_ns: Sequence[int]) -> list[float]:
        """Return the pilot voltage in V at instants up to the plant's present one, with noise."""
        return self.wire.sample(instants_ns)

    def analog(self, source: Analog, sensor: str = "board") -> float:
        """Return a slow quantity at the plant's present instant, in V, A or °C."""
        if source is Analog.PILOT:
            return self.wire.sample((self.agenda.now_ns,))[0]
        if source is Analog.PILOT_HIGH:
            return self.wire.present.high_v if self.wire.present.on_ns > 0 else self.wire.present.low_v
        if source is Analog.PILOT_LOW:
            form = self.wire.present
            return form.low_v if form.on_ns < form.period_ns else form.high_v
        if source is Analog.PILOT_POSITIVE:
            return self.rails[0].tap(self.agenda.now_ns)
        if source is Analog.PILOT_NEGATIVE:
            return self.rails[1].tap(self.agenda.now_ns)
        if source is Analog.COIL_NODE:
            return self.coil.node_v(self.agenda.now_ns)
        if source is Analog.PROXIMITY:
            supply_v = self.settings.proximity_supply_mv / 1000
            return proximity_v(self._cable_ohm(), supply_v, self.settings.proximity_pull_up_ohm)
        if source in LOAD_PHASES:
            return self.load.volts(LOAD_PHASES.index(source), self.agenda.now_ns)
        if source is Analog.TEMPERATURE:
            return self.thermometer(sensor)
        if source is Analog.LOAD_CURRENT:
            return max(self.mains.amps)
        return self.mains.volts(0) if source is Analog.MAINS_VOLTAGE else 0.0

    def thermometer(self, sensor: str) -> float:
        """Return what one thermometer shows at the plant's present instant, in °C."""
        return self.fault_injection.thermometers.show(sensor, self.agenda.now_ns)

    def meter(self) -> MeterRegisters:
        """Return the energy meter's registers at the plant's present instant."""
        self._integrate()
        return self.energy_meter.registers(self.agenda.now_ns)

    # What happens to it.

    def apply(self, verb: str, args: Mapping[str, Any], now_ns: int) -> None:
        """Let a verb happen now.

        Raises: ValueError naming the verb or argument and what is allowed.
        """
        self.check(verb)
        self.advance(now_ns)
        invoke(self._verbs[verb], args, verb)
        self.settle()

    def hold_card(self, uid: str = "") -> None:
        """Hold a card with that identifier, in hex digits, to the reader, or take it away."""
        try:
            self.card = bytes.fromhex(uid).hex()
        except ValueError:
            raise ValueError(f"uid {uid!r}: allowed are pairs of hex digits") from None

    def verbs(self) -> list[tuple[str, list[str]]]:
        """Return every verb with the names of its arguments."""
        return [(name, arguments(verb)) for name, verb in self._verbs.items()]

    def argument_types(self) -> dict[str, dict[str, str]]:
        """Return of every verb what its arguments may be; their units are in their names."""
        return {name: argument_types(verb) for name, verb in self._verbs.items()}

    def check(self, verb: str) -> None:
        """Refuse what is no verb. Raises: ValueError naming the verbs."""
        if verb not in self._verbs:
            raise ValueError(f"verb {verb!r}: allowed are {', '.join(sorted(self._verbs))}")

    def state(self) -> dict[str, Any]:
        """Return the present state as plain data."""
        meter, form = self.meter(), self.wire.present
        return {
            "now_ns": self.agenda.now_ns,
            "pilot_high_mv": round(form.high_v * 1000),
            "pilot_low_mv": round(form.low_v * 1000),
            "duty_ppm": self.duty_ppm,
            "drives": {str(line): active for line, active in self.drives.items()},
            "senses": {str(line): self.sense(line) for line in Sense},
            "coil": self.contactor.coil.name.lower(),
            "poles": list(self.contactor.closed),
            "closings": self.contactor.closings,
            "openings_under_load": self.openings_under_load,
            "vehicle": {
                "plugged": self.vehicle.plugged,
                "s2": str(self.vehicle.s2),
                "asleep": self.vehicle.asleep,
                "drawing": self.vehicle.drawing,
                "allowed_ma": self.vehicle.allowed_ma,
                "demand_ma": self.vehicle.demand_ma,
                "cable_ma": self.vehicle.cable_ma,
                "insistent": self.vehicle.insistent,
                "battery_percent": self.vehicle.battery_percent,
                "battery_mwh": self.vehicle.battery_mwh,
                "identifier": self.vehicle.identifier,
            },
            "card": self.card,
            "bolted": self.lock.bolted,
            "rcd_trips": self.rcd.trips,
            "current_ma": [round(1000 * amps) for amps in meter.amps],
            "voltage_mv": [round(1000 * volts) for volts in meter.volts],
            "power_mw": round(1000 * meter.total_watts),
            "energy_mwh": round(1e6 * meter.total_kwh),
            "temperatures": dict(self.temperatures),
        }

    # How it hangs together.

    def settle(self) -> None:
        """Bring everything that follows from something else up to date; called after every change."""
        self._integrate()
        self.contactor.feed(self._coil())
        cut = self.drives[Drive.PILOT_CUT] or not self.fault_injection.earth
        duty_ppm = self.fault_injection.stage_ppm(self.duty_ppm)
        self.vehicle.observe(PilotView(duty_ppm, connected=not cut), live=self._live)
        self._load_mains()
        self._release_upstream()
        self.load.settle()
        closed = any(self.contactor.closed)
        self.rcd.feel(*(self.fault_injection.leak_ma if closed else (0.0, 0.0)))
        load = PilotLoad() if cut else self.vehicle.load()
        worn_v = self.fault_injection.suppressor_v
        self._shape_pilot(duty_ppm, load if worn_v is None else replace(load, clamp_v=worn_v))
        self._record(duty_ppm)

    @property
    def _live(self) -> bool:
        return any(closed and self.mains.present[pole] for pole, closed in enumerate(self.contactor.closed))

    @property
    def weld_relay_closed(self) -> bool:
        """Whether the contact towards the shunt release is closed."""
        stuck = self.fault_injection.weld_relay
        return self.drives[Drive.WELD_OUTPUT] if stuck is None else stuck

    def _release_upstream(self) -> None:
        """Let the shunt release trip the switch ahead of the box for as long as the relay is closed."""
        if not self.weld_relay_closed:
            self.agenda.cancel("upstream.release")
        elif not self.agenda.pending("upstream.release") and any(self.mains.present):
            self.agenda.after("upstream.release", self.settings.upstream_ns, self._trip_upstream)

    def _trip_upstream(self) -> None:
        self.mains.present = [False] * self.settings.mains.phases
        self.settle()

    def _coil(self) -> Coil:
        faults = self.fault_injection
        stopped = faults.stop_pressed and self.settings.stop_cuts_coil
        latched = self.rcd.cuts and not faults.latch_cut
        self.coil.set(
            self.agenda.now_ns,
            CoilState(
                0.0 if stopped else faults.coil_mv / 1000,
                gate=_conducts(faults.gate, driven=self._fed),
                returned=_conducts(faults.coil_return, driven=self.drives[Drive.CONTACTOR] and not latched),
                whole=not faults.coil_broken,
            ),
        )
        strength = self.coil.state.strength
        boosted = self.drives[Drive.CONTACTOR_BOOST] or not self.settings.economiser
        return Coil.HOLD if strength is Coil.FULL and not boosted else strength

    @property
    def _fed(self) -> bool:
        dog = self.settings.watchdog
        return dog is None or dog.trips_rcd or self.agenda.pending("watchdog.starve")

    def _feed_watchdog(self) -> None:
        dog = self.settings.watchdog
        if dog is None:
            return
        was_fed = self._fed
        stretched_ms = self.fault_injection.gate_hold_ms
        hold_ns = self.gate_hold_ns if stretched_ms is None else stretched_ms * MS
        self.agenda.after("watchdog.starve", hold_ns, self._starve)
        if not was_fed:
            self.settle()

    def _starve(self) -> None:
        if self.settings.watchdog is not None and self.settings.watchdog.trips_rcd and self.drives[Drive.CONTACTOR]:
            self.rcd.trip()
        self.settle()

    def _load_mains(self) -> None:
        closed, amps = self.contactor.closed, self.vehicle.current_ma() / 1000
        wanted = [
            amps if closed[phase] and self.mains.present[phase] and phase < self.vehicle.settings.phases else 0.0
            for phase in range(self.settings.mains.phases)
        ]
        if not any(closed) and any(self.mains.amps):
            self.openings_under_load += 1
        self.mains.amps = wanted
        flowed_mwh, self._flowed_mwh = self._flowed_mwh, 0.0
        self.vehicle.charge(flowed_mwh, 1000 * sum(map(self.mains.watts, range(len(wanted)))))

    def _integrate(self) -> None:
        span_ns, self._energy_ns = self.agenda.now_ns - self._energy_ns, self.agenda.now_ns
        self._flowed_mwh += 1000 * self.mains.flow(span_ns)
        self.energy_meter.count(span_ns)

    def _shape_pilot(self, duty_ppm: int, load: PilotLoad) -> None:
        motion = self.fault_injection.motion
        seen = (duty_ppm, self.period_ns, load, self.fault_injection.generator, *motion.values())
        if seen != self._seen:
            self._seen = seen
            generator, now_ns = sagged(self.fault_injection.generator, load, duty_ppm), self.agenda.now_ns
            self.rails[0].set(now_ns, generator.positive_v, motion[PilotRail.POSITIVE])
            self.rails[1].set(now_ns, generator.negative_v, motion[PilotRail.NEGATIVE])
            self.wire.set(now_ns, waveform(generator, load, duty_ppm, self.period_ns, self.settings.input_filter_s))

    def _cable_ohm(self) -> float | None:
        if self.fault_injection.proximity_ohm is not None:
            return self.fault_injection.proximity_ohm
        return None if self.vehicle.cable_ma is None else PROXIMITY_OHM[self.vehicle.cable_ma]

    def _record(self, duty_ppm: int) -> None:
        now_ns, record = self.agenda.now_ns, self.history.record
        for line, active in self.drives.items():
            if line is not Drive.WATCHDOG:
                record(now_ns, line, active)
        record(now_ns, "duty_ppm", duty_ppm)
        record(now_ns, "coil", self.contactor.coil.value)
        record(now_ns, "poles", sum(self.contactor.closed))
        record(now_ns, "plugged", self.vehicle.plugged)
        record(now_ns, "s2", ("open", "closed", "ventilated").index(self.vehicle.s2))
        record(now_ns, "current_ma", round(1000 * max(self.mains.amps)))
        for sense in Sense:
            record(now_ns, sense, self.sense(sense))

    def _verb_table(self) -> dict[str, Callable[..., None]]:
        car = self.vehicle
        verbs: list[Callable[..., None]] = [
            car.plug_in, car.unplug, car.close_s2, car.open_s2, car.ask_ventilation, car.draw, car.want, car.auto,
            car.insist, car.ignore_pwm_stop, car.ignore_offer, car.short_pilot, car.clear_short, car.remove_diode,
            car.restore_diode, car.fit_resistors, car.flap, car.sleep, car.wake, car.tell_battery, car.tell_identifier,
            self.hold_card,
        ]  # fmt: skip
        return {verb.__name__: verb for verb in verbs} | self.fault_injection.verbs()


def _conducts(fault: SwitchFault | None, *, driven: bool) -> bool:
    """Return whether a switch of the coil conducts."""
    return driven if fault is None else fault is SwitchFault.SHORTED
