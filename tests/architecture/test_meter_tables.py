"""A meter model has its line in every table that a set-up or a cluster looks it up in, so that none fails at a box."""

from __future__ import annotations

from boards.spec import MEASURED_PHASES, MeterModel
from evse_pi.device.measurement_accuracy import METERS


def test_every_meter_has_its_phases_and_its_accuracy() -> None:
    assert MEASURED_PHASES.keys() == set(MeterModel)
    assert METERS.keys() >= {model.value for model in MeterModel}
