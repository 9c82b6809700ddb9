"""The notations of the specification's tables: conformance, constraint, access, quality, names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.matter.identity.acl import Privilege
from evse_pi.matter.model.conformance import Conformance, Presence
from evse_pi.matter.model.datatype import Bounds, parse_constraint, type_bounds
from evse_pi.matter.model.declaration import (
    Attribute,
    ClusterSchema,
    Event,
    attribute_access,
    invoke_access,
    snake_case,
)
from evse_pi.matter.wire.chip_objects import OnOff

M, OPT, P, X = Presence.MANDATORY, Presence.OPTIONAL, Presence.PROVISIONAL, Presence.DISALLOWED


@pytest.mark.parametrize(
    ("text", "features", "presence"),
    [
        ("M", "", M),
        ("O", "", OPT),
        ("X", "", X),
        ("P, M", "", P),
        ("LT", "LT", M),
        ("LT", "", X),
        ("[LT]", "LT", OPT),
        ("[LT]", "", X),
        ("!LT", "", M),
        ("!LT", "LT", X),
        ("A & B", "A", X),
        ("A & B", "A B", M),
        ("A | B", "B", M),
        ("A & (B | !C)", "A C", X),
        ("A & (B | !C)", "A", M),
        ("A, [B], O", "", OPT),
        ("A, [B]", "B", OPT),
        ("O.a+", "", OPT),
        ("[A].b", "A", OPT),
    ],
)
def test_conformance_says_what_must_be_there(text: str, features: str, presence: Presence) -> None:
    assert Conformance(text).presence(set(features.split())) is presence


@pytest.mark.parametrize("text", ["A &", "(A", "A B", "& A", "A )", "A + B", ""])
def test_a_broken_conformance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="conformance"):
        Conformance(text).presence({"A", "B"})


def test_a_choice_is_exactly_one_or_at_least_one() -> None:
    exactly, at_least = Conformance("O.a").choice, Conformance("O.b+").choice
    assert exactly is not None
    assert (exactly.group, exactly.at_least) == ("a", False)
    assert at_least is not None
    assert (at_least.group, at_least.at_least) == ("b", True)
    assert Conformance("O").choice is None


@pytest.mark.parametrize(
    ("text", "bounds", "entries"),
    [
        ("", Bounds(), Bounds()),
        ("all", Bounds(), Bounds()),
        ("max 80", Bounds(None, 80), Bounds()),
        ("min -5", Bounds(-5, None), Bounds()),
        ("1 to 64", Bounds(1, 64), Bounds()),
        ("max 7[max 10]", Bounds(None, 7), Bounds(None, 10)),
    ],
)
def test_constraints_bound_value_and_entries(text: str, bounds: Bounds, entries: Bounds) -> None:
    constraint = parse_constraint(text)
    assert (constraint.bounds, constraint.entries) == (bounds, entries)


@pytest.mark.parametrize("text", ["max", "5", "max x", "1 to", "min 1 max 2"])
def test_a_broken_constraint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="constraint"):
        parse_constraint(text)


@given(st.integers(1, 8), st.integers(-(1 << 70), 1 << 70))
def test_integer_types_hold_what_their_width_holds(octets: int, value: int) -> None:
    bits = 8 * octets
    assert type_bounds(f"uint{bits}").hold(value) == (0 <= value < 1 << bits)
    assert type_bounds(f"int{bits}").hold(value) == (-(1 << bits - 1) <= value < 1 << bits - 1)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="type 'uint7'"):
        Attribute("OnOff", "uint7")


def test_access_is_read_as_the_specification_writes_it() -> None:
    access = attribute_access("RW F VA")
    assert (access.read, access.write, access.fabric_scoped) == (Privilege.VIEW, Privilege.ADMINISTER, True)
    assert attribute_access("R A").write is None
    assert attribute_access("W O").read is None
    assert attribute_access("RW T VM").timed
    assert invoke_access("O T").timed
    assert invoke_access("O T").write is Privilege.OPERATE
    assert invoke_access("A F").fabric_scoped


@pytest.mark.parametrize("text", ["V R", "RW V", "R Z", "RWX VV", "R Q V"])
def test_a_broken_access_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="access"):
        attribute_access(text)


@pytest.mark.parametrize("text", ["", "VO", "Z", "O Q"])
def test_a_broken_invoke_access_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="access"):
        invoke_access(text)


def test_wrong_qualities_priorities_and_features_are_refused() -> None:
    with pytest.raises(ValueError, match="quality"):
        Attribute("OnOff", "bool", quality="Z")
    with pytest.raises(ValueError, match="priority"):
        Event("Happened", "urgent")
    with pytest.raises(ValueError, match="unknown \\['XX'\\]"):
        ClusterSchema(OnOff, 6, attributes=(Attribute("OnOff", "bool", conformance="XX"),))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EVConnected", "ev_connected"),
        ("NOCs", "nocs"),
        ("NextChargeTargetSoC", "next_charge_target_soc"),
        ("UTCTime", "utc_time"),
        ("ApproximateEVEfficiency", "approximate_ev_efficiency"),
        ("OnOff", "on_off"),
        ("RMSVoltage", "rms_voltage"),
    ],
)
def test_names_become_pythons(name: str, expected: str) -> None:
    assert snake_case(name) == expected
