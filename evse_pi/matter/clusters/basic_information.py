"""BasicInformation: what the product is, and the events of its comings and goings."""

from __future__ import annotations

from dataclasses import dataclass

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Event, Field, Struct
from evse_pi.matter.wire.chip_objects import BasicInformation

SPECIFICATION_VERSION = 0x0104_0200
DATA_MODEL_REVISION = 19
_UNIQUE_ID_KEY = "unique-id"
UNIQUE_ID_BYTES = 16

SCHEMA = ClusterSchema(
    BasicInformation,
    revision=5,
    attributes=(
        Attribute("DataModelRevision", "uint16", "R V", "F", default=DATA_MODEL_REVISION),
        Attribute("VendorName", "string", "R V", "F", "M", "max 32"),
        Attribute("VendorID", "vendor-id", "R V", "F"),
        Attribute("ProductName", "string", "R V", "F", "M", "max 32"),
        Attribute("ProductID", "uint16", "R V", "F"),
        Attribute("NodeLabel", "string", "RW VM", "N", "M", "max 32", ""),
        Attribute("Location", "string", "RW VA", "N", "M", "2 to 2", "XX"),
        Attribute("HardwareVersion", "uint16", "R V", "F", default=0),
        Attribute("HardwareVersionString", "string", "R V", "F", "M", "1 to 64", "0"),
        Attribute("SoftwareVersion", "uint32", "R V", "F", default=0),
        Attribute("SoftwareVersionString", "string", "R V", "F", "M", "1 to 64", "0"),
        Attribute("ManufacturingDate", "string", "R V", "F", "O", "8 to 16", "20250101"),
        Attribute("PartNumber", "string", "R V", "F", "O", "max 32"),
        Attribute("ProductURL", "string", "R V", "F", "O", "max 256"),
        Attribute("ProductLabel", "string", "R V", "F", "O", "max 64"),
        Attribute("SerialNumber", "string", "R V", "F", "O", "max 32"),
        Attribute("LocalConfigDisabled", "bool", "RW VM", "N", "O", default=False),
        Attribute("Reachable", "bool", "R V", "", "O", default=True),
        Attribute("UniqueID", "string", "R V", "F", "M", "max 32"),
        Attribute("CapabilityMinima", "struct", "R V", "F"),
        Attribute("ProductAppearance", "struct", "R V", "F", "O"),
        Attribute("SpecificationVersion", "uint32", "R V", "F", default=SPECIFICATION_VERSION),
        Attribute("MaxPathsPerInvoke", "uint16", "R V", "F", "M", "min 1", 1),
        Attribute("ConfigurationVersion", "uint32", "R V", "N", "P, M", "min 1", 1),
    ),
    events=(
        Event("StartUp", "critical"),
        Event("ShutDown", "critical", conformance="O"),
        Event("Leave", "info", conformance="O"),
        Event("ReachableChanged", "info", conformance="Reachable"),
    ),
    structs=(
        Struct(
            "CapabilityMinimaStruct",
            (
                Field("caseSessionsPerFabric", "uint16", "min 3"),
                Field("subscriptionsPerFabric", "uint16", "min 3"),
            ),
        ),
        Struct("StartUp", (Field("softwareVersion", "uint32"),)),
        Struct("Leave", (Field("fabricIndex", "fabric-idx", "1 to 254"),)),
    ),
)


@dataclass(frozen=True, slots=True)
class Product:
    """What a product says of itself."""

    vendor_id: int
    product_id: int
    vendor_name: str
    product_name: str
    device_type: int
    hardware_version: int = 1
    hardware_version_string: str = "1"
    software_version: int = 1
    software_version_string: str = "1"
    serial_number: str | None = None


class BasicInformationServer(ClusterServer, enable=("ShutDown", "Leave")):
    """The node's product data; the unique identifier is random and changes with a factory reset."""

    schema = SCHEMA

    @classmethod
    def of(cls, product: Product, *, sessions_per_fabric: int, subscriptions_per_fabric: int) -> BasicInformationServer:
        """Return the server for a product."""
        kind = cls if product.serial_number is None else cls.enable(attributes=("SerialNumber",))
        serial = {} if product.serial_number is None else {"serial_number": product.serial_number}
        minima = BasicInformation.Structs.CapabilityMinimaStruct(sessions_per_fabric, subscriptions_per_fabric)
        return kind(
            vendor_id=product.vendor_id,
            product_id=product.product_id,
            vendor_name=product.vendor_name,
            product_name=product.product_name,
            hardware_version=product.hardware_version,
            hardware_version_string=product.hardware_version_string,
            software_version=product.software_version,
            software_version_string=product.software_version_string,
            capability_minima=minima,
            **serial,
        )

    def initialize(self) -> None:
        """Take the unique identifier from the store, or make one."""
        stored = self.node.store.get(_UNIQUE_ID_KEY)
        if stored is None or len(stored) != UNIQUE_ID_BYTES:
            stored = self.node.entropy.octets(UNIQUE_ID_BYTES)
            with self.node.store.transaction() as transaction:
                transaction.put(_UNIQUE_ID_KEY, stored)
        self.state.unique_id = stored.hex()

    def started(self) -> None:
        """Tell that the node has begun to serve."""
        self.events.start_up.emit(softwareVersion=self.state.software_version)

    def shutting_down(self) -> None:
        """Tell that the node is about to stop."""
        self.events.shut_down.emit()

    def leaving(self, fabric_index: int) -> None:
        """Tell a fabric that the node leaves it."""
        self.events.leave.emit(fabricIndex=fabric_index)
