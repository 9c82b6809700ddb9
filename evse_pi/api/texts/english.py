"""The words of the box in English, as tables; `{…}` is filled in by the module that uses the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.diagnosis import Diode
from evse_pi.api.status import NoticeKind
from evse_pi.api.why import Verdict
from evse_pi.core.fault_kinds import Check
from evse_pi.core.faults import FAULTS, Clear, Fault
from evse_pi.core.states import LimitSource, PilotMode, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Mapping[Reason, str] = {
    Reason.CHARGING: "charging",
    Reason.STARTING: "charging is about to begin",
    Reason.SELF_TEST: "the box tests itself",
    Reason.FAULT: "a fault forbids it",
    Reason.NO_VEHICLE: "no vehicle is plugged in",
    Reason.PILOT_UNCERTAIN: "the pilot cannot be read for certain",
    Reason.NO_LEASE: "there was no permission in the last 15 s",
    Reason.NOT_PERMITTED: "charging is not permitted",
    Reason.LIMIT_BELOW_MINIMUM: "the limit is below 6 A, which cannot be offered",
    Reason.MINIMUM_OFF_TIME: "the contactor rests between two closes",
    Reason.TOO_MANY_STOPS: "charging was stopped so often that the contactor rests longer each time",
    Reason.RCD_TEST: "the residual current device is being tested",
    Reason.LOCKING: "the plug is being locked",
    Reason.VEHICLE_NOT_READY: "the vehicle does not ask for power",
    Reason.WAKING_VEHICLE: "the vehicle sleeps and is being woken",
    Reason.PWM_SETTLING: "the offer has just changed",
    Reason.STOPPING: "the vehicle is given time to stop",
    Reason.RETRY_WAIT: "the box waits before it tries again",
    Reason.TRYING_AGAIN: "the box pauses after a fault that ends by itself",
    Reason.RCM_STARTING: "the residual current monitor is waking up",
    Reason.READING_CABLE: "the plug's cable is being read",
    Reason.STATE_F_HOLD: "the box says to the vehicle that it is out of service",
}
LIMITS: Mapping[LimitSource, str] = {
    LimitSource.BOARD: "the rating of the board",
    LimitSource.CIRCUIT_CAPACITY: "the circuit, as the installer set it",
    LimitSource.CABLE: "the cable",
    LimitSource.TEMPERATURE: "the temperature of the box",
    LimitSource.STALE_SENSOR: "a sensor that has fallen silent",
    LimitSource.LEASE: "no permission at all",
    LimitSource.OVERCURRENT: "a vehicle that drew more than it was offered",
    LimitSource.PILOT: "a pilot that offers more or less than it is told to",
    LimitSource.OWNER: "the owner",
    LimitSource.ENABLE_CHARGING: "the controller that enables charging",
    LimitSource.USER_MAXIMUM: "the user's maximum",
    LimitSource.POWER_ADJUSTMENT: "the energy manager",
    LimitSource.SCHEDULE: "the schedule",
    LimitSource.RANDOM_DELAY: "the random delay",
    LimitSource.RESUME_PAUSE: "the pause after an automatic stop",
}
PILOT_MODES: Mapping[PilotMode, str] = {PilotMode.HIGH: "+12 V", PilotMode.PWM: "1 kHz", PilotMode.LOW: "-12 V"}
VERDICTS: Mapping[Verdict, str] = {
    Verdict.CHARGING: "Charging",
    Verdict.WAITING: "Not charging",
    Verdict.STOPPED: "Stopped",
    Verdict.FAULT: "Fault",
}

# Faults.

FAULT_TITLES: Mapping[Fault, str] = {
    Fault.INTERNAL: "the software of the box failed",
    Fault.PILOT_SHORT: "the control pilot is shorted to earth",
    Fault.PILOT_DIODE: "the vehicle's diode is missing",
    Fault.PILOT_OUT_OF_BAND: "the control pilot shows no state",
    Fault.PILOT_SUPPLY: "the control pilot's supply is not what it should be",
    Fault.PILOT_GENERATOR: "the control pilot does not show what is driven",
    Fault.PILOT_UNCERTAIN: "the control pilot is too noisy",
    Fault.VENTILATION_REQUIRED: "the vehicle asks for ventilation",
    Fault.CONTACTOR_WELDED: "the contactor does not open",
    Fault.CONTACTOR_FAILED_TO_CLOSE: "the contactor does not close",
    Fault.RCD_TRIPPED: "residual current flowed",
    Fault.RCD_TEST_FAILED: "the residual current device failed its test",
    Fault.RCD_TRIPS_REPEATED: "residual current flows again and again",
    Fault.EMERGENCY_STOP: "the emergency stop is pressed",
    Fault.PROXIMITY_INVALID: "the cable cannot be recognised",
    Fault.CABLE_REMOVED: "the plug left the socket",
    Fault.LOCK_FAILED: "the plug cannot be locked or unlocked",
    Fault.OVERCURRENT: "the vehicle drew more than was offered",
    Fault.OVERVOLTAGE: "the supply voltage is too high",
    Fault.UNDERVOLTAGE: "the supply voltage is too low",
    Fault.METER_STALE: "the meter is silent",
    Fault.POWER_QUALITY: "a phase is missing",
    Fault.LIVE_NEUTRAL_SWAP: "line and neutral are swapped",
    Fault.OVER_TEMPERATURE: "the box is too hot",
    Fault.TEMPERATURE_STALE: "the thermometer is silent",
    Fault.TIMING_BUDGET: "the box reacts too slowly",
    Fault.SELF_TEST_FAILED: "the self-test failed",
    Fault.OUTPUTS_PERSIST: "the kernel would hold the contactor after a crash",
    Fault.INSTALLATION_INVALID: "the installer's settings cannot be used",
    Fault.PILOT_ADC_FAILED: "the pilot's converter does not answer",
    Fault.PILOT_PWM_FAILED: "the pilot's generator does not answer",
    Fault.CONTACTOR_DRIVE_FAILED: "the contactor's output cannot be driven",
    Fault.RCD_DRIVE_FAILED: "the residual current device does not answer",
    Fault.PROXIMITY_READ_FAILED: "the proximity input does not answer",
    Fault.LOCK_DRIVE_FAILED: "the connector lock does not answer",
    Fault.EMERGENCY_STOP_READ_FAILED: "the emergency stop's input does not answer",
    Fault.VOLTAGE_SENSE_FAILED: "the voltage sense does not answer",
    Fault.WATCHDOG_DRIVE_FAILED: "the hardware watchdog does not answer",
}
FAULT_HINTS: Mapping[Fault, str] = {fault: row.hint for fault, row in FAULTS.items()}
DRIVER_ERROR = "The driver of this device raised an error."
FAULT_SEEN: Mapping[Fault, str] = {
    Fault.PILOT_SHORT: "The pilot was shorted to earth {where}; its plateaus were {plateaus}.",
    Fault.PILOT_DIODE: (
        "The negative half of the pilot stood at {low} while -12 V were driven; with the diode of a vehicle it stays "
        "at -12 V. {cause_of_low}"
    ),
    Fault.PILOT_OUT_OF_BAND: "The pilot's plateaus were {plateaus}, none of the states A to F.{drift}",
    Fault.PILOT_SUPPLY: (
        "The supplies of the pilot's generator stood at {supply}, and the pilot at {plateaus}: no vehicle can be read "
        "on that."
    ),
    Fault.PILOT_GENERATOR: (
        "The box drove {driven} and read {plateaus}: generator, supply or the calibration of the converter is wrong."
    ),
    Fault.PILOT_UNCERTAIN: "The samples of one plateau scattered over {spread}; 0.50 V are allowed.",
    Fault.VENTILATION_REQUIRED: "The vehicle showed state D: the pilot stood at {high}.",
    Fault.CONTACTOR_WELDED: "The contactor was told to open, and {still_closed}.",
    Fault.CONTACTOR_FAILED_TO_CLOSE: "The contactor was told to close, and {still_open}.",
    Fault.RCD_TRIPPED: "The residual current device tripped outside of its test.",
    Fault.RCD_TRIPS_REPEATED: "The residual current device tripped again after it had been acknowledged three times.",
    Fault.RCD_TEST_FAILED: "The residual current device did not trip when tested, or did not reset after it.",
    Fault.EMERGENCY_STOP: "The emergency stop's contact opened: the button is pressed, or its wire is broken.",
    Fault.PROXIMITY_INVALID: "The coding resistor measured {ohms}; cables have 100, 220, 680 or 1500 ohms.",
    Fault.CABLE_REMOVED: (
        "The pilot stood at {high}, as with a vehicle, and no coding resistor of a cable was seen.{drift}"
    ),
    Fault.LOCK_FAILED: ("Five pulses of the lock's motor did not bring its feedback contact to where it should be."),
    Fault.OVERCURRENT: "The vehicle drew {drawn} while {offered} were offered.",
    Fault.OVERVOLTAGE: "The meter showed {voltages}.",
    Fault.UNDERVOLTAGE: "The meter showed {voltages}.",
    Fault.POWER_QUALITY: "The meter showed {voltages}.",
    Fault.LIVE_NEUTRAL_SWAP: "Line and neutral are swapped at the supply terminals.",
    Fault.METER_STALE: "The last reading of the meter is {meter_age}.",
    Fault.TEMPERATURE_STALE: "The last reading of the thermometers is {temperature_age}.",
    Fault.OVER_TEMPERATURE: "The hottest sensor showed {degrees}.",
    Fault.TIMING_BUDGET: (
        "A tick came too late, or reactions took too long: opening within 100 ms is not certain any more."
    ),
    Fault.SELF_TEST_FAILED: "The self-test could not be finished.",
    Fault.OUTPUTS_PERSIST: "This kernel keeps an output driven when the process that held it has died.",
    Fault.INSTALLATION_INVALID: "The installer's file is missing, damaged, or asks for what is not allowed.",
    Fault.PILOT_ADC_FAILED: "The converter of the pilot did not answer, or repeated itself.",
    Fault.PILOT_PWM_FAILED: "The generator of the pilot did not take what it was told.",
    Fault.CONTACTOR_DRIVE_FAILED: "The contactor's output or its mirror contact could not be used.",
    Fault.RCD_DRIVE_FAILED: "The lines of the residual current device could not be used.",
    Fault.PROXIMITY_READ_FAILED: "The proximity input could not be read.",
    Fault.LOCK_DRIVE_FAILED: "The lines of the connector lock could not be used.",
    Fault.EMERGENCY_STOP_READ_FAILED: "The emergency stop's input could not be read.",
    Fault.VOLTAGE_SENSE_FAILED: "The input that sees voltage behind the contactor could not be read.",
    Fault.WATCHDOG_DRIVE_FAILED: "The line of the hardware watchdog could not be driven.",
    Fault.INTERNAL: ("The safety process met an error that no driver is known to raise, opened, and restarted."),
}
FAULT_PARTS: Mapping[str, str] = {
    "short behind the diode": "behind the vehicle's diode, so in the vehicle or its inlet: the negative half is whole",
    "short before the diode": (
        "before the vehicle's diode, so in the plug, the cable or the box: the negative half is gone too"
    ),
    "short somewhere": (
        "somewhere between box and vehicle: the pilot was steady, so the side of the diode is not known"
    ),
    "low drifted": "That is too near to -12 V for a missing diode: supply or calibration of the pilot has drifted.",
    "no diode": "The diode is missing or bridged.",
    "high drifted": " No state stands there: supply or calibration of the pilot has drifted.",
    "pilot": "the pilot",
    "mirror closed": "the mirror contact said closed",
    "output live": "the output was live",
    "mirror open": "the mirror contact said open",
    "output dead": "the output was dead",
    "contacts silent": "its contacts did not answer",
    "contact unseen": "no contact was seen",
    "and": " and ",
    "no resistor": "nothing",
    "ohms": "{ohms} ohms",
    "phase": "L{place} {volts:.1f} V",
    "age": "{seconds:.0f} s old",
    "no age": "missing",
}
CLEARS: Mapping[Clear, str] = {
    Clear.WHEN_GONE: "by itself once the cause is gone",
    Clear.ON_UNPLUG: "when the vehicle is unplugged",
    Clear.BY_USER: "with: evse-pi clear",
    Clear.BY_INSTALLER: "with: sudo evse-pi clear --installer",
}
CLEARS_JOINED = ", or "
CLEARS_BY_RESTART = "when the box restarts: sudo systemctl restart evse-pi-safety"

# What the box waits for: what is seen, and what would end it.

PILOT_STANDS = "the pilot stands at {high}"
WAITS: Mapping[Reason, tuple[str, str]] = {
    Reason.CHARGING: ("The box charges and offers {offered}, limited by {limit} ({limit_value}).", "Nothing."),
    Reason.NO_VEHICLE: (
        "No vehicle is plugged in: {pilot}.",
        "Plug one in; if one is, try another cable and check the pilot contact.",
    ),
    Reason.PILOT_UNCERTAIN: (
        "The pilot cannot be read for certain yet: {pilot}.",
        "Wait a second; look at it if it stays: evse-pi scope.",
    ),
    Reason.NO_LEASE: (
        "The safety process has had no permission from the node process in the last 15 s.",
        "It comes within 10 s of a start; else: systemctl status evse-pi-node; evse-pi log.",
    ),
    Reason.NOT_PERMITTED: ("The last demand did not permit charging.", "Wait for the next one, within 2 s."),
    Reason.LIMIT_BELOW_MINIMUM: (
        "The limit is too low: {limit} allows {limit_value}, and less than 6.0 A cannot be offered to a vehicle.",
        "Find out who set it: evse-pi status.",
    ),
    Reason.MINIMUM_OFF_TIME: ("The contactor rests between two closes to spare its contacts.", "Wait."),
    Reason.TOO_MANY_STOPS: (
        "Charging was stopped and permitted again so often that the contactor rests longer each time.",
        "Wait, and find out who stops and permits: evse-pi log.",
    ),
    Reason.RCD_TEST: ("The residual current device is tested, as for every vehicle.", "Wait about a second."),
    Reason.LOCKING: (
        "The plug is not locked yet: the lock's feedback contact does not say so.",
        "Push the plug fully in; after five tries it becomes a fault.",
    ),
    Reason.RCM_STARTING: (
        "The residual current monitor has just been switched on and is not ready yet.",
        "Wait up to ten seconds; after that it counts as tripped.",
    ),
    Reason.READING_CABLE: ("The box reads what the plugged cable may carry.", "Wait a second."),
    Reason.VEHICLE_NOT_READY: (
        "The vehicle is offered {offered} and does not ask for power: {pilot}.",
        "It is full, waits for its own timer, or sleeps: look into the car or its app; wake it: evse-pi wake.",
    ),
    Reason.WAKING_VEHICLE: (
        "The vehicle ignored the offer for 90 s, so it sleeps; the box takes the offer away for a while to wake it.",
        "Wait; if it does not help, unlock the car, or unplug it and plug it in again.",
    ),
    Reason.PWM_SETTLING: ("The pilot has just changed; a vehicle gets 5 s before the next offer.", "Wait."),
    Reason.STOPPING: (
        "The offer has ended, and the vehicle has up to 6 s to stop drawing before the contactor opens.",
        "Wait.",
    ),
    Reason.RETRY_WAIT: (
        "Residual current flowed; this installation lets the box reset the device by itself after 15 minutes.",
        "Look for moisture in cable and plug meanwhile, or acknowledge: evse-pi clear.",
    ),
    Reason.TRYING_AGAIN: (
        "A fault that ends by itself has ended a charge; the box pauses before it tries again, longer each time.",
        "Read what it was: evse-pi faults. Mend its cause, or wait.",
    ),
    Reason.STATE_F_HOLD: ("The box tells the vehicle that it is out of service after a fault.", "Wait a second."),
    Reason.STARTING: ("The vehicle asks, and the last checks before closing run.", "Wait a second."),
    Reason.SELF_TEST: (
        "The box tests itself, or waits to do so.",
        "Wait a few seconds; see it: evse-pi selftest.",
    ),
    Reason.FAULT: ("A fault forbids charging.", "Read: evse-pi faults."),
}
REFUSES: Mapping[LimitSource, tuple[str, str]] = {
    LimitSource.OWNER: ("the owner has stopped charging", "Permit it again: evse-pi permit."),
    LimitSource.ENABLE_CHARGING: (
        "the controller (Matter) has not enabled charging, or its time is over",
        "Enable it there.",
    ),
    LimitSource.USER_MAXIMUM: ("the user's maximum forbids it", "Raise it in the controller's app."),
    LimitSource.POWER_ADJUSTMENT: (
        "the energy manager has paused it",
        "Wait, or end the adjustment in the energy manager.",
    ),
    LimitSource.SCHEDULE: ("the schedule has it charge later", "Wait, or start now: evse-pi start."),
    LimitSource.RANDOM_DELAY: (
        "a random delay spreads the load of many boxes",
        "Wait, or start now: evse-pi start.",
    ),
    LimitSource.RESUME_PAUSE: (
        "an automatic stop is not five minutes ago, and some vehicles fail when the offer comes and goes more often",
        "Wait, or start now: evse-pi start.",
    ),
    LimitSource.LEASE: (
        "the demand names no permission",
        "Look at the node process: systemctl status evse-pi-node.",
    ),
}
NOT_PERMITTED = "Charging is not permitted: {against}{ends}."
ENDS_LATER = ", for {in_s} s more"
ASK_WHO = "Ask who set it."
OWNER_TOO_LOW = "Set a higher limit: evse-pi set 16A, or none: evse-pi set none."
SENSOR_SILENT = (
    "A sensor that the box must watch is silent: {silent}.",
    "Check its supply, bus and address; charging goes on by itself when it answers.",
)
NO_SENSOR_YET = "none has answered yet"
SECONDS_LEFT = " {in_s} s are left."

# What people must know and what stops no charge.

NOTICES: Mapping[NoticeKind, tuple[str, str]] = {
    NoticeKind.STORAGE: (
        "the disk",
        "Free space on the disk, or replace the card: df -h, journalctl -u evse-pi-node.",
    ),
    NoticeKind.INSTALLATION: ("the installer's file", "Have the installer set it again: sudo evse-pi setup."),
    NoticeKind.PERMISSION: (
        "the permission",
        "What was set before is lost or cannot be read; permit again with: evse-pi permit.",
    ),
    NoticeKind.BENCH_ONLY: ("the board", "Do not connect this board to the mains without supervision."),
    NoticeKind.BOOT: (
        "the boot settings",
        "Until they are in force a start may move the coil's line; run: sudo ./install.sh device, then restart the Pi.",
    ),
    NoticeKind.CLOCK: (
        "the clock",
        "Connect the box to a network with a time server, or set the clock: timedatectl.",
    ),
    NoticeKind.IDENTITY: (
        "the identity",
        "Decide whose it is: evse-pi commission --new-identity, or evse-pi commission --keep-identity.",
    ),
    NoticeKind.MATTER: (
        "Matter",
        "Charging does not depend on it; read: evse-pi log, then restart the node process.",
    ),
    NoticeKind.WEB: (
        "the web page",
        "Charging does not depend on it; choose another port with --web-port, or end what has this one.",
    ),
    NoticeKind.CHARGING_PLAN: (
        "the charging plan",
        "It charges at once; ask for less or for later, or raise the limit that is in the way.",
    ),
    NoticeKind.DEVICE: (
        "a device",
        "Check supply, bus and address of this device; the box tries again by itself.",
    ),
    NoticeKind.RECORDINGS: ("recordings", "Free space on the disk; the last recordings wait in memory."),
    NoticeKind.RESTARTED: (
        "a restart",
        "Read the last fault: evse-pi faults; attach evse-pi report to a ticket when it repeats.",
    ),
}

# The self-test: what was measured, and its unit.

CHECKS: Mapping[Check, tuple[str, str]] = {
    Check.PILOT_LOW_RAIL: ("pilot at -12 V", "mV"),
    Check.MIRROR_OPEN: ("mirror contact (1 is closed)", ""),
    Check.LOAD_DEAD: ("voltage behind the contactor (1 is live)", ""),
    Check.RCD_TRIPS: ("residual current device trips after", "ms"),
    Check.RCD_RESETS: ("residual current device resets after", "ms"),
    Check.EMERGENCY_STOP: ("emergency stop (1 is pressed)", ""),
    Check.PROXIMITY: ("cable", "mA"),
    Check.PILOT_HIGH_RAIL: ("pilot at +12 V", "mV"),
    Check.PILOT_POSITIVE_SUPPLY: ("the generator's +12 V", "mV"),
    Check.PILOT_NEGATIVE_SUPPLY: ("the generator's -12 V", "mV"),
}
EVIDENCE = "{name}: {measured}, allowed {lowest} to {highest}"
DIODES: Mapping[Diode, str] = {diode: diode.value for diode in Diode}

# Why the box does what it does, beyond one fault, wait or notice.

SAFETY_SILENT = (
    "the safety process does not answer",
    "The safety process has not spoken {since}; without it the contactor is open and nothing is offered.",
    "Look why: systemctl status evse-pi-safety; journalctl -u evse-pi-safety. It is restarted every second.",
)
SINCE_START = "since the node process started"
FOR_SECONDS = "for {seconds} s"
COULD_NOT_START = " It could not start: {refusal}"
CORRECT_IT = "Correct what it names; it tries again every second. "
GIVE_DEVICE_BACK = "Give the user evse-safety its device back: groups spi and gpio, ls -l on the device."
CALIBRATE = " If a meter shows +12 V and -12 V, the calibration has drifted: sudo evse-pi calibrate."
TIMING_FIGURES = " Since the start: latest tick {late_ms:.0f} ms late, 99.9 % of reactions within {reaction_ms:.0f} ms."
SILENT_NOW = " Silent now: {devices}."
SELF_TEST_FOUND = " Self-test {evidence}."
GOES_ON = "The box goes on charging"
DOES_NOT_CHARGE = "The box does not charge"
ENDS = " It ends {clears}."
MORE_FAULTS = (" {number} more fault below.", " {number} more faults below.")
TAKES = "The vehicle takes {drawn}."
TAKES_LESS = "The vehicle takes only {drawn} of it: that is its own choice (full, cold, set in the car)."
