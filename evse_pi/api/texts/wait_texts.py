"""Everything the box may be waiting for, each with its name, what is seen and what would end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.api.texts.fault_texts import amps, volts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    WaitText = tuple[str, str, str]

_WHO = {
    "OWNER": ("the owner has stopped charging", "Permit it again: evse-pi permit."),
    "ENABLE_CHARGING": ("the controller (Matter) has not enabled charging, or its time is over", "Enable it there."),
    "USER_MAXIMUM": ("the user's maximum forbids it", "Raise it in the controller's app."),
    "POWER_ADJUSTMENT": ("the energy manager has paused it", "Wait, or end the adjustment in the energy manager."),
    "SCHEDULE": ("the schedule has it charge later", "Wait, or start now: evse-pi start."),
    "RANDOM_DELAY": ("a random delay spreads the load of many boxes", "Wait, or start now: evse-pi start."),
    "LEASE": ("nobody stands behind the demand", "Look at the node process: systemctl status evse-pi-node."),
}


def _pilot(status: Mapping[str, Any]) -> str:
    pilot = status["pilot"] or {}
    return f"the pilot stands at {volts(pilot.get('high_mv'))}"


def _winner(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return status["limit"] or {"source": "LEASE", "limit_ma": 0, "text": "nobody who permits it"}


def charging(status: Mapping[str, Any]) -> WaitText:
    """The contactor is closed."""
    limit = _winner(status)
    what = f"The box charges and offers {amps(status['offered_current_ma'])}, limited by {limit['text']}"
    return "CHARGING", f"{what} ({amps(limit['limit_ma'])}).", "Nothing."


def no_vehicle(status: Mapping[str, Any]) -> WaitText:
    """State A."""
    what = f"No vehicle is plugged in: {_pilot(status)}."
    return "NO_VEHICLE", what, "Plug one in; if one is, try another cable and check the pilot contact."


def pilot_uncertain(status: Mapping[str, Any]) -> WaitText:
    """Nothing accepted yet."""
    what = f"The pilot cannot be read for certain yet: {_pilot(status)}."
    return "PILOT_UNCERTAIN", what, "Wait a second; look at it if it stays: evse-pi scope."


def no_lease(_: Mapping[str, Any]) -> WaitText:
    """The node has not asked."""
    what = "The safety process has had no permission from the node process in the last 15 s."
    return "NO_LEASE", what, "It comes within 10 s of a start; else: systemctl status evse-pi-node; evse-pi log."


def not_permitted(status: Mapping[str, Any]) -> WaitText:
    """Somebody says no."""
    against = [each for each in status["limits"] if not each["permitted"]]
    if not against:
        return "NOT_PERMITTED", "The last demand did not permit charging.", "Wait for the next one, within 2 s."
    first = against[0]
    what, do = _WHO.get(first["source"], (first["text"], "Ask who set it."))
    ends = f", for {first['in_s']} s more" if first.get("in_s") else ""
    return (
        first["source"] if first["source"] in _WHO else "NOT_PERMITTED",
        f"Charging is not permitted: {what}{ends}.",
        do,
    )


def below_minimum(status: Mapping[str, Any]) -> WaitText:
    """A limit below 6 A."""
    limit = _winner(status)
    if limit["source"] == "STALE_SENSOR":
        silent = [f"{each['device']} ({each['trouble']})" for each in status.get("devices", []) if each["trouble"]]
        what = f"A sensor that the box must watch is silent: {', '.join(silent) or 'none has answered yet'}."
        return "STALE_SENSOR", what, "Check its supply, bus and address; charging goes on by itself when it answers."
    if limit["source"] == "LEASE":
        return no_lease(status)
    what, do = _WHO.get(limit["source"], (f"{limit['text']} allows less", "Find out who set it: evse-pi status."))
    less = f"{limit['text']} allows {amps(limit['limit_ma'])}, and less than 6.0 A cannot be offered to a vehicle"
    if limit["source"] == "OWNER":
        do = "Set a higher limit: evse-pi set 16A, or none: evse-pi set none."
    return "LIMIT_BELOW_MINIMUM", f"The limit is too low: {less}.", do


def minimum_off_time(_: Mapping[str, Any]) -> WaitText:
    """The contacts cool."""
    return "MINIMUM_OFF_TIME", "The contactor rests between two closes to spare its contacts.", "Wait."


def rcd_test(_: Mapping[str, Any]) -> WaitText:
    """Before the first close of a vehicle."""
    return "RCD_TEST", "The residual current device is tested, as for every vehicle.", "Wait about a second."


def locking(_: Mapping[str, Any]) -> WaitText:
    """The plug is not held."""
    what = "The plug is not locked yet: the lock's feedback contact does not say so."
    return "LOCKING", what, "Push the plug fully in; after five tries it becomes a fault."


def reading_cable(_: Mapping[str, Any]) -> WaitText:
    """The coding resistor has not been read steadily yet."""
    return "READING_CABLE", "The box reads what the plugged cable may carry.", "Wait a second."


def vehicle_not_ready(status: Mapping[str, Any]) -> WaitText:
    """State B, offered, and the vehicle does not take it."""
    what = f"The vehicle is offered {amps(status['offered_current_ma'])} and does not ask for power: {_pilot(status)}."
    do = "It is full, waits for its own timer, or sleeps: look into the car or its app; wake it: evse-pi wake."
    return "VEHICLE_NOT_READY", what, do


def waking(_: Mapping[str, Any]) -> WaitText:
    """The ladder."""
    what = "The vehicle ignored the offer for 90 s, so it sleeps; the box takes the offer away for a while to wake it."
    return "WAKING_VEHICLE", what, "Wait; if it does not help, unlock the car or plug it in anew."


def settling(_: Mapping[str, Any]) -> WaitText:
    """5 s between two changes of the pilot."""
    return "PWM_SETTLING", "The pilot has just changed; a vehicle gets 5 s before the next offer.", "Wait."


def stopping(_: Mapping[str, Any]) -> WaitText:
    """The grace of 6 s."""
    what = "The offer has ended, and the vehicle has up to 6 s to stop drawing before the contactor opens."
    return "STOPPING", what, "Wait."


def retry(_: Mapping[str, Any]) -> WaitText:
    """A reclosure after a residual current."""
    what = "Residual current flowed; this installation lets the box reset the device by itself after 15 minutes."
    return "RETRY_WAIT", what, "Look for moisture in cable and plug meanwhile, or acknowledge: evse-pi clear."


def state_f(_: Mapping[str, Any]) -> WaitText:
    """State F after a fault."""
    return "STATE_F_HOLD", "The box tells the vehicle that it is out of service after a fault.", "Wait a second."


def starting(_: Mapping[str, Any]) -> WaitText:
    """About to close."""
    return "STARTING", "The vehicle asks, and the last checks before closing run.", "Wait a second."


def self_test(_: Mapping[str, Any]) -> WaitText:
    """At the start and on request."""
    return "SELF_TEST", "The box tests itself, or waits to do so.", "Wait a few seconds; see it: evse-pi selftest."


def faulted(_: Mapping[str, Any]) -> WaitText:
    """A fault whose record has not come yet."""
    return "FAULT", "A fault forbids charging.", "Read: evse-pi faults."


REASONS: dict[str, Callable[[Mapping[str, Any]], WaitText]] = {
    "CHARGING": charging,
    "STARTING": starting,
    "SELF_TEST": self_test,
    "FAULT": faulted,
    "NO_VEHICLE": no_vehicle,
    "PILOT_UNCERTAIN": pilot_uncertain,
    "NO_LEASE": no_lease,
    "NOT_PERMITTED": not_permitted,
    "LIMIT_BELOW_MINIMUM": below_minimum,
    "MINIMUM_OFF_TIME": minimum_off_time,
    "RCD_TEST": rcd_test,
    "LOCKING": locking,
    "VEHICLE_NOT_READY": vehicle_not_ready,
    "WAKING_VEHICLE": waking,
    "PWM_SETTLING": settling,
    "STOPPING": stopping,
    "RETRY_WAIT": retry,
    "STATE_F_HOLD": state_f,
    "READING_CABLE": reading_cable,
}
