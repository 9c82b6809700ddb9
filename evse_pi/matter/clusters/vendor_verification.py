"""What a node keeps and signs so that a fabric's vendor can be verified. Source: Matter core 6.4.10."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.matter.storage import DamagedRecord, decoding
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.identity.fabric import Fabric
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

STATEMENT_BYTES = 85
FABRIC_BINDING_VERSION = 1


@dataclass(frozen=True, slots=True)
class VendorRecord:
    """The statement and the signer's certificate of one fabric; empty means none."""

    statement: bytes = b""
    vvsc: bytes = b""


class VendorVerification:
    """The records of all fabrics, deleted with everything else of a fabric.

    What is said of a fabric whose NOC waits for its commissioning to complete is `held`, as that is: in memory until
    `settle` keeps or drops it.
    """

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._held: dict[int, VendorRecord] = {}

    def of(self, fabric_index: int) -> VendorRecord:
        """Return the record of a fabric."""
        return self._held.get(fabric_index) or self._stored(fabric_index)

    def settle(self, *, keep: bool) -> bool:
        """Make durable, or take back, what is held; return whether there was anything."""
        held, self._held = self._held, {}
        if keep:
            for fabric_index, record in held.items():
                self._write(fabric_index, record)
        return bool(held)

    def _write(self, fabric_index: int, record: VendorRecord) -> None:
        with self._store.transaction() as transaction:
            transaction.put(_key(fabric_index), tlv.encode({0: record.statement, 1: record.vvsc}))

    def _stored(self, fabric_index: int) -> VendorRecord:
        encoded = self._store.get(_key(fabric_index))
        if encoded is None:
            return VendorRecord()
        try:
            with decoding(_key(fabric_index)):
                fields: dict[int, Any] = tlv.decode(encoded)
                return VendorRecord(fields[0], fields[1])
        except DamagedRecord as error:
            log.warning("vendor's statement dropped: %s", error)
            return VendorRecord()

    def update(
        self, fabric: Fabric, *, statement: bytes | None, vvsc: bytes | None, vendor_id: int | None, hold: bool
    ) -> None:
        """Change what is given, until `settle` if it is to `hold`; an empty octet string removes.

        Raises: MatterStatus INVALID_COMMAND when nothing is given or a certificate stands beside an ICAC,
        CONSTRAINT_ERROR for a statement of a wrong length.
        """
        if statement is None and vvsc is None and vendor_id is None:
            raise MatterStatus(StatusCode.INVALID_COMMAND, "no field is given")
        if statement is not None and len(statement) not in (0, STATEMENT_BYTES):
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"statement: allowed are 0 and {STATEMENT_BYTES} bytes")
        if vvsc and fabric.icac:
            raise MatterStatus(
                StatusCode.INVALID_COMMAND, "the fabric has an ICAC, a signer's certificate has no place"
            )
        record = self.of(fabric.index)
        record = record if statement is None else replace(record, statement=statement)
        record = record if vvsc is None else replace(record, vvsc=vvsc)
        if hold:
            self._held[fabric.index] = record
        else:
            self._write(fabric.index, record)


def data_to_sign(fabric: Fabric, client_challenge: bytes, attestation_challenge: bytes, statement: bytes) -> bytes:
    """Return the octets that the operational key signs.

    version 1 | client challenge 32 | attestation challenge 16 | fabric index 1 |
    version 1 | root public key 65 | fabric id 8 BE | vendor id 2 BE | statement 0 or 85
    """
    version = bytes((FABRIC_BINDING_VERSION,))
    binding = fabric.root_public_key + fabric.fabric_id.to_bytes(8, "big") + fabric.admin_vendor_id.to_bytes(2, "big")
    challenges = client_challenge + attestation_challenge + bytes((fabric.index,))
    return version + challenges + version + binding + statement


def _key(fabric_index: int) -> str:
    return f"fabric/{fabric_index}/vendor-verification"
