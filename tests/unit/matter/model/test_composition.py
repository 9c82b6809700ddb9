"""New server classes are derived from old ones: features, optional elements, tables, defaults, other clusters."""

from __future__ import annotations

from typing import Any

import pytest

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature
from evse_pi.matter.wire.chip_objects import (
    DeviceEnergyManagementMode,
    ElectricalPowerMeasurement,
    EnergyEvse,
    EnergyEvseMode,
    ValveConfigurationAndControl,
)
from evse_pi.matter.wire.status_code import MatterStatus
from tests.support.model_bench import CHARGER, Charger

Flags = EnergyEvse.Bitmaps.Feature


def keys(kind: type[ClusterServer]) -> set[str]:
    return {attribute.key for attribute in kind.cluster.attributes.values()}


def test_features_bring_their_elements_and_leave_the_class_alone() -> None:
    bidirectional = Charger.with_features("V2X", "SOC", "RFID")
    assert bidirectional.cluster.feature_map == 0x1 | 0x2 | 0x8 | 0x10
    assert {"session_energy_discharged", "state_of_charge"} <= keys(bidirectional)
    assert 3 in bidirectional.cluster.commands
    assert 5 in bidirectional.cluster.events
    assert not {"session_energy_discharged", "state_of_charge"} & keys(Charger)
    assert issubclass(bidirectional, Charger)
    assert bidirectional.__name__ == "Charger"
    with pytest.raises(TypeError, match="enable_discharging"):
        bidirectional()


def test_features_may_be_given_as_flags() -> None:
    assert Charger.with_features(Flags.kRfid | Flags.kSoCReporting).cluster.features == {"PREF", "RFID", "SOC"}


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(ValueError, match="EnergyEvse has no feature FLY; it has PREF, RFID, SOC, V2X"):
        Charger.with_features("FLY")


def test_optional_elements_are_enabled_by_either_name() -> None:
    kind = Charger.enable(
        attributes=("UserMaximumChargeCurrent", "randomization_delay_window"), commands=("start_diagnostics",)
    )
    assert {"user_maximum_charge_current", "randomization_delay_window"} <= keys(kind)
    assert 4 in kind.cluster.commands
    assert kind.enable(attributes=("RandomizationDelayWindow",)).cluster.commands == kind.cluster.commands


def test_a_disallowed_or_unknown_element_cannot_be_enabled() -> None:
    with pytest.raises(ValueError, match="disallows SessionEnergyDischarged"):
        Charger.enable(attributes=("SessionEnergyDischarged",))
    with pytest.raises(ValueError, match="no element 'Speed'"):
        Charger.enable(attributes=("Speed",))
    with pytest.raises(ValueError, match="no element 'EVConnected'"):
        Charger.enable(commands=("EVConnected",))


def test_a_constraint_can_be_altered() -> None:
    tighter = Charger.alter(circuit_capacity={"constraint": "0 to 32000", "default": 16_000})
    assert tighter().state.circuit_capacity == 16_000
    with pytest.raises(MatterStatus, match="0 to 32000"):
        tighter(circuit_capacity=32_001)
    Charger(circuit_capacity=32_001)
    with pytest.raises(ValueError, match="no element speed"):
        Charger.alter(speed={"constraint": "max 1"})
    with pytest.raises(ValueError, match="no column colour"):
        Charger.alter(circuit_capacity={"colour": "red"})


def test_conformance_can_be_altered_too() -> None:
    assert 4 in Charger.alter(start_diagnostics={"conformance": "M"}).cluster.commands


def test_defaults_can_be_set_and_are_checked() -> None:
    kind = Charger.set(circuit_capacity=25_000)
    assert kind.defaults["circuit_capacity"] == 25_000
    assert kind().state.circuit_capacity == 25_000
    assert kind(circuit_capacity=1).state.circuit_capacity == 1
    assert kind.enable(commands=("StartDiagnostics",)).defaults["circuit_capacity"] == 25_000
    with pytest.raises(MatterStatus, match="CircuitCapacity=-5"):
        Charger.set(circuit_capacity=-5)
    with pytest.raises(AttributeError, match="no attribute 'speed'"):
        Charger.set(speed=1)


def mode_schema(chip: Any) -> ClusterSchema:
    return ClusterSchema(
        chip,
        revision=2,
        attributes=(Attribute("SupportedModes", "list", quality="F"), Attribute("CurrentMode", "uint8", quality="N")),
        commands=(Command("ChangeToMode"),),
    )


class Mode(ClusterServer):
    """One implementation for every mode cluster."""

    schema = mode_schema(EnergyEvseMode)

    def change_to_mode(self, request: Any) -> Any:
        self.state.current_mode = request.newMode
        return self.schema.chip.Commands.ChangeToModeResponse(status=0, statusText="")


def test_one_behaviour_serves_like_clusters() -> None:
    management = Mode.for_cluster(mode_schema(DeviceEnergyManagementMode))
    assert (Mode.cluster.id, management.cluster.id) == (0x9D, 0x9F)
    assert management.id == "device_energy_management_mode"
    assert management().change_to_mode(type("Request", (), {"newMode": 2})).status == 0


def test_supports_asks_for_the_same_cluster_with_nothing_missing() -> None:
    more = Charger.with_features("PREF", "RFID").enable(attributes=("UserMaximumChargeCurrent",))
    assert more.supports(Charger)
    assert not Charger.supports(more)
    assert not Mode.supports(Charger)


MEASUREMENT = ClusterSchema(
    ElectricalPowerMeasurement,
    revision=1,
    features=(Feature("DIRC", "DirectCurrent", "O.a+"), Feature("ALTC", "AlternatingCurrent", "O.a+")),
    attributes=(Attribute("PowerMode", "enum8"),),
)


def test_a_choice_of_features_has_to_be_made() -> None:
    with pytest.raises(ValueError, match="needs at least one of DIRC, ALTC; 0 chosen"):
        type("Meter", (ClusterServer,), {"schema": MEASUREMENT})

    class Meter(ClusterServer, features=("ALTC",)):
        schema = MEASUREMENT

    assert Meter.with_features("ALTC", "DIRC").cluster.feature_map == 3
    exactly_one = ClusterSchema(
        ElectricalPowerMeasurement,
        revision=1,
        features=(Feature("DIRC", "DirectCurrent", "O.a"), Feature("ALTC", "AlternatingCurrent", "O.a")),
    )
    assert Meter.for_cluster(exactly_one).cluster.features == {"ALTC"}
    with pytest.raises(ValueError, match="needs exactly one of DIRC, ALTC; 2 chosen"):
        Meter.for_cluster(exactly_one).with_features("ALTC", "DIRC")


def test_a_command_named_like_a_part_of_the_server_gets_a_longer_method() -> None:
    class Valve(ClusterServer):
        schema = ClusterSchema(ValveConfigurationAndControl, revision=1, commands=(Command("Open"), Command("Close")))

        def open(self, _request: Any) -> None: ...

        def close_command(self) -> None: ...

    Valve()


def test_an_attribute_the_chip_package_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="the chip package has no attribute Speed"):
        type("Bad", (ClusterServer,), {"schema": ClusterSchema(EnergyEvse, 3, attributes=(Attribute("Speed"),))})


def test_schemas_answer_for_their_rows() -> None:
    assert CHARGER.attribute("circuit_capacity") is CHARGER.attribute("CircuitCapacity")
    with pytest.raises(ValueError, match="no attribute 'speed'"):
        CHARGER.attribute("speed")
