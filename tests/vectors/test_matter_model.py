"""Every cluster that is served, compared with a foreign data model of the specification that the node claims.

Source: `tests/data/matter_model.json`, which names package, version and licence and is written by
`tests/interop/matterjs/model.mjs`; where the package is installed, that is done again and compared.
"""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
from pathlib import Path

import pytest

import evse_pi.device
import evse_pi.matter.clusters
from evse_pi.device.endpoints import DEVICE_TYPES as EVSE_DEVICE_TYPES
from evse_pi.matter.clusters.basic_information import DATA_MODEL_REVISION, SPECIFICATION_VERSION
from evse_pi.matter.interaction.messages import INTERACTION_MODEL_REVISION
from evse_pi.matter.model.declaration import ClusterSchema
from evse_pi.matter.node import ROOT_NODE
from examples.matter_lamp import ON_OFF
from tests.support.matter_bench import Bench
from tests.support.matter_model import CLUSTERS, DEVICE_TYPES, FILE, SOURCE, Comparison, compare, missing_requirements
from tests.support.virtual_loop import virtual_time
from tests.support.wallbox_device import servers, wallbox_bench

MATTERJS = Path(__file__).parents[1] / "interop" / "matterjs"
ANSWERED = "the command itself answers for it, with a status of its own"
CHIP_LACKS = "the chip package does not have it, and it is optional"
CHIP_MORE = "the chip package has optional fields of a later specification; none is ever sent"
CHOICE = "a choice inside an alternative, which concerns features that are not served"

EXPLAINED = {
    "AdministratorCommissioning.OpenCommissioningWindow.PAKEPasscodeVerifier": ANSWERED,
    "AdministratorCommissioning.OpenCommissioningWindow.discriminator": ANSWERED,
    "AdministratorCommissioning.OpenCommissioningWindow.iterations": ANSWERED,
    "AdministratorCommissioning.OpenCommissioningWindow.salt": ANSWERED,
    "GeneralCommissioning.SetRegulatoryConfig.countryCode": ANSWERED,
    "OperationalCredentials.AttestationRequest.attestationNonce": ANSWERED,
    "OperationalCredentials.CSRRequest.CSRNonce": ANSWERED,
    "OperationalCredentials.AddNOC.NOCValue": ANSWERED,
    "OperationalCredentials.AddNOC.ICACValue": ANSWERED,
    "OperationalCredentials.AddNOC.IPKValue": ANSWERED,
    "OperationalCredentials.UpdateNOC.NOCValue": ANSWERED,
    "OperationalCredentials.UpdateNOC.ICACValue": ANSWERED,
    "OperationalCredentials.SetVIDVerificationStatement.vendorID": "vendors 0 and above 0xFFF4 are no vendors",
    "EnergyEvse.ChargingTargetScheduleStruct.chargingTargets": ANSWERED,
    "EnergyEvse.ChargingTargetScheduleStruct.dayOfWeekForSequence": "seven days, and at least one",
    "GroupKeyManagement.GroupKeySetStruct fields": CHIP_LACKS,
    "NetworkCommissioning.NetworkInfoStruct fields": CHIP_MORE,
    "ElectricalEnergyMeasurement.EnergyMeasurementStruct fields": CHIP_MORE,
    "ElectricalEnergyMeasurement.MeasurementAccuracyStruct.measurementType values": CHIP_LACKS,
    "ElectricalPowerMeasurement.MeasurementAccuracyStruct.measurementType values": CHIP_LACKS,
    "ElectricalPowerMeasurement.MeasurementRangeStruct.measurementType values": CHIP_LACKS,
    "DeviceEnergyManagement.PFR conformance": CHOICE,
    "DeviceEnergyManagement.SFR conformance": CHOICE,
    "OnOff.OFFONLY conformance": "the model writes a negated disjunction without its parentheses",
}
"""Where we are otherwise than the model, and why. What is listed here without need fails."""


def schemas() -> dict[str, ClusterSchema]:
    """Return the tables of every cluster in the sources, by the name of the cluster."""
    found = [ON_OFF]
    for package in (evse_pi.matter.clusters, evse_pi.device):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            values = vars(importlib.import_module(module.name)).values()
            found += [value for value in values if isinstance(value, ClusterSchema)]
    return {schema.name: schema for schema in found}


SCHEMAS = schemas()


def explained(difference: str) -> str | None:
    """Return the entry of the table that a difference belongs to."""
    return next((each for each in EXPLAINED if difference == each or difference.startswith(each + " ")), None)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_cluster_is_what_the_data_model_says(name: str) -> None:
    result = Comparison()
    compare(SCHEMAS[name], result)
    found = {where: told for where, told in result.differences.items() if explained(where) is None}
    assert found == {}, "ours, theirs"
    needed = {explained(where) for where in result.differences}
    assert {each for each in EXPLAINED if each.startswith(f"{name}.")} == needed - {None}


def test_the_comparison_is_of_every_cluster_and_column() -> None:
    result = Comparison()
    for schema in SCHEMAS.values():
        compare(schema, result)
    assert set(SCHEMAS) == set(CLUSTERS)
    columns = {
        "access invoke", "access read", "access write", "bit", "conformance", "fabric", "features", "fields",
        "lower bound", "mandatory", "nullable", "optional", "priority", "quality C", "quality F", "quality N",
        "quality Q", "quality X", "response", "revision", "timed", "type", "upper bound", "values",
    }  # fmt: skip
    assert columns <= set(result.facts)
    assert sum(result.facts.values()) > 6000
    assert sum(result.open.values()) < 80  # what words or other values say, and no table can compare


def test_a_difference_is_seen() -> None:
    """The comparison finds what certification would: the three revisions and a type that were wrong here once."""
    from dataclasses import replace

    schema = SCHEMAS["ElectricalPowerMeasurement"]
    wrong = replace(
        schema,
        revision=1,
        attributes=tuple(
            replace(row, constraint="min 0", quality="X") if row.name == "ApparentCurrent" else row
            for row in schema.attributes
        ),
        events=(),
    )
    result = Comparison()
    compare(wrong, result)
    assert result.differences["ElectricalPowerMeasurement revision"] == (1, 3)
    assert result.differences["ElectricalPowerMeasurement.ApparentCurrent lower bound"] == (0, -(2**62))
    assert result.differences["ElectricalPowerMeasurement.ApparentCurrent quality Q"] == (False, True)


def test_the_versions_are_those_of_the_model() -> None:
    assert SOURCE["specification"] == "1.4.2"
    assert SOURCE["specification_version"] == SPECIFICATION_VERSION
    assert SOURCE["data_model_revision"] == DATA_MODEL_REVISION
    # The SDK that certifies sends 12 with 1.4.2 and later (src/app/SpecificationDefinedRevisions.h); peers take any.
    assert (INTERACTION_MODEL_REVISION, SOURCE["interaction_model_revision"]) == (12, 13)


@virtual_time
async def test_every_endpoint_has_what_its_device_types_require() -> None:
    """Which clusters are mandatory is the model's; what only a condition requires is not counted."""
    names = {told["id"]: name for name, told in DEVICE_TYPES.items() if name != "Base"}
    async with wallbox_bench() as bench:
        for endpoint in bench.node.tree.endpoints.values():
            types = {device_type.id for device_type in endpoint.device_types}
            for device_type in endpoint.device_types:
                name = names[device_type.id]
                assert device_type.revision == DEVICE_TYPES[name]["revision"], name
                assert list(missing_requirements(name, set(endpoint.servers), types)) == [], name
            assert list(missing_requirements("Base", set(endpoint.servers), types)) == []
    assert {ROOT_NODE.id, *(device_type.id for device_type in EVSE_DEVICE_TYPES)} <= set(names)


@virtual_time
async def test_nothing_provisional_is_served_unless_it_was_asked_for() -> None:
    """Source: conformance P, which certification refuses: ConfigurationVersion, and three features of the EVSE."""
    async with Bench() as bench:
        served = {
            (server.name, each.name) for _, server in servers(bench) for each in server.cluster.attributes.values()
        }
    provisional = {
        (cluster, element)
        for cluster, told in CLUSTERS.items()
        for element, row in told["attributes"].items()
        if row["conformance"] in ("P", "P, M", "P, O")
    }
    assert ("BasicInformation", "ConfigurationVersion") in provisional
    assert not served & provisional


def test_the_file_is_what_the_package_says() -> None:
    if shutil.which("node") is None or not (MATTERJS / "node_modules" / "matter-model").is_dir():
        pytest.skip("needs node and `npm ci` in tests/interop/matterjs")
    written = subprocess.run(["node", "model.mjs"], cwd=MATTERJS, check=True, capture_output=True, text=True).stdout
    assert written == FILE.read_text()
