"""The tables of the Energy EVSE cluster, every optional and provisional part included."""

from __future__ import annotations

from evse_pi.charging.targets import DAYS, MAX_SCHEDULES, MINUTES_PER_DAY
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from evse_pi.core.duty import MIN_OFFER_MA
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Event, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import EnergyEvse

MAX_RANDOMIZATION_S = 86_400

_CURRENT = "amperage-ma"
_ENERGY = "energy-mwh"

SCHEMA = ClusterSchema(
    EnergyEvse,
    revision=3,
    features=(
        Feature("PREF", "ChargingPreferences", "M"),
        Feature("SOC", "SoCReporting", "P, O"),
        Feature("PNC", "PlugAndCharge", "P, O"),
        Feature("RFID", "Rfid", "O"),
        Feature("V2X", "V2x", "P, O"),
    ),
    attributes=(
        Attribute("State", "enum8", "R V", "X", default=None),
        Attribute("SupplyState", "enum8"),
        Attribute("FaultState", "enum8"),
        Attribute("ChargingEnabledUntil", "epoch-s", "R V", "X N", default=0),
        Attribute("DischargingEnabledUntil", "epoch-s", "R V", "X N", "V2X", default=0),
        Attribute("CircuitCapacity", _CURRENT, "R V", "N", "M", "min 0", 0),
        Attribute("MinimumChargeCurrent", _CURRENT, "R V", "N", "M", "min 0", MIN_OFFER_MA),
        Attribute("MaximumChargeCurrent", _CURRENT, "R V", "N", "M", "min 0", 0),
        Attribute("MaximumDischargeCurrent", _CURRENT, "R V", "N", "V2X", "min 0", 0),
        Attribute("UserMaximumChargeCurrent", _CURRENT, "RW VM", "N", "O", "min 0", 0),
        Attribute(
            "RandomizationDelayWindow",
            "elapsed-s",
            "RW VM",
            "N",
            "O",
            f"max {MAX_RANDOMIZATION_S}",
            USUAL_RANDOM_DELAY_S,
        ),
        Attribute("NextChargeStartTime", "epoch-s", "R V", "X", "PREF", default=None),
        Attribute("NextChargeTargetTime", "epoch-s", "R V", "X", "PREF", default=None),
        Attribute("NextChargeRequiredEnergy", _ENERGY, "R V", "X", "PREF", "min 0", None),
        Attribute("NextChargeTargetSoC", "percent", "R V", "X", "PREF", default=None),
        Attribute("ApproximateEVEfficiency", "uint16", "RW VM", "X N", "[PREF]", default=None),
        Attribute("StateOfCharge", "percent", "R V", "X", "SOC", default=None),
        Attribute("BatteryCapacity", _ENERGY, "R V", "X", "SOC", "min 0", None),
        Attribute("VehicleID", "string", "R V", "X", "PNC", "max 32", None),
        Attribute("SessionID", "uint32", "R V", "X N", default=None),
        Attribute("SessionDuration", "elapsed-s", "R V", "X N Q", default=None),
        Attribute("SessionEnergyCharged", _ENERGY, "R V", "X N Q", "M", "min 0", None),
        Attribute("SessionEnergyDischarged", _ENERGY, "R V", "X N Q", "V2X", "min 0", None),
    ),
    commands=(
        Command("Disable", "O T"),
        Command(
            "EnableCharging",
            "O T",
            fields=(
                Field("chargingEnabledUntil", "epoch-s"),
                Field("minimumChargeCurrent", _CURRENT, "min 0"),
                Field("maximumChargeCurrent", _CURRENT, "min 0"),
            ),
        ),
        Command(
            "EnableDischarging",
            "O T",
            "V2X",
            fields=(Field("dischargingEnabledUntil", "epoch-s"), Field("maximumDischargeCurrent", _CURRENT, "min 0")),
        ),
        Command("StartDiagnostics", "O T", "O"),
        Command(
            "SetTargets", "O T", "PREF", fields=(Field("chargingTargetSchedules", "list", f"max {MAX_SCHEDULES}"),)
        ),
        Command("GetTargets", "O T", "PREF"),
        Command("ClearTargets", "O T", "PREF"),
    ),
    events=(
        Event("EVConnected", "info", fields=(Field("sessionID", "uint32"),)),
        Event("EVNotDetected", "info"),
        Event("EnergyTransferStarted", "info"),
        Event("EnergyTransferStopped", "info"),
        Event("Fault", "critical"),
        Event("RFID", "info", conformance="[RFID]", fields=(Field("uid", "octets", "max 10"),)),
    ),
    structs=(
        Struct("GetTargetsResponse", (Field("chargingTargetSchedules", "list", "max 7"),)),
        Struct(
            "EVNotDetected",
            (
                Field("sessionID", "uint32"),
                Field("sessionDuration", "elapsed-s"),
                Field("sessionEnergyCharged", "energy-mwh", "min 0"),
                Field("sessionEnergyDischarged", "energy-mwh", "min 0"),
            ),
        ),
        Struct(
            "EnergyTransferStarted",
            (
                Field("sessionID", "uint32"),
                Field("maximumCurrent", "amperage-ma", "min 0"),
                Field("maximumDischargeCurrent", "amperage-ma", "min 0"),
            ),
        ),
        Struct(
            "EnergyTransferStopped",
            (
                Field("sessionID", "uint32"),
                Field("energyTransferred", "energy-mwh", "min 0"),
                Field("energyDischarged", "energy-mwh", "min 0"),
            ),
        ),
        Struct("Fault", (Field("sessionID", "uint32"),)),
        Struct(
            "ChargingTargetStruct",
            (
                Field("targetTimeMinutesPastMidnight", "uint16", f"max {MINUTES_PER_DAY - 1}"),
                Field("targetSoC", "percent"),
                Field("addedEnergy", _ENERGY, "min 0"),
            ),
        ),
        Struct("ChargingTargetScheduleStruct", (Field("dayOfWeekForSequence", "map8", f"1 to {DAYS}"),)),
    ),
)
