"""The words of the box in English, as tables; `{…}` is filled in by the module that uses the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.diagnosis import Diode
from evse_pi.api.status import SelfTestStatus
from evse_pi.api.texts.catalogue import tr
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
from evse_pi.api.why import FindingKind, Verdict
from evse_pi.core.fault_kinds import Check
from evse_pi.core.states import LimitSource, PilotMode, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Mapping[Reason, str] = {
    Reason.CHARGING: tr("charging"),
    Reason.STARTING: tr("charging is about to begin"),
    Reason.SELF_TEST: tr("the box tests itself"),
    Reason.FAULT: tr("a fault forbids it"),
    Reason.NO_VEHICLE: tr("no vehicle is plugged in"),
    Reason.PILOT_UNCERTAIN: tr("the pilot cannot be read for certain"),
    Reason.NO_LEASE: tr("there was no permission in the last 15 s"),
    Reason.NOT_PERMITTED: tr("charging is not permitted"),
    Reason.LIMIT_BELOW_MINIMUM: tr("the limit is below 6 A, which cannot be offered"),
    Reason.MINIMUM_OFF_TIME: tr("the contactor rests between two closes"),
    Reason.TOO_MANY_STOPS: tr("charging was stopped so often that the contactor rests longer each time"),
    Reason.RCD_TEST: tr("the residual current device is being tested"),
    Reason.LOCKING: tr("the plug is being locked"),
    Reason.VEHICLE_NOT_READY: tr("the vehicle does not ask for power"),
    Reason.WAKING_VEHICLE: tr("the vehicle sleeps and is being woken"),
    Reason.PWM_SETTLING: tr("the offer has just changed"),
    Reason.STOPPING: tr("the vehicle is given time to stop"),
    Reason.RETRY_WAIT: tr("the box waits before it tries again"),
    Reason.TRYING_AGAIN: tr("the box pauses after a fault that ends by itself"),
    Reason.KEPT_AFTER_REPEATS: tr("a fault has come back so often that the box does not try again by itself"),
    Reason.RCM_STARTING: tr("the residual current monitor is waking up"),
    Reason.READING_CABLE: tr("the plug's cable is being read"),
    Reason.VEHICLE_FEEDS: tr("there is voltage behind the open contactor, which the vehicle may feed"),
    Reason.STATE_B_NOT_SEEN: tr(
        "one without a switch for its request (S2) is not served at a cable that was there before"
    ),
    Reason.VEHICLE_ASKED: tr(
        "the box ended the offer to see whether the vehicle is still there, and pauses for 5 minutes"
    ),
    Reason.STATE_F_HOLD: tr("the box says to the vehicle that it is out of service"),
}
LIMITS: Mapping[LimitSource, str] = {
    LimitSource.BOARD: tr("the rating of the board"),
    LimitSource.CIRCUIT_CAPACITY: tr("the circuit, as the installer set it"),
    LimitSource.CABLE: tr("the cable"),
    LimitSource.TEMPERATURE: tr("the temperature of the box"),
    LimitSource.STALE_SENSOR: tr("a sensor that has fallen silent"),
    LimitSource.LEASE: tr("no permission at all"),
    LimitSource.OVERCURRENT: tr("a vehicle that drew more than it was offered"),
    LimitSource.PILOT: tr("a pilot that offers more or less than it is told to"),
    LimitSource.OWNER: tr("the owner"),
    LimitSource.ENABLE_CHARGING: tr("the controller that enables charging"),
    LimitSource.USER_MAXIMUM: tr("the user's maximum"),
    LimitSource.POWER_ADJUSTMENT: tr("the energy manager"),
    LimitSource.SCHEDULE: tr("the schedule"),
    LimitSource.RANDOM_DELAY: tr("the random delay"),
    LimitSource.RESUME_PAUSE: tr("the pause after an automatic stop"),
    LimitSource.SENSOR_DOUBT: tr("a thermometer that stands still under load"),
}
PILOT_MODES: Mapping[PilotMode, str] = {PilotMode.HIGH: "+12 V", PilotMode.PWM: "1 kHz", PilotMode.LOW: "-12 V"}
VERDICTS: Mapping[Verdict, str] = {
    Verdict.CHARGING: tr("Charging"),
    Verdict.WAITING: tr("Not charging"),
    Verdict.STOPPED: tr("Stopped"),
    Verdict.FAULT: tr("Fault"),
}

# What the box waits for: what is seen, and what would end it.

PILOT_STANDS = tr("the pilot stands at {high}")
WAITS: Mapping[Reason, tuple[str, str]] = {
    Reason.CHARGING: (tr("The box charges and offers {offered}, limited by {limit} ({limit_value})."), tr("Nothing.")),
    Reason.NO_VEHICLE: (
        tr("No vehicle is plugged in: {pilot}."),
        tr("Plug one in; if one is, try another cable and check the pilot contact."),
    ),
    Reason.PILOT_UNCERTAIN: (
        tr("The pilot cannot be read for certain yet: {pilot}."),
        tr("Wait a second; look at it if it stays: evse-pi scope."),
    ),
    Reason.NO_LEASE: (
        tr("The safety process has had no permission from the node process in the last 15 s."),
        tr("It comes within 10 s of a start; else: systemctl status evse-pi-node; evse-pi log."),
    ),
    Reason.NOT_PERMITTED: (tr("The last demand did not permit charging."), tr("Wait for the next one, within 2 s.")),
    Reason.LIMIT_BELOW_MINIMUM: (
        tr("The limit is too low: {limit} allows {limit_value}, and less than 6.0 A cannot be offered to a vehicle."),
        tr("Find out who set it: evse-pi status."),
    ),
    Reason.MINIMUM_OFF_TIME: (tr("The contactor rests between two closes to spare its contacts."), tr("Wait.")),
    Reason.TOO_MANY_STOPS: (
        tr("Charging was stopped and permitted again so often that the contactor rests longer each time."),
        tr("Wait, and find out who stops and permits: evse-pi log."),
    ),
    Reason.RCD_TEST: (tr("The residual current device is tested, as for every vehicle."), tr("Wait about a second.")),
    Reason.LOCKING: (
        tr("The plug is not locked yet: the lock's feedback contact does not say so."),
        tr("Push the plug fully in; after five tries it becomes a fault."),
    ),
    Reason.RCM_STARTING: (
        tr("The residual current monitor has just been switched on and is not ready yet."),
        tr("Wait up to ten seconds; after that it counts as tripped."),
    ),
    Reason.READING_CABLE: (tr("The box reads what the plugged cable may carry."), tr("Wait a second.")),
    Reason.VEHICLE_NOT_READY: (
        tr("The vehicle is offered {offered} and does not ask for power: {pilot}."),
        tr("It is full, waits for its own timer, or sleeps: look into the car or its app; wake it: evse-pi wake."),
    ),
    Reason.WAKING_VEHICLE: (
        tr(
            "The vehicle ignored the offer for 90 s, so it sleeps; the box takes the offer away for a while to wake it."
        ),
        tr("Wait; if it does not help, unlock the car, or unplug it and plug it in again."),
    ),
    Reason.PWM_SETTLING: (tr("The pilot has just changed; a vehicle gets 5 s before the next offer."), tr("Wait.")),
    Reason.STOPPING: (
        tr("The offer has ended, and the vehicle has up to 6 s to stop drawing before the contactor opens."),
        tr("Wait."),
    ),
    Reason.RETRY_WAIT: (
        tr("Residual current flowed; this installation lets the box reset the device by itself after 15 minutes."),
        tr("Look for moisture in cable and plug meanwhile, or acknowledge: evse-pi clear."),
    ),
    Reason.TRYING_AGAIN: (
        tr("A fault that ends by itself has ended a charge; the box pauses before it tries again, longer each time."),
        tr("Read what it was: evse-pi faults. Mend its cause, or wait."),
    ),
    Reason.KEPT_AFTER_REPEATS: (
        tr("A fault that ends by itself has ended a charge so often that the box does not try again by itself."),
        tr("Mend its cause, then unplug the vehicle, or acknowledge: evse-pi clear."),
    ),
    Reason.VEHICLE_FEEDS: (
        tr("Alternating voltage stands behind the open contactor: the vehicle feeds it, or a pole is welded."),
        tr("Wait: if it lasts for longer than a second, the contactor counts as welded."),
    ),
    Reason.STATE_B_NOT_SEEN: (
        tr(
            "Power was asked for (state C) without a vehicle being seen first (state B), or the line moved slowly. One "
            "without a switch for its request (S2) is not served at a cable that was there before, because "
            "a worn surge "
            "suppressor looks the same."
        ),
        tr(
            "Unplug it, at a socket the cable too, wait two seconds and plug in again, at the box last. If "
            "no vehicle is "
            "there, have the suppressor replaced. After a restart of the box a vehicle shows itself within 3 s."
        ),
    ),
    Reason.VEHICLE_ASKED: (
        tr(
            "The vehicle asked for power and drew none for minutes, or the pilot's voltage moved while it "
            "charged. The box "
            "ended the offer, and the vehicle answered. The next offer waits for 5 minutes, because some "
            "vehicles take a "
            "quicker one for an error."
        ),
        tr(
            "Wait, or end the pause: evse-pi wake. If it comes back often, look at the vehicle's timer, its "
            "plug and the "
            "pilot: evse-pi scope."
        ),
    ),
    Reason.STATE_F_HOLD: (
        tr("The box tells the vehicle that it is out of service after a fault."),
        tr("Wait a second."),
    ),
    Reason.STARTING: (tr("The vehicle asks, and the last checks before closing run."), tr("Wait a second.")),
    Reason.SELF_TEST: (
        tr("The box tests itself, or waits to do so."),
        tr("Wait a few seconds; see it: evse-pi selftest."),
    ),
    Reason.FAULT: (tr("A fault forbids charging."), tr("Read: evse-pi faults.")),
}
REFUSES: Mapping[LimitSource, tuple[str, str]] = {
    LimitSource.OWNER: (tr("the owner has stopped charging"), tr("Permit it again: evse-pi permit.")),
    LimitSource.ENABLE_CHARGING: (
        tr("the controller (Matter) has not enabled charging, or its time is over"),
        tr("Enable it there."),
    ),
    LimitSource.USER_MAXIMUM: (tr("the user's maximum forbids it"), tr("Raise it in the controller's app.")),
    LimitSource.POWER_ADJUSTMENT: (
        tr("the energy manager has paused it"),
        tr("Wait, or end the adjustment in the energy manager."),
    ),
    LimitSource.SCHEDULE: (tr("the schedule has it charge later"), tr("Wait, or start now: evse-pi start.")),
    LimitSource.RANDOM_DELAY: (
        tr("a random delay spreads the load of many boxes"),
        tr("Wait, or start now: evse-pi start."),
    ),
    LimitSource.RESUME_PAUSE: (
        tr(
            "an automatic stop is not five minutes ago, and some vehicles fail when the offer comes and goes more often"
        ),
        tr("Wait, or start now: evse-pi start."),
    ),
    LimitSource.LEASE: (
        tr("the demand names no permission"),
        tr("Look at the node process: systemctl status evse-pi-node."),
    ),
}
NOT_PERMITTED = tr("Charging is not permitted: {against}{ends}.")
ENDS_LATER = tr(", for {in_s} s more")
ASK_WHO = tr("Ask who set it.")
OWNER_TOO_LOW = tr("Set a higher limit: evse-pi set 16A, or none: evse-pi set none.")
SENSOR_SILENT = (
    tr("A sensor that the box must watch is silent: {silent}."),
    tr("Check its supply, bus and address; charging goes on by itself when it answers."),
)
NO_SENSOR_YET = tr("none has answered yet")
SECONDS_LEFT = tr(" {in_s} s are left.")

# The self-test: what was measured, and its unit.

CHECKS: Mapping[Check, tuple[str, str]] = {
    Check.PILOT_LOW_RAIL: (tr("pilot at -12 V"), "mV"),
    Check.MIRROR_OPEN: (tr("mirror contact (1 is closed)"), ""),
    Check.LOAD_DEAD: (tr("voltage behind the contactor (1 is live)"), ""),
    Check.RCD_TRIPS: (tr("residual current device trips after"), "ms"),
    Check.RCD_RESETS: (tr("residual current device resets after"), "ms"),
    Check.EMERGENCY_STOP: (tr("emergency stop (1 is pressed)"), ""),
    Check.PROXIMITY: (tr("cable"), "mA"),
    Check.PILOT_HIGH_RAIL: (tr("pilot at +12 V"), "mV"),
    Check.PILOT_POSITIVE_SUPPLY: (tr("the generator's +12 V"), "mV"),
    Check.PILOT_NEGATIVE_SUPPLY: (tr("the generator's -12 V"), "mV"),
    Check.RCD_CUTS_COIL: (tr("behind the contactor's coil while the residual current device is tripped"), "mV"),
    Check.GATE_OPENS: (tr("supply switch of the contactor's coil is shorted: behind the coil with it off"), "mV"),
    Check.GATE_CLOSES: (tr("supply switch of the contactor's coil stays off: behind the coil with it on"), "mV"),
    Check.RETURN_OPENS: (tr("return switch of the contactor's coil is shorted: behind the coil with it off"), "mV"),
    Check.RETURN_CLOSES: (tr("return switch of the contactor's coil stays off: behind the coil with it on"), "mV"),
    Check.GATE_ALONE: (tr("supply switch of the contactor's coil is shorted (1 is closed by the return alone)"), ""),
    Check.RETURN_ALONE: (tr("return switch of the contactor's coil is shorted (1 is closed by the supply alone)"), ""),
    Check.GATE_HOLD_SHORTEST: (tr("the coil's supply switch holds after a pulse for at most"), "ms"),
    Check.GATE_HOLD_LONGEST: (tr("the coil's supply switch holds after a pulse for at least"), "ms"),
    Check.COIL_SUPPLY: (tr("the contactor's coil supply"), "mV"),
}
EVIDENCE = tr("{name}: {measured}, allowed {lowest} to {highest}")
SELF_TESTS: Mapping[SelfTestStatus, str] = {
    SelfTestStatus.RUNNING: tr("running"),
    SelfTestStatus.PASSED: tr("passed"),
    SelfTestStatus.NOT_PASSED: tr("not passed"),
}
FINDINGS: Mapping[FindingKind, str] = {
    FindingKind.FAULT: tr("fault"),
    FindingKind.WAIT: tr("wait"),
    FindingKind.NOTICE: tr("notice"),
    FindingKind.CHARGING: tr("charging"),
}
DIODES: Mapping[Diode, str] = {diode: tr(diode.value) for diode in Diode}

# Why the box does what it does, beyond one fault, wait or notice.

SAFETY_SILENT = (
    tr("the safety process does not answer"),
    tr("The safety process has not spoken {since}; without it the contactor is open and nothing is offered."),
    tr("Look why: systemctl status evse-pi-safety; journalctl -u evse-pi-safety. It is restarted every second."),
)
SINCE_START = tr("since the node process started")
FOR_SECONDS = tr("for {seconds} s")
COULD_NOT_START = tr(" It could not start: {refusal}")
CORRECT_IT = tr("Correct what it names; it tries again every second. ")
GIVE_DEVICE_BACK = tr("Give the user evse-safety its device back: groups spi and gpio, ls -l on the device.")
CALIBRATE = tr(" If a meter shows +12 V and -12 V, the calibration has drifted: sudo evse-pi calibrate.")
TIMING_FIGURES = tr(
    " Since the start: latest tick {late_ms:.0f} ms late, 99.9 % of reactions within {reaction_ms:.0f} ms."
)
SILENT_NOW = tr(" Silent now: {devices}.")
SELF_TEST_FOUND = tr(" Self-test {evidence}.")
GOES_ON = tr("The box goes on charging")
DOES_NOT_CHARGE = tr("The box does not charge")
ENDS = tr(" It ends {clears}.")
MORE_FAULTS = (tr(" {number} more fault below."), tr(" {number} more faults below."))
TAKES = tr("The vehicle takes {drawn}.")
TAKES_LESS = tr("The vehicle takes only {drawn} of it: that is its own choice (full, cold, set in the car).")

# Of a box whose node process does not answer: title, what is seen, what to do.

BOX_NOT_RUNNING = (
    tr("the box does not run"),
    tr("Neither process of the box runs; the safety process {ended} {age_s} s ago. Nothing is energised."),
    tr("Start both: sudo systemctl start evse-pi-safety evse-pi-node."),
)
WAS_STOPPED, ENDED_WITHOUT_A_WORD = tr("was stopped"), tr("ended without a word")
NODE_HANGS = (
    tr("the node process hangs"),
    tr("The node process hangs: it runs and does not answer."),
    tr("Restart it: sudo systemctl restart evse-pi-node; read what it did last: journalctl -u evse-pi-node."),
)
NODE_SILENT = (
    tr("the node process does not answer"),
    tr("The node process does not answer."),
    tr("Start it: sudo systemctl start evse-pi-node; read why it ended: journalctl -u evse-pi-node."),
)
SAFETY_GOES_ON = tr(
    "The safety process runs and {charges} ({state}, {offered} offered); {lease}, and without a new one it stops the "
    "vehicle and opens."
)
CHARGES, CHARGES_NOT = tr("charges"), tr("does not charge")
LEASE_ENDS, LEASE_HAS_ENDED = tr("its permission ends in {left_s} s"), tr("its permission has ended")
