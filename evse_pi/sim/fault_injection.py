"""What can go wrong with the plant, as verbs; each of them can be undone by `repair`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from evse_pi.sim.circuit import FULL_PPM
from evse_pi.sim.coil_circuit import NOMINAL_MV, SwitchFault
from evse_pi.sim.load_side import Capacitors, LoadSenseFault
from evse_pi.sim.lock_model import LockFault  # noqa: TC001 - verbs' annotations are read at run time
from evse_pi.sim.meter_model import MeterFault  # noqa: TC001
from evse_pi.sim.plant_settings import within
from evse_pi.sim.rails import STILL
from evse_pi.sim.residual import RcdFault  # noqa: TC001
from evse_pi.sim.signals import Analog, I2cFault, PilotRail, Sense
from evse_pi.sim.thermometers import Thermometers

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.sim.plant import Plant


class FaultInjection:
    """The faults that are in the plant now."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._begun_ns = plant.agenda.now_ns
        self._reset()

    def _reset(self) -> None:
        self.generator = self._plant.settings.generator
        self.motion = dict.fromkeys(PilotRail, STILL)
        self.stage_duty_ppm: int | None = None
        self.stage_late_ppm = 0
        self.senses: dict[Sense, bool] = {}
        self.stuck_mv: dict[Analog, int] = {}
        self.drift: dict[Analog, tuple[int, int]] = {}  # offset in mV at the converter, gain in ppm
        self.reference_ppm = FULL_PPM
        self.selected: Analog | None = None
        self.leak_ma = (0.0, 0.0)
        self.proximity_ohm: float | None = None
        self.earth = True
        self.stop_pressed = False
        self.suppressor_v: float | None = None
        self.coil_broken = False
        self.coil_mv = NOMINAL_MV
        self.gate: SwitchFault | None = None
        self.gate_hold_ms: int | None = None
        self.coil_return: SwitchFault | None = None
        self.latch_cut = False
        self.thermometers = Thermometers(self._plant.temperatures, self._plant.settings.ambient_swing_c, self._begun_ns)
        self.i2c: I2cFault | None = None
        self.weld_relay: bool | None = None

    def verbs(self) -> dict[str, Callable[..., None]]:
        """Return the verbs by name."""
        verbs: list[Callable[..., None]] = [
            self.weld, self.dry, self.leave_charge, self.feed_back, self.break_load_sense, self.stick_weld_output,
            self.break_coil, self.supply_coil, self.break_gate, self.stretch_gate, self.break_return, self.cut_latch,
            self.stick_mirror, self.stick_sense,
            self.supply_pilot, self.ramp_supply, self.disturb_supply, self.kill_pwm_stage, self.shift_duty,
            self.disturb_pilot, self.soften_suppressor, self.lose_earth, self.stick_adc, self.drift_adc,
            self.drift_reference,
            self.hang_multiplexer, self.set_proximity, self.leak, self.break_rcd, self.trip_rcd, self.break_lock,
            self.press_stop, self.set_temperature, self.freeze_thermometer, self.stick_thermometer,
            self.toss_thermometer, self.break_i2c, self.set_voltage, self.lose_phase, self.set_frequency,
            self.swap_live_neutral, self.earth_phase, self.order_phases, self.freeze_meter, self.reverse_meter,
            self.disconnect_meter, self.scale_meter_power, self.step_meter_energy, self.break_meter_line, self.repair,
        ]  # fmt: skip
        return {verb.__name__: verb for verb in verbs}

    # Contactor.

    def weld(self, poles: tuple[int, ...] | None = None) -> None:
        """Weld main contacts: some phases, or without `poles` all of them and the neutral."""
        every = range(self._plant.settings.mains.phases)
        chosen = frozenset(every if poles is None else poles)
        if not chosen <= set(every):
            raise ValueError(f"poles {sorted(chosen)}: allowed are {list(every)}")
        self._plant.contactor.welded, self._plant.contactor.neutral_welded = chosen, poles is None

    def dry(self, on: bool = True) -> None:
        """Let the armature move without closing the main contacts."""
        self._plant.contactor.dry = on

    def leave_charge(self, microfarad: float = 2.2, bleeder_ohm: float | None = None) -> None:
        """Let the vehicle's capacitors keep the peak of the mains after the next opening, with a bleeder or none."""
        within("microfarad", microfarad, 0, 100)
        within("bleeder_ohm", bleeder_ohm or 1, 1, 100_000_000)
        self._plant.load.capacitors = Capacitors(microfarad / 1e6, bleeder_ohm)

    def feed_back(self, ms: int = 0) -> None:
        """Let the vehicle feed alternating voltage back for so long after the next opening."""
        within("ms", ms, 0, 60_000)
        self._plant.load.feed_ns = ms * 1_000_000

    def break_load_sense(self, how: LoadSenseFault | None = None, phase: int | None = None) -> None:
        """Break the sense of one phase behind the contactor, or of all; without `how` it works again."""
        for each in self._phases(phase):
            if how is None:
                self._plant.load.broken.pop(each, None)
            else:
                self._plant.load.broken[each] = how

    def stick_weld_output(self, closed: bool | None = None) -> None:
        """Let the relay of the weld output stay closed or open; without an argument it works again."""
        self.weld_relay = closed

    def break_coil(self, on: bool = True) -> None:
        """Break the winding of the coil."""
        self.coil_broken = on

    def supply_coil(self, mv: int = NOMINAL_MV) -> None:
        """Move the supply of the coil: 0 is lost, the contactor may let go below 18,000 and pulls in from 20,400."""
        within("mv", mv, 0, 40_000)
        self.coil_mv = mv

    def break_gate(self, how: SwitchFault | None = None) -> None:
        """Break the switch that the watchdog's pulses hold; without an argument it works again."""
        self.gate = how

    def stretch_gate(self, ms: int | None = None) -> None:
        """Let the gate hold for so long after a pulse; without an argument as long as its parts make it."""
        within("ms", ms or 1, 1, 10_000)
        self.gate_hold_ms = ms

    def break_return(self, how: SwitchFault | None = None) -> None:
        """Break the switch at the coil's return; without an argument it works again."""
        self.coil_return = how

    def cut_latch(self, on: bool = True) -> None:
        """Cut the residual current device's latch from the coil: it trips and takes nothing away."""
        self.latch_cut = on

    def stick_mirror(self, closed: bool | None = None) -> None:
        """Let the mirror contact say closed or open for ever; without an argument it works again."""
        self._plant.contactor.mirror_stuck = closed

    def stick_sense(self, line: Sense, value: bool | None = None) -> None:
        """Hold one input at a value; without one it works again."""
        if value is None:
            self.senses.pop(line, None)
        else:
            self.senses[line] = value

    # Pilot and converter.

    def supply_pilot(
        self,
        positive_mv: int = 12_000,
        negative_mv: int = -12_000,
        source_ohm: int = 1_000,
        positive_ohm: int = 0,
        negative_ohm: int = 0,
    ) -> None:
        """Move the rails and the source resistor of the pilot, or put resistance ahead of a rail's capacitor."""
        within("source_ohm", source_ohm, 1, 1_000_000)
        within("positive_ohm", positive_ohm, 0, 1_000_000)
        within("negative_ohm", negative_ohm, 0, 1_000_000)
        self.generator = replace(
            self.generator,
            positive_v=positive_mv / 1000,
            negative_v=negative_mv / 1000,
            source_ohm=float(source_ohm),
            positive_ohm=float(positive_ohm),
            negative_ohm=float(negative_ohm),
        )

    def ramp_supply(self, rail: PilotRail, to_mv: int = 12_000, over_ms: int = 1_000) -> None:
        """Let one rail of the pilot walk to a voltage, where it stays."""
        within("over_ms", over_ms, 0, 86_400_000)
        generator = self.generator
        level_v = generator.positive_v if rail is PilotRail.POSITIVE else generator.negative_v
        self.motion[rail] = replace(
            self.motion[rail],
            change_v=to_mv / 1000 - level_v,
            begun_ns=self._plant.agenda.now_ns,
            over_ns=over_ms * 1_000_000,
        )

    def disturb_supply(
        self, rail: PilotRail, ripple_v: float = 0.0, ripple_hz: float = 100.0, noise_v: float = 0.0
    ) -> None:
        """Put ripple, peak to peak, and noise on one rail of the pilot."""
        within("ripple_hz", ripple_hz, 0, 1_000_000)
        self.motion[rail] = replace(self.motion[rail], ripple_v=ripple_v, ripple_hz=ripple_hz, noise_v=noise_v)

    def kill_pwm_stage(self, stuck_duty_ppm: int | None = 1_000_000) -> None:
        """Let the driver stage keep a duty cycle whatever the controller asks; null revives it."""
        within("stuck_duty_ppm", stuck_duty_ppm or 0, 0, FULL_PPM)
        self.stage_duty_ppm = stuck_duty_ppm

    def shift_duty(self, ppm: int = 0) -> None:
        """Let the driver stage turn off late by so much of the period, or early, whatever duty cycle it gets."""
        within("ppm", ppm, -FULL_PPM, FULL_PPM)
        self.stage_late_ppm = ppm

    def stage_ppm(self, duty_ppm: int) -> int:
        """Return the duty cycle that the driver stage makes of one; a level without edges stays what it is."""
        if self.stage_duty_ppm is not None:
            return self.stage_duty_ppm
        return min(max(duty_ppm + self.stage_late_ppm, 0), FULL_PPM) if 0 < duty_ppm < FULL_PPM else duty_ppm

    def disturb_pilot(
        self,
        noise_v: float = 0.02,
        offset_v: float = 0.0,
        ripple_v: float = 0.0,
        spike_v: float = 0.0,
        spike_share: float = 0.0,
    ) -> None:
        """Set noise, offset, ripple and spikes of the pilot at the sampling point."""
        self._plant.wire.disturb(
            noise_v=noise_v, offset_v=offset_v, ripple_v=ripple_v, spike_v=spike_v, spike_share=spike_share
        )

    def soften_suppressor(self, volts: float | None = None) -> None:
        """Let a worn suppressor at the pilot conduct from so many volts on; without a number it is new again."""
        within("volts", volts or 0, 0, 100)
        self.suppressor_v = volts

    def lose_earth(self, on: bool = True) -> None:
        """Cut the protective conductor between box and car: the pilot loses its return."""
        self.earth = not on

    def stick_adc(self, source: Analog, mv: int | None = None) -> None:
        """Hold one converter input at a voltage; without one it works again."""
        if mv is None:
            self.stuck_mv.pop(source, None)
        else:
            self.stuck_mv[source] = mv

    def drift_adc(self, source: Analog, offset_mv: int = 0, gain_ppm: int = 1_000_000) -> None:
        """Shift and scale what one converter input gets."""
        self.drift[source] = (offset_mv, gain_ppm)

    def drift_reference(self, ppm: int = FULL_PPM) -> None:
        """Let the converter's reference be off, and every input with it but the ratiometric proximity."""
        within("ppm", ppm, 1, 10 * FULL_PPM)
        self.reference_ppm = ppm

    def hang_multiplexer(self, source: Analog | None = None) -> None:
        """Let the converter see one input whichever is asked for; without one it works again."""
        self.selected = source

    def set_proximity(self, ohm: float | None = None) -> None:
        """Put a resistor at the proximity contact; without one the cable decides again."""
        within("ohm", ohm or 0, 0, 1_000_000)
        self.proximity_ohm = ohm

    # Protection.

    def leak(self, dc_ma: float = 0.0, ac_ma: float = 0.0) -> None:
        """Let residual current flow behind the contactor."""
        self.leak_ma = (dc_ma, ac_ma)

    def break_rcd(self, how: RcdFault, on: bool = True) -> None:
        """Break the residual current device in one way, or mend that."""
        faults = self._plant.rcd.faults
        (faults.add if on else faults.discard)(how)

    def trip_rcd(self) -> None:
        """Trip the residual current device now."""
        self._plant.rcd.trip()

    def break_lock(self, how: LockFault | None = None) -> None:
        """Break the connector lock; without an argument it works again."""
        self._plant.lock.fault = how

    def press_stop(self, on: bool = True) -> None:
        """Press the emergency stop, or pull it out again."""
        self.stop_pressed = on

    def set_temperature(self, celsius: float, sensor: str = "board") -> None:
        """Bring one sensor to a temperature."""
        within("celsius", celsius, -100, 200)
        self._plant.temperatures[self._sensor(sensor)] = celsius

    def freeze_thermometer(self, sensor: str = "board", on: bool = True) -> None:
        """Let one thermometer show the value of this moment for ever."""
        shown = self._plant.thermometer(self._sensor(sensor)) if on else None
        self.thermometers.stick(sensor, shown)

    def stick_thermometer(self, sensor: str = "board", celsius: float | None = None) -> None:
        """Let one thermometer show this value for ever, such as -0.0625 of a bus that is held high; without one not."""
        within("celsius", celsius or 0, -100, 200)
        self.thermometers.stick(self._sensor(sensor), celsius)

    def toss_thermometer(self, sensor: str = "board", celsius: float = 0.0) -> None:
        """Let every second look at one thermometer be off by so much; 0 ends that."""
        within("celsius", celsius, -200, 200)
        self.thermometers.toss(self._sensor(sensor), celsius)

    def break_i2c(self, how: I2cFault | None = None) -> None:
        """Break the I2C bus of the thermometers in one way; without one it works again."""
        self.i2c = how

    def _sensor(self, name: str) -> str:
        known = self._plant.temperatures
        if name not in known:
            raise ValueError(f"sensor {name!r}: allowed are {', '.join(known)}")
        return name

    # Mains and meter.

    def set_voltage(self, volts: float, phase: int | None = None) -> None:
        """Set the open circuit voltage of one phase, or of all."""
        within("volts", volts, 0, 1_000)
        for each in self._phases(phase):
            self._plant.mains.open_volts[each] = volts

    def lose_phase(self, phase: int | None = None, on: bool = True) -> None:
        """Take one phase away, or all, or give it back."""
        for each in self._phases(phase):
            self._plant.mains.present[each] = not on

    def set_frequency(self, hz: float) -> None:
        """Set the mains frequency."""
        within("hz", hz, 0, 1_000)
        self._plant.mains.hertz = hz

    def swap_live_neutral(self, on: bool = True) -> None:
        """Swap live and neutral in front of the box."""
        self._plant.mains.swapped = on

    def earth_phase(self, phase: int | None = None) -> None:
        """Let one phase of a supply without an earthed point touch earth; without one the fault is gone."""
        self._plant.mains.earthed = None if phase is None else self._phases(phase)[0]

    def order_phases(self, order: tuple[int, ...]) -> None:
        """Connect the meter's phases in another order, given from 0."""
        if sorted(order) != list(range(self._plant.settings.mains.phases)):
            raise ValueError(f"order {list(order)}: allowed is any order of {self._plant.settings.mains.phases} phases")
        self._plant.energy_meter.order = order

    def freeze_meter(self, on: bool = True) -> None:
        """Let the meter answer with the values of this moment for ever."""
        self._plant.energy_meter.frozen = self._plant.meter() if on else None

    def reverse_meter(self, phase: int | None = None, on: bool = True) -> None:
        """Send the current of one phase, or of all, the other way through the meter: it counts as export."""
        meter, chosen = self._plant.energy_meter, frozenset(self._phases(phase))
        meter.backwards = meter.backwards | chosen if on else meter.backwards - chosen

    def disconnect_meter(self, phase: int | None = None, on: bool = True) -> None:
        """Leave one phase of the meter, or all, without voltage and current; the vehicle goes on drawing."""
        meter, chosen = self._plant.energy_meter, frozenset(self._phases(phase))
        meter.missing = meter.missing | chosen if on else meter.missing - chosen

    def scale_meter_power(self, ppm: int = FULL_PPM) -> None:
        """Let the meter show its powers so many millionths of what they are: 1,000 is a meter that shows kW."""
        within("ppm", ppm, 0, 1_000 * FULL_PPM)
        self._plant.energy_meter.power_scale = ppm / FULL_PPM

    def step_meter_energy(self, kwh: float = 0.0) -> None:
        """Let the meter's counter be off by so much: it jumps, or falls, and not below 0."""
        within("kwh", kwh, -10_000_000, 10_000_000)
        self._plant.energy_meter.step_kwh = kwh

    def break_meter_line(self, how: MeterFault | None = None) -> None:
        """Let what comes over the meter's line go wrong in one way; without one it is right again."""
        self._plant.energy_meter.line_fault = how

    def repair(self) -> None:
        """Undo every fault; latches stay as they are."""
        plant = self._plant
        self._reset()
        plant.contactor.welded, plant.contactor.neutral_welded = frozenset(), False
        plant.contactor.dry, plant.contactor.mirror_stuck = False, None
        plant.rcd.faults.clear()
        plant.lock.fault = None
        plant.load.repair()
        plant.wire.disturb(**asdict(plant.settings.disturbance))
        plant.mains.restore()
        plant.energy_meter.restore()
        plant.temperatures.update(plant.settings.temperatures)

    def _phases(self, phase: int | None) -> range:
        count = self._plant.settings.mains.phases
        if phase is None:
            return range(count)
        if not 0 <= phase < count:
            raise ValueError(f"phase {phase}: allowed is 0 to {count - 1}")
        return range(phase, phase + 1)
