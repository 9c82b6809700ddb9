"""The words of the box in English, as tables; `{…}` is filled in by the module that uses the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.diagnosis import Diode
from evse_pi.api.texts.english_faults import CLEARS as CLEARS
from evse_pi.api.texts.english_faults import CLEARS_BY_RESTART as CLEARS_BY_RESTART
from evse_pi.api.texts.english_faults import CLEARS_JOINED as CLEARS_JOINED
from evse_pi.api.texts.english_faults import DRIVER_ERROR as DRIVER_ERROR
from evse_pi.api.texts.english_faults import FAULT_HINTS as FAULT_HINTS
from evse_pi.api.texts.english_faults import FAULT_PARTS as FAULT_PARTS
from evse_pi.api.texts.english_faults import FAULT_SEEN as FAULT_SEEN
from evse_pi.api.texts.english_faults import FAULT_TITLES as FAULT_TITLES
from evse_pi.api.texts.english_notices import BOOT_SETTINGS_AT_NEXT_START as BOOT_SETTINGS_AT_NEXT_START
from evse_pi.api.texts.english_notices import BOOT_SETTINGS_UNREADABLE as BOOT_SETTINGS_UNREADABLE
from evse_pi.api.texts.english_notices import CLOCK_BEHIND as CLOCK_BEHIND
from evse_pi.api.texts.english_notices import CLOCK_SET_BACK as CLOCK_SET_BACK
from evse_pi.api.texts.english_notices import CLOCK_SET_FORWARD as CLOCK_SET_FORWARD
from evse_pi.api.texts.english_notices import CLOCK_UNKNOWN as CLOCK_UNKNOWN
from evse_pi.api.texts.english_notices import DEVICE_SILENT as DEVICE_SILENT
from evse_pi.api.texts.english_notices import DISK_SILENT as DISK_SILENT
from evse_pi.api.texts.english_notices import FOR_THE_BENCH_ONLY as FOR_THE_BENCH_ONLY
from evse_pi.api.texts.english_notices import FORBIDDEN_UNTIL_PERMITTED as FORBIDDEN_UNTIL_PERMITTED
from evse_pi.api.texts.english_notices import MADE_ON_ANOTHER_MACHINE as MADE_ON_ANOTHER_MACHINE
from evse_pi.api.texts.english_notices import MATTER_DOES_NOT_RUN as MATTER_DOES_NOT_RUN
from evse_pi.api.texts.english_notices import MATTER_IS_BEING_LOADED as MATTER_IS_BEING_LOADED
from evse_pi.api.texts.english_notices import MATTER_IS_STARTING as MATTER_IS_STARTING
from evse_pi.api.texts.english_notices import MATTER_IS_TRIED_AGAIN as MATTER_IS_TRIED_AGAIN
from evse_pi.api.texts.english_notices import METER_TROUBLES as METER_TROUBLES
from evse_pi.api.texts.english_notices import NOTICES as NOTICES
from evse_pi.api.texts.english_notices import PERMISSION_DOUBTS as PERMISSION_DOUBTS
from evse_pi.api.texts.english_notices import RECORDINGS_NOT_STORED as RECORDINGS_NOT_STORED
from evse_pi.api.texts.english_notices import STARTED_WITHOUT_MATTER as STARTED_WITHOUT_MATTER
from evse_pi.api.texts.english_notices import STORAGE_TROUBLES as STORAGE_TROUBLES
from evse_pi.api.texts.english_notices import STORED_ONLY_LATER as STORED_ONLY_LATER
from evse_pi.api.texts.english_notices import TARGET_TOO_SOON as TARGET_TOO_SOON
from evse_pi.api.texts.english_notices import THERMOMETER_JUMPS as THERMOMETER_JUMPS
from evse_pi.api.texts.english_notices import THERMOMETER_STANDS_STILL as THERMOMETER_STANDS_STILL
from evse_pi.api.texts.english_notices import WEB_PAGE_NOT_SERVED as WEB_PAGE_NOT_SERVED
from evse_pi.api.why import Verdict
from evse_pi.core.fault_kinds import Check
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
    Reason.KEPT_AFTER_REPEATS: "a fault has come back so often that the box does not try again by itself",
    Reason.RCM_STARTING: "the residual current monitor is waking up",
    Reason.READING_CABLE: "the plug's cable is being read",
    Reason.VEHICLE_FEEDS: "there is voltage behind the open contactor, which the vehicle may feed",
    Reason.STATE_B_NOT_SEEN: "one without a switch for its request (S2) is not served at a cable that was there before",
    Reason.VEHICLE_ASKED: "the box ended the offer to see whether the vehicle is still there, and pauses for 5 minutes",
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
    LimitSource.SENSOR_DOUBT: "a thermometer that stands still under load",
}
PILOT_MODES: Mapping[PilotMode, str] = {PilotMode.HIGH: "+12 V", PilotMode.PWM: "1 kHz", PilotMode.LOW: "-12 V"}
VERDICTS: Mapping[Verdict, str] = {
    Verdict.CHARGING: "Charging",
    Verdict.WAITING: "Not charging",
    Verdict.STOPPED: "Stopped",
    Verdict.FAULT: "Fault",
}

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
    Reason.KEPT_AFTER_REPEATS: (
        "A fault that ends by itself has ended a charge so often that the box does not try again by itself.",
        "Mend its cause, then unplug the vehicle, or acknowledge: evse-pi clear.",
    ),
    Reason.VEHICLE_FEEDS: (
        "Alternating voltage stands behind the open contactor: the vehicle feeds it, or a pole is welded.",
        "Wait: if it lasts for longer than a second, the contactor counts as welded.",
    ),
    Reason.STATE_B_NOT_SEEN: (
        "Power was asked for (state C) without a vehicle being seen first (state B), or the line moved slowly. One "
        "without a switch for its request (S2) is not served at a cable that was there before, because a worn surge "
        "suppressor looks the same.",
        "Unplug it, at a socket the cable too, wait two seconds and plug in again, at the box last. If no vehicle is "
        "there, have the suppressor replaced. After a restart of the box a vehicle shows itself within 3 s.",
    ),
    Reason.VEHICLE_ASKED: (
        "The vehicle asked for power and drew none for minutes, or the pilot's voltage moved while it charged. The box "
        "ended the offer, and the vehicle answered. The next offer waits for 5 minutes, because some vehicles take a "
        "quicker one for an error.",
        "Wait, or end the pause: evse-pi wake. If it comes back often, look at the vehicle's timer, its plug and the "
        "pilot: evse-pi scope.",
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
    Check.RCD_CUTS_COIL: ("behind the contactor's coil while the residual current device is tripped", "mV"),
    Check.GATE_OPENS: ("supply switch of the contactor's coil is shorted: behind the coil with it off", "mV"),
    Check.GATE_CLOSES: ("supply switch of the contactor's coil stays off: behind the coil with it on", "mV"),
    Check.RETURN_OPENS: ("return switch of the contactor's coil is shorted: behind the coil with it off", "mV"),
    Check.RETURN_CLOSES: ("return switch of the contactor's coil stays off: behind the coil with it on", "mV"),
    Check.GATE_ALONE: ("supply switch of the contactor's coil is shorted (1 is closed by the return alone)", ""),
    Check.RETURN_ALONE: ("return switch of the contactor's coil is shorted (1 is closed by the supply alone)", ""),
    Check.GATE_HOLD_SHORTEST: ("the coil's supply switch holds after a pulse for at most", "ms"),
    Check.GATE_HOLD_LONGEST: ("the coil's supply switch holds after a pulse for at least", "ms"),
    Check.COIL_SUPPLY: ("the contactor's coil supply", "mV"),
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

# Of a box whose node process does not answer: title, what is seen, what to do.

BOX_NOT_RUNNING = (
    "the box does not run",
    "Neither process of the box runs; the safety process {ended} {age_s} s ago. Nothing is energised.",
    "Start both: sudo systemctl start evse-pi-safety evse-pi-node.",
)
WAS_STOPPED, ENDED_WITHOUT_A_WORD = "was stopped", "ended without a word"
NODE_HANGS = (
    "the node process hangs",
    "The node process hangs: it runs and does not answer.",
    "Restart it: sudo systemctl restart evse-pi-node; read what it did last: journalctl -u evse-pi-node.",
)
NODE_SILENT = (
    "the node process does not answer",
    "The node process does not answer.",
    "Start it: sudo systemctl start evse-pi-node; read why it ended: journalctl -u evse-pi-node.",
)
SAFETY_GOES_ON = (
    "The safety process runs and {charges} ({state}, {offered} offered); {lease}, and without a new one it stops the "
    "vehicle and opens."
)
CHARGES, CHARGES_NOT = "charges", "does not charge"
LEASE_ENDS, LEASE_HAS_ENDED = "its permission ends in {left_s} s", "its permission has ended"
