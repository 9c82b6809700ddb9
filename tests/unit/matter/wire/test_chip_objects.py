"""The chip package's types are loaded one cluster at a time and stay out of its way."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import chip.tlv
import pytest

from evse_pi.matter.wire import chip_objects

_SUBSET = """
import sys
from evse_pi.matter.wire.chip_objects import EnergyEvse, Globals
assert EnergyEvse.id == 0x99
assert "chip.clusters" not in sys.modules
assert not hasattr(sys.modules["evse_pi_chip.clusters.Objects"], "DoorLock")
"""
_BESIDE = """
from evse_pi.matter.wire.chip_objects import OnOff, NullValue
import chip.clusters as full
assert full.OnOff is not OnOff and full.OnOff.id == OnOff.id
assert len(full.ClusterObjects.ALL_CLUSTERS) > 100
value = full.Identify.Commands.Identify(identifyTime=5)
value.identifyTime = 6
assert full.Identify.Commands.Identify.FromTLV(value.ToTLV()).identifyTime == 6
"""


@pytest.mark.parametrize("script", [_SUBSET, _BESIDE], ids=["a cluster loads alone", "the full package works beside"])
def test_in_a_process_of_its_own(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_cluster_of_the_chip_package_loads() -> None:
    names = list(chip_objects._objects()._slices)
    assert len(names) > 130
    for name in names:
        loaded = getattr(chip_objects, name)
        assert name == "Globals" or isinstance(loaded.id, int)


def test_structures_are_values() -> None:
    struct = chip_objects.Descriptor.Structs.DeviceTypeStruct(deviceType=1, revision=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        struct.revision = 3
    assert hash(struct) == hash(chip_objects.Descriptor.Structs.DeviceTypeStruct(deviceType=1, revision=2))


def test_an_unknown_cluster_is_named() -> None:
    with pytest.raises(AttributeError, match="no cluster 'Toaster'"):
        _ = chip_objects.Toaster


def chip_lies_in(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Let `chip` be found as a namespace package, as it is where nothing but its clusters is installed."""
    spec = ModuleSpec("chip", None, is_package=True)
    spec.submodule_search_locations = [str(place) for place in paths]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if paths else None)


def test_the_clusters_are_found_where_chip_has_no_file_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = Path(chip.tlv.__file__).parents[1]
    chip_lies_in(monkeypatch, tmp_path / "elsewhere", installed)
    assert chip_objects._folder_of_objects() == installed


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chip_lies_in(monkeypatch, tmp_path)
    with pytest.raises(ImportError, match=rf"home-assistant-chip-clusters .*{tmp_path}\) has no clusters/Objects.py"):
        chip_objects._folder_of_objects()
    chip_lies_in(monkeypatch)
    with pytest.raises(ImportError, match=r"home-assistant-chip-clusters .* no package chip"):
        chip_objects._folder_of_objects()
