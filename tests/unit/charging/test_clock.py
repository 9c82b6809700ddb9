"""The zone of the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.charging.clock import local_zone

if TYPE_CHECKING:
    import pytest


def test_the_zone_of_the_place_has_its_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert str(local_zone()) == "Europe/Berlin"
    monkeypatch.setenv("TZ", "No/Where")
    assert local_zone() is not None
