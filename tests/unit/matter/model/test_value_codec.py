"""Values are cast, checked and carried to TLV and back."""

from __future__ import annotations

import types
from typing import Any

import pytest
from chip.tlv import uint
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.model.declaration import Field, Struct
from evse_pi.matter.model.value_codec import CodecFactory, shape
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.chip_objects import AccessControl, ElectricalEnergyMeasurement, EnergyEvse, NullValue
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

TARGET = EnergyEvse.Structs.ChargingTargetStruct
SCHEDULE = EnergyEvse.Structs.ChargingTargetScheduleStruct
FACTORY = CodecFactory(
    (Struct("ChargingTargetStruct", (Field("targetTimeMinutesPastMidnight", "uint16", "max 1439"),)),)
)


def codec(annotation: Any, type_: str = "", constraint: str = "", **options: Any) -> Any:
    return FACTORY.field("X.Y", annotation, Field("Y", type_, constraint), **options)


def refusal(action: Any) -> MatterStatus:
    with pytest.raises(MatterStatus) as caught:
        action()
    return caught.value


def test_unsigned_values_are_written_unsigned_and_signed_ones_signed() -> None:
    assert isinstance(codec(uint, "uint16").to_tlv(5), uint)
    assert not isinstance(codec(int, "int16").to_tlv(5), uint)


def test_an_integer_outside_its_width_or_constraint_names_all_three() -> None:
    found = refusal(lambda: codec(uint, "uint16", "max 600").cast(601))
    assert found.status is StatusCode.CONSTRAINT_ERROR
    assert "X.Y=601" in found.reason
    assert "0 to 600" in found.reason
    assert refusal(lambda: codec(uint, "uint8").cast(256)).status is StatusCode.CONSTRAINT_ERROR
    assert refusal(lambda: codec(uint, "uint8").cast(-1)).status is StatusCode.CONSTRAINT_ERROR


@pytest.mark.parametrize(
    ("annotation", "wrong"),
    [(uint, "5"), (uint, True), (uint, None), (bool, 1), (str, b"x"), (bytes, "x"), (float, "1"), (uint, [1])],
)
def test_a_wrong_type_is_told_apart_from_a_wrong_value(annotation: Any, wrong: Any) -> None:
    assert refusal(lambda: codec(annotation).from_tlv(wrong)).status is StatusCode.INVALID_DATA_TYPE


def test_enumerations_become_members_and_know_their_values() -> None:
    state = codec(EnergyEvse.Enums.StateEnum, "enum8")
    assert state.cast(6) is EnergyEvse.Enums.StateEnum.kFault
    assert refusal(lambda: state.cast(7)).status is StatusCode.CONSTRAINT_ERROR
    assert refusal(lambda: state.from_tlv(uint(200))).status is StatusCode.CONSTRAINT_ERROR


def test_flags_may_be_combined_but_not_invented() -> None:
    days = codec(EnergyEvse.Bitmaps.TargetDayOfWeekBitmap)
    assert days.cast(0x7F) == 0x7F
    assert refusal(lambda: days.cast(0x80)).status is StatusCode.CONSTRAINT_ERROR


def test_null_is_none_where_a_field_cannot_be_absent() -> None:
    nullable = codec(uint, "uint32", nullable=True)
    assert nullable.cast(NullValue) is None
    assert nullable.from_tlv(None) is None
    assert nullable.to_tlv(None) is None
    assert refusal(lambda: codec(uint, "uint32").cast(None)).status is StatusCode.INVALID_DATA_TYPE


def test_lists_are_bounded_and_immutable() -> None:
    numbers = codec(list[uint], "list", "max 2[max 9]")
    assert numbers.cast([1, 9]) == (1, 9)
    assert refusal(lambda: numbers.cast([1, 2, 3])).status is StatusCode.CONSTRAINT_ERROR
    assert refusal(lambda: numbers.cast([10])).status is StatusCode.CONSTRAINT_ERROR
    assert refusal(lambda: numbers.from_tlv({})).status is StatusCode.INVALID_DATA_TYPE
    assert refusal(lambda: numbers.cast("ab")).status is StatusCode.INVALID_DATA_TYPE


def test_text_is_bounded_in_octets() -> None:
    label = codec(str, "string", "max 4")
    assert label.cast("äö") == "äö"
    assert refusal(lambda: label.cast("äöü")).status is StatusCode.CONSTRAINT_ERROR


def test_structures_are_made_from_mappings_and_checked_inside() -> None:
    target = FACTORY.struct("Target", TARGET)
    made = target.cast({"targetTimeMinutesPastMidnight": 480, "addedEnergy": 5})
    assert made == TARGET(targetTimeMinutesPastMidnight=480, addedEnergy=5)
    assert target.to_tlv(made) == {0: 480, 2: 5}
    assert (
        "targetTimeMinutesPastMidnight=1440"
        in refusal(lambda: target.cast(TARGET(targetTimeMinutesPastMidnight=1440))).reason
    )
    assert refusal(lambda: target.cast({"nonsense": 1})).status is StatusCode.INVALID_DATA_TYPE
    assert refusal(lambda: target.from_tlv({2: 5})).reason == "Target.targetTimeMinutesPastMidnight is missing"
    assert target.from_tlv({0: uint(1), 99: "unknown fields are ignored"}).targetTimeMinutesPastMidnight == 1


def test_optional_and_nullable_fields_know_absent_from_null() -> None:
    changed = FACTORY.struct("Event", AccessControl.Events.AccessControlEntryChanged)
    absent = FACTORY.struct("Measured", ElectricalEnergyMeasurement.Events.CumulativeEnergyMeasured)
    value = changed.from_tlv({1: None, 2: uint(0), 3: uint(1), 4: None, 254: uint(1)})
    assert value.adminNodeID is None
    assert changed.to_tlv(value)[1] is None
    assert absent.to_tlv(absent.from_tlv({})) == {}


def test_fabric_sensitive_fields_can_be_left_out() -> None:
    factory = CodecFactory((Struct("AccessControlEntryStruct", (Field("privilege", sensitive=True),)),))
    entry = factory.struct("Entry", AccessControl.Structs.AccessControlEntryStruct)
    value = entry.cast({"privilege": 5, "authMode": 2, "subjects": None, "targets": None, "fabricIndex": 2})
    assert 1 in entry.to_tlv(value)
    assert 1 not in entry.to_tlv(value, redacted=True)
    assert entry.to_tlv(value, redacted=True)[254] == 2


def test_shape_takes_annotations_apart() -> None:
    fields = {
        found.Label: shape(found.Type) for found in AccessControl.Structs.AccessControlEntryStruct.descriptor.Fields
    }
    assert (fields["subjects"].nullable, fields["subjects"].is_list, fields["subjects"].element) == (True, True, uint)
    assert not fields["authMode"].nullable
    assert not fields["authMode"].optional


targets = st.builds(
    TARGET,
    targetTimeMinutesPastMidnight=st.integers(0, 1439),
    targetSoC=st.none() | st.integers(0, 100),
    addedEnergy=st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
)


@given(
    st.lists(
        st.builds(SCHEDULE, dayOfWeekForSequence=st.integers(0, 127), chargingTargets=st.lists(targets)), max_size=7
    )
)
def test_what_is_cast_survives_the_wire(schedules: list[Any]) -> None:
    found = FACTORY.field("Schedules", types.GenericAlias(list, (SCHEDULE,)), None)
    normal = found.cast(schedules)
    assert found.from_tlv(tlv.decode(tlv.encode(found.to_tlv(normal)))) == normal
    assert found.cast(normal) == normal


def test_octets_which_may_be_a_key_are_never_shown() -> None:
    found = refusal(lambda: codec(bytes, "octets", "16 to 16").cast(b"secret key"))
    assert "secret" not in str(found)
    assert "10 octets" in found.reason
