"""The words of the faults in English: what each is called, what was seen, what to do, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr
from evse_pi.core.fault_kinds import Clear, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULT_TITLES: Mapping[Fault, str] = {
    Fault.INTERNAL: tr("the software of the box failed"),
    Fault.PILOT_SHORT: tr("the control pilot is shorted to earth"),
    Fault.PILOT_DIODE: tr("the vehicle's diode is missing"),
    Fault.PILOT_OUT_OF_BAND: tr("the control pilot shows no state"),
    Fault.PILOT_SUPPLY: tr("the control pilot's supply is not what it should be"),
    Fault.PILOT_GENERATOR: tr("the control pilot does not show what is driven"),
    Fault.PILOT_DUTY: tr("the control pilot offers another current than it is told to"),
    Fault.PILOT_UNCERTAIN: tr("the control pilot is too noisy"),
    Fault.VENTILATION_REQUIRED: tr("the vehicle asks for ventilation"),
    Fault.CONTACTOR_WELDED: tr("the contactor does not open"),
    Fault.CONTACTOR_FAILED_TO_CLOSE: tr("the contactor does not close"),
    Fault.CONTACTOR_CHANNEL: tr("one of the two switches of the contactor's coil is broken"),
    Fault.SUPPLY_24V: tr("the supply of the contactor's coil is missing"),
    Fault.RCD_TRIPPED: tr("residual current flowed"),
    Fault.RCD_TEST_FAILED: tr("the residual current device failed its test"),
    Fault.RCD_TRIPS_REPEATED: tr("residual current flows again and again"),
    Fault.EMERGENCY_STOP: tr("the emergency stop is pressed"),
    Fault.PROXIMITY_INVALID: tr("the cable cannot be recognised"),
    Fault.CABLE_REMOVED: tr("the plug left the socket"),
    Fault.LOCK_FAILED: tr("the plug cannot be locked or unlocked"),
    Fault.OVERCURRENT: tr("the vehicle drew more than was offered"),
    Fault.OVERVOLTAGE: tr("the supply voltage is too high"),
    Fault.UNDERVOLTAGE: tr("the supply voltage is too low"),
    Fault.METER_STALE: tr("the meter is silent"),
    Fault.POWER_QUALITY: tr("a phase is missing"),
    Fault.LIVE_NEUTRAL_SWAP: tr("line and neutral are swapped"),
    Fault.PHASE_LOST: tr("a phase does not come through the contactor"),
    Fault.SUPPLY_LOST: tr("no mains comes through the contactor"),
    Fault.WELD_OUTPUT_FAILED: tr("the weld output's relay is not where it should be"),
    Fault.OVER_TEMPERATURE: tr("the box is too hot"),
    Fault.TEMPERATURE_STALE: tr("the thermometer is silent"),
    Fault.TIMING_BUDGET: tr("the box reacts too slowly"),
    Fault.SELF_TEST_FAILED: tr("the self-test failed"),
    Fault.OUTPUTS_PERSIST: tr("the kernel would hold the contactor after a crash"),
    Fault.INSTALLATION_INVALID: tr("the installer's settings cannot be used"),
    Fault.PILOT_ADC_FAILED: tr("the pilot's converter does not answer"),
    Fault.PILOT_PWM_FAILED: tr("the pilot's generator does not answer"),
    Fault.CONTACTOR_DRIVE_FAILED: tr("the contactor's output cannot be driven"),
    Fault.RCD_DRIVE_FAILED: tr("the residual current device does not answer"),
    Fault.PROXIMITY_READ_FAILED: tr("the proximity input does not answer"),
    Fault.LOCK_DRIVE_FAILED: tr("the connector lock does not answer"),
    Fault.EMERGENCY_STOP_READ_FAILED: tr("the emergency stop's input does not answer"),
    Fault.VOLTAGE_SENSE_FAILED: tr("the voltage sense cannot be used"),
    Fault.WATCHDOG_DRIVE_FAILED: tr("the hardware watchdog does not answer"),
}
FAULT_HINTS: Mapping[Fault, str] = {
    Fault.INTERNAL: (
        tr("The software met what it did not expect and stopped: keep the report of this box and send it to us.")
    ),
    Fault.PILOT_SHORT: tr(
        "Control pilot and earth are connected: unplug; if it stays, look for moisture and a cut cable."
    ),
    Fault.PILOT_DIODE: (
        tr(
            "The negative half of the pilot is loaded: no vehicle answers like this; try another vehicle, "
            "check the cable."
        )
    ),
    Fault.PILOT_OUT_OF_BAND: (
        tr("The pilot voltage fits no state: check earth and pilot contacts of cable and inlet, then unplug.")
    ),
    Fault.PILOT_GENERATOR: (
        tr(
            "The pilot does not show what is driven: measure +12 V and -12 V of the board, check the PWM "
            "pin and overlay."
        )
    ),
    Fault.PILOT_DUTY: (
        tr(
            "The pilot offers more or less current than it is told to: measure its duty cycle at the plug, check the "
            "generator's switch and the PWM pin, then unplug."
        )
    ),
    Fault.PILOT_UNCERTAIN: (
        tr("The pilot is too noisy to be read: check the pilot's ground, its shielding and the 12 V supplies.")
    ),
    Fault.VENTILATION_REQUIRED: (
        tr("The vehicle asks for ventilation, which this installation does not have: charge it elsewhere.")
    ),
    Fault.CONTACTOR_WELDED: (
        tr(
            "Switch off the supply and replace the contactor: its contacts stayed closed, or its mirror "
            "contact is stuck."
        )
    ),
    Fault.CONTACTOR_FAILED_TO_CLOSE: (
        tr("The contactor was told to close and no contact was seen: check coil supply, coil and mirror contact.")
    ),
    Fault.CONTACTOR_CHANNEL: (
        tr("Have the board repaired: one switch alone still opens the contactor, and if it fails the plug stays live.")
    ),
    Fault.SUPPLY_24V: (
        tr(
            "Measure the 24 V of the coil at the board: look at its converter, a thermal cut-out or "
            "emergency stop in its "
            "line, the coil's wires, and whether the return switch is shorted."
        )
    ),
    Fault.RCD_TRIPPED: (
        tr("Residual current flowed: look for moisture or damage in cable, plug and vehicle, then acknowledge.")
    ),
    Fault.RCD_TEST_FAILED: (
        tr("The residual current device did not trip or reset when tested: check its wiring, replace it if it repeats.")
    ),
    Fault.EMERGENCY_STOP: (
        tr("Release the emergency stop button, then unplug the vehicle or acknowledge; if not pressed, check its wire.")
    ),
    Fault.PROXIMITY_INVALID: (
        tr("The cable's coding resistor is out of range: try another cable; clean the proximity contact of the socket.")
    ),
    Fault.CABLE_REMOVED: (
        tr("Proximity was lost while the vehicle was connected: the plug left the socket, or the cable is cut.")
    ),
    Fault.LOCK_FAILED: (
        tr(
            "The connector lock did not move: push the plug fully in, then acknowledge; check motor and "
            "feedback contact."
        )
    ),
    Fault.OVERCURRENT: (
        tr(
            "The vehicle drew more than it was offered, and again at less, or far too much: read its limit, "
            "compare the "
            "meter, then unplug or acknowledge."
        )
    ),
    Fault.OVERVOLTAGE: tr("The supply voltage is too high: measure it at the terminals; a loose neutral is dangerous."),
    Fault.UNDERVOLTAGE: (
        tr("The supply voltage is too low: check terminals and the cross-section of the supply, or lower the capacity.")
    ),
    Fault.METER_STALE: tr("No fresh meter reading for 15 s: check the meter's bus, address and supply."),
    Fault.POWER_QUALITY: tr("A phase is missing: check fuses and the supply terminals."),
    Fault.PHASE_LOST: (
        tr(
            "A phase is dead behind the closed contactor: check fuses and supply terminals; if the meter shows it, the "
            "contactor's pole or its sense is broken."
        )
    ),
    Fault.SUPPLY_LOST: (
        tr(
            "There is no mains behind the closed contactor: check the switch ahead of the box; charging "
            "goes on by itself "
            "when it is back."
        )
    ),
    Fault.WELD_OUTPUT_FAILED: (
        tr(
            "The relay that trips the switch ahead of the box does not follow its order: check relay, "
            "readback and line."
        )
    ),
    Fault.LIVE_NEUTRAL_SWAP: tr("Switch off the supply and correct line and neutral at the supply terminals."),
    Fault.OVER_TEMPERATURE: (
        tr("Let the box cool; check terminals for loose screws, and whether sun or an enclosure heats it.")
    ),
    Fault.TEMPERATURE_STALE: tr("No fresh temperature for 15 s: check the temperature sensor and its bus."),
    Fault.TIMING_BUDGET: (
        tr(
            "The box reacts too slowly to be safe: end other programs on it, check real-time priority and "
            "CPU frequency."
        )
    ),
    Fault.SELF_TEST_FAILED: (
        tr(
            "The self-test could not be finished and is repeated every minute: read its evidence, correct "
            "what is missing."
        )
    ),
    Fault.OUTPUTS_PERSIST: (
        tr("The kernel would hold the contactor after a crash: set dtparam=strict_gpiod in config.txt and reboot.")
    ),
    Fault.INSTALLATION_INVALID: tr(
        "installation.toml is missing or holds what is not allowed; run: sudo evse-pi setup."
    ),
    Fault.PILOT_ADC_FAILED: tr("The pilot converter does not answer: check the SPI overlay, chip select and wiring."),
    Fault.PILOT_PWM_FAILED: tr("The pilot generator does not answer: check the PWM overlay and the pin."),
    Fault.CONTACTOR_DRIVE_FAILED: (
        tr(
            "The contactor's output cannot be driven: check the line in the board file and who else uses "
            "it, then restart."
        )
    ),
    Fault.RCD_DRIVE_FAILED: tr("The residual current device does not answer: check its lines."),
    Fault.PROXIMITY_READ_FAILED: tr("The proximity input does not answer: check the converter and its channel."),
    Fault.LOCK_DRIVE_FAILED: tr("The connector lock does not answer: check its lines and supply."),
    Fault.EMERGENCY_STOP_READ_FAILED: tr("The emergency stop input does not answer: check its line."),
    Fault.VOLTAGE_SENSE_FAILED: (
        tr(
            "The voltage sense does not answer, or shows a voltage that no vehicle keeps: check its line, "
            "resistors and "
            "input."
        )
    ),
    Fault.WATCHDOG_DRIVE_FAILED: tr("The hardware watchdog does not answer: check its line."),
    Fault.PILOT_SUPPLY: (
        tr(
            "Measure +12 V and -12 V of the pilot's generator at its switch and look for a loose joint or a "
            "weak supply; "
            "after the third time with one vehicle it must also be unplugged."
        )
    ),
    Fault.RCD_TRIPS_REPEATED: (
        tr("Residual current flowed again after it was acknowledged three times: have insulation and vehicle measured.")
    ),
}
DRIVER_ERROR = tr("The driver of this device raised an error.")
FAULT_SEEN: Mapping[Fault, str] = {
    Fault.PILOT_SHORT: tr("The pilot was shorted to earth {where}; its plateaus were {plateaus}."),
    Fault.PILOT_DIODE: (
        tr(
            "The negative half of the pilot stood at {low} while -12 V were driven; with the diode of a "
            "vehicle it stays "
            "at -12 V. {cause_of_low}"
        )
    ),
    Fault.PILOT_OUT_OF_BAND: tr("The pilot's plateaus were {plateaus}, none of the states A to F.{drift}"),
    Fault.PILOT_SUPPLY: (
        tr(
            "The supplies of the pilot's generator stood at {supply}, and the pilot at {plateaus}: no "
            "vehicle can be read "
            "on that."
        )
    ),
    Fault.PILOT_GENERATOR: (
        tr(
            "The box drove {driven} and read {plateaus}: generator, supply or the calibration of the "
            "converter is wrong."
        )
    ),
    Fault.PILOT_DUTY: (
        tr(
            "The box drove {driven}, and twice the duty cycle of the pilot was off by more than two points "
            "over a second."
        )
    ),
    Fault.PILOT_UNCERTAIN: tr("The samples of one plateau scattered over {spread}; 0.50 V are allowed."),
    Fault.VENTILATION_REQUIRED: tr("The vehicle showed state D: the pilot stood at {high}."),
    Fault.CONTACTOR_WELDED: tr("The contactor was told to open, and {still_closed}."),
    Fault.CONTACTOR_FAILED_TO_CLOSE: tr("The contactor was told to close, and {still_open}."),
    Fault.CONTACTOR_CHANNEL: (
        tr("A switch of the contactor's coil did otherwise than it was told, which the other one hid.")
    ),
    Fault.SUPPLY_24V: tr("The coil of the contactor had no supply or a wrong one, or the contactor let go by itself."),
    Fault.RCD_TRIPPED: tr("The residual current device tripped outside of its test."),
    Fault.RCD_TRIPS_REPEATED: tr(
        "The residual current device tripped again after it had been acknowledged three times."
    ),
    Fault.RCD_TEST_FAILED: (
        tr(
            "The residual current device did not trip when tested, did not reset after it, or did not take "
            "the coil away."
        )
    ),
    Fault.EMERGENCY_STOP: tr("The emergency stop's contact opened: the button is pressed, or its wire is broken."),
    Fault.PROXIMITY_INVALID: tr("The coding resistor measured {ohms}; cables have 100, 220, 680 or 1500 ohms."),
    Fault.CABLE_REMOVED: (
        tr("The pilot stood at {high}, as with a vehicle, and no coding resistor of a cable was seen.{drift}")
    ),
    Fault.LOCK_FAILED: (
        tr("Five pulses of the lock's motor did not bring its feedback contact to where it should be.")
    ),
    Fault.OVERCURRENT: tr("The vehicle drew {drawn} while {offered} were offered."),
    Fault.OVERVOLTAGE: tr("The meter showed {voltages}."),
    Fault.UNDERVOLTAGE: tr("The meter showed {voltages}."),
    Fault.POWER_QUALITY: tr("The meter showed {voltages}."),
    Fault.LIVE_NEUTRAL_SWAP: tr("Line and neutral are swapped at the supply terminals."),
    Fault.METER_STALE: tr("The last reading of the meter is {meter_age}."),
    Fault.TEMPERATURE_STALE: tr("The last reading of the thermometers is {temperature_age}."),
    Fault.OVER_TEMPERATURE: tr("The hottest sensor showed {degrees}."),
    Fault.TIMING_BUDGET: (
        tr("A tick came too late, or reactions took too long: opening within 100 ms is not certain any more.")
    ),
    Fault.SELF_TEST_FAILED: tr("The self-test could not be finished."),
    Fault.OUTPUTS_PERSIST: tr("This kernel keeps an output driven when the process that held it has died."),
    Fault.INSTALLATION_INVALID: tr("The installer's file is missing, damaged, or asks for what is not allowed."),
    Fault.PILOT_ADC_FAILED: tr("The converter of the pilot did not answer, or repeated itself."),
    Fault.PILOT_PWM_FAILED: tr("The generator of the pilot did not take what it was told."),
    Fault.CONTACTOR_DRIVE_FAILED: tr("The contactor's output or its mirror contact could not be used."),
    Fault.RCD_DRIVE_FAILED: tr("The lines of the residual current device could not be used."),
    Fault.PROXIMITY_READ_FAILED: tr("The proximity input could not be read."),
    Fault.LOCK_DRIVE_FAILED: tr("The lines of the connector lock could not be used."),
    Fault.EMERGENCY_STOP_READ_FAILED: tr("The emergency stop's input could not be read."),
    Fault.VOLTAGE_SENSE_FAILED: (
        tr(
            "What sees voltage behind the contactor could not be read, or showed one that stood there for a "
            "minute{behind}."
        )
    ),
    Fault.PHASE_LOST: tr("The contactor was closed, and a phase behind it was dead for half a second{behind}."),
    Fault.SUPPLY_LOST: tr("The contactor was closed, and every phase behind it was dead for half a second{behind}."),
    Fault.WELD_OUTPUT_FAILED: (
        tr("The second contact of the weld output's relay contradicted its order, or a line of it could not be used.")
    ),
    Fault.WATCHDOG_DRIVE_FAILED: tr("The line of the hardware watchdog could not be driven."),
    Fault.INTERNAL: (tr("The safety process met an error that no driver is known to raise, opened, and restarted.")),
}
FAULT_PARTS: Mapping[str, str] = {
    "short behind the diode": tr(
        "behind the vehicle's diode, so in the vehicle or its inlet: the negative half is whole"
    ),
    "short before the diode": (
        tr("before the vehicle's diode, so in the plug, the cable or the box: the negative half is gone too")
    ),
    "short somewhere": (
        tr("somewhere between box and vehicle: the pilot was steady, so the side of the diode is not known")
    ),
    "low drifted": tr("That is too near to -12 V for a missing diode: supply or calibration of the pilot has drifted."),
    "no diode": tr("The diode is missing or bridged."),
    "high drifted": tr(" No state stands there: supply or calibration of the pilot has drifted."),
    "pilot": tr("the pilot"),
    "mirror closed": tr("the mirror contact said closed"),
    "output live": tr("the output was live"),
    "mirror open": tr("the mirror contact said open"),
    "output dead": tr("the output was dead"),
    "contacts silent": tr("its contacts did not answer"),
    "contact unseen": tr("no contact was seen"),
    "and": tr(" and "),
    "behind": tr(": at one instant {voltages}"),
    "instant": tr("L{place} {volts} V"),
    "no resistor": tr("nothing"),
    "ohms": tr("{ohms} ohms"),
    "phase": tr("L{place} {volts:.1f} V"),
    "age": tr("{seconds:.0f} s old"),
    "no age": tr("missing"),
}
CLEARS: Mapping[Clear, str] = {
    Clear.WHEN_GONE: tr("by itself once the cause is gone"),
    Clear.ON_UNPLUG: tr("when the vehicle is unplugged"),
    Clear.BY_USER: tr("with: evse-pi clear"),
    Clear.BY_INSTALLER: tr("with: sudo evse-pi clear --installer"),
}
CLEARS_JOINED = ", or "
CLEARS_BY_RESTART = tr("when the box restarts: sudo systemctl restart evse-pi-safety")
