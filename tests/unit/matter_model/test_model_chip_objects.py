"""The chip package's types are loaded one cluster at a time and stay out of its way."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

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
