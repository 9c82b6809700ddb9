"""The zone of the place, which is the machine's and may be set to another while the box runs."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from evse_pi.charging.clock import PlaceZone, SystemClock

SUMMER_S = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp())


def offset_h(zone: PlaceZone) -> float:
    """Return what the clocks of the place, looked at again, are ahead of UTC on a day in summer."""
    zone.read()
    offset = datetime.fromtimestamp(SUMMER_S, zone.known).utcoffset()
    assert offset is not None
    return offset.total_seconds() / 3600


def rules(name: str) -> Path:
    """Return the file of a zone's rules. Source: the machine's tzdata."""
    found = next((file for folder in TZPATH if (file := Path(folder) / name).is_file()), None)
    if found is None:
        pytest.skip("needs the package tzdata")
    return found


def test_the_zone_of_the_place_has_its_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert str(SystemClock().zone) == "Europe/Berlin"
    assert offset_h(PlaceZone()) == 2
    monkeypatch.setenv("TZ", "no such zone")
    assert SystemClock().zone is not None


def test_a_zone_that_is_set_to_another_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`timedatectl set-timezone` replaces the link, an update of the rules the file behind it. Source: localtime(5)."""
    monkeypatch.delenv("TZ", raising=False)
    link, fresh = tmp_path / "localtime", tmp_path / "fresh"
    link.symlink_to(rules("Europe/Berlin"))
    zone = PlaceZone(link)
    assert offset_h(zone) == 2
    fresh.symlink_to(rules("Asia/Kolkata"))
    fresh.rename(link)
    assert offset_h(zone) == 5.5
    link.unlink()
    shutil.copy(rules("Asia/Tokyo"), fresh)
    fresh.rename(link)
    assert offset_h(zone) == 9


def test_who_asks_for_the_zone_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner asks on the event loop, which must not wait for a memory card."""
    monkeypatch.delenv("TZ", raising=False)
    file = tmp_path / "localtime"
    shutil.copy(rules("Asia/Tokyo"), file)
    zones = PlaceZone(file)
    file.unlink()
    shutil.copy(rules("Asia/Kolkata"), file)
    tokyo = datetime.fromtimestamp(SUMMER_S, zones.known).utcoffset()
    assert (tokyo, offset_h(zones)) == (timedelta(hours=9), 5.5)


def test_a_zone_that_cannot_be_read_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    file = tmp_path / "localtime"
    zone = PlaceZone(file)
    assert zone.known is UTC
    shutil.copy(rules("Asia/Tokyo"), file)
    assert offset_h(zone) == 9
    file.write_bytes(b"no rules")
    assert offset_h(zone) == 9
    whole = rules("Europe/Berlin").read_bytes()
    for length in range(len(whole) - 1):  # torn by a power cut
        file.write_bytes(whole[:length])
        os.utime(file, ns=(0, length))  # as another file each time
        zone.read()
    file.unlink()
    assert offset_h(zone) == 9
