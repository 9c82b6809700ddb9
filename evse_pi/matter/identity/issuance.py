"""How a node gets its operational certificates: request, root, NOC, renewal. Source: Matter core 11.18.6."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S
from evse_pi.matter.identity import node_id
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, Privilege
from evse_pi.matter.identity.certificate import CertificateError, MatterCertificate, verify_chain, verify_root
from evse_pi.matter.identity.fabric import NodeCredentials
from evse_pi.matter.identity.group_keys import EPOCH_KEY_BYTES
from evse_pi.matter.identity.signing import OperationalKey
from evse_pi.matter.wire.status_code import DecodeError, MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.environment import Entropy, WallClock
    from evse_pi.matter.identity.acl import AccessControl
    from evse_pi.matter.identity.fabric import Fabric, FabricTable
    from evse_pi.matter.identity.failsafe import FailSafe, FailSafeContext


class NocStatus(IntEnum):
    """The outcome in a NOCResponse. Source: Matter core 11.18.4.3."""

    OK = 0
    INVALID_PUBLIC_KEY = 1
    INVALID_NODE_OP_ID = 2
    INVALID_NOC = 3
    MISSING_CSR = 4
    TABLE_FULL = 5
    INVALID_ADMIN_SUBJECT = 6
    FABRIC_CONFLICT = 9
    LABEL_CONFLICT = 10
    INVALID_FABRIC_INDEX = 11


class NocRefused(Exception):  # noqa: N818 (an answer, not an error)
    """The reason for which a NOCResponse says anything but OK."""

    def __init__(self, status: NocStatus, reason: str) -> None:
        super().__init__(f"{status.name}: {reason}")
        self.status = status
        self.reason = reason


class Issuance:
    """The steps that change the node's credentials, each allowed only under an armed fail-safe of the same owner."""

    def __init__(
        self,
        *,
        failsafe: FailSafe,
        fabrics: FabricTable,
        access_control: AccessControl,
        wall_clock: WallClock,
        entropy: Entropy,
    ) -> None:
        self._failsafe = failsafe
        self._fabrics = fabrics
        self._access_control = access_control
        self._wall_clock = wall_clock
        self._entropy = entropy

    def request_certificate(self, accessor: Accessor, *, for_update: bool) -> bytes:
        """Return a certificate signing request in DER for a fresh key, which replaces an earlier one.

        Raises: MatterStatus INVALID_COMMAND for an update without fabric, CONSTRAINT_ERROR after a NOC was accepted.
        """
        context = self._context(accessor)
        if for_update and accessor.auth_mode is not AuthMode.CASE:
            raise MatterStatus(StatusCode.INVALID_COMMAND, "a NOC is updated over CASE only")
        _check_no_noc_yet(context)
        context.pending_key = OperationalKey.generate(self._entropy)
        context.pending_key_is_for_update = for_update
        return context.pending_key.certificate_signing_request()

    def add_root(self, accessor: Accessor, root_certificate: bytes) -> None:
        """Accept the root of the fabric to come.

        Raises: MatterStatus INVALID_COMMAND if it is no valid root, CONSTRAINT_ERROR if there is one already.
        """
        context = self._context(accessor)
        if context.pending_root is not None or context.added_fabric is not None:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "a root certificate was added already")
        try:
            verify_root(MatterCertificate.decode(root_certificate))
        except (DecodeError, CertificateError) as error:
            raise MatterStatus(StatusCode.INVALID_COMMAND, str(error)) from error
        context.pending_root = root_certificate

    def add_noc(
        self,
        accessor: Accessor,
        *,
        noc: bytes,
        icac: bytes | None,
        ipk: bytes,
        case_admin_subject: int,
        admin_vendor_id: int,
    ) -> Fabric:
        """Join the fabric that the pending root and `noc` name, with `case_admin_subject` as its administrator.

        Raises: NocRefused with the status for the NOCResponse, MatterStatus if the command itself is wrong.
        """
        context = self._context(accessor)
        if len(ipk) != EPOCH_KEY_BYTES:
            raise MatterStatus(StatusCode.INVALID_COMMAND, f"IPK of {len(ipk)} bytes, must be {EPOCH_KEY_BYTES}")
        _check_no_noc_yet(context)
        key = _pending_key(context, for_update=False)
        if context.pending_root is None:
            raise NocRefused(NocStatus.INVALID_NOC, "no root certificate was added")
        certificate = self._verified(noc, icac, context.pending_root, key)
        self._check_joinable(certificate, context.pending_root, case_admin_subject)
        credentials = NodeCredentials(noc, icac or None, key)
        fabric = self._fabrics.add(context.pending_root, credentials, ipk, admin_vendor_id)
        self._failsafe.fabric_added(fabric.index)
        context.pending_key = None
        entry = AclEntry(Privilege.ADMINISTER, AuthMode.CASE, (case_admin_subject,), None, fabric.index)
        self._access_control.replace(fabric.index, [entry], accessor)
        return fabric

    def update_noc(self, accessor: Accessor, *, noc: bytes, icac: bytes | None) -> Fabric:
        """Replace the node's own certificate and key in the fabric of `accessor`.

        Raises: NocRefused with the status for the NOCResponse, MatterStatus if the command itself is wrong.
        """
        context = self._context(accessor)
        _check_no_noc_yet(context)
        if context.pending_root is not None:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "a root certificate was added, which is for a new fabric")
        key = _pending_key(context, for_update=True)
        fabric = self._fabrics.get(accessor.fabric_index)
        if fabric is None:
            raise NocRefused(NocStatus.INVALID_FABRIC_INDEX, f"there is no fabric {accessor.fabric_index}")
        certificate = self._verified(noc, icac, fabric.root_certificate, key)
        if certificate.fabric_id != fabric.fabric_id:
            raise NocRefused(NocStatus.INVALID_NOC, "NOC is for another fabric")
        self._failsafe.fabric_updated(fabric.index)
        context.pending_key = None
        return self._fabrics.update(fabric.index, NodeCredentials(noc, icac or None, key))

    def _context(self, accessor: Accessor) -> FailSafeContext:
        context = self._failsafe.context
        if context is None or not self._failsafe.is_armed_for(accessor.fabric_index):
            raise MatterStatus(StatusCode.FAILSAFE_REQUIRED, "the fail-safe is not armed by this peer")
        return context

    def _verified(self, noc: bytes, icac: bytes | None, root: bytes, key: OperationalKey) -> MatterCertificate:
        now_us = self._wall_clock.unix_us()
        now_epoch_s = None if now_us is None else now_us // 1_000_000 - MATTER_EPOCH_UNIX_S
        try:
            certificate = MatterCertificate.decode(noc)
            intermediate = MatterCertificate.decode(icac) if icac else None
            if certificate.public_key != key.public_key:
                raise NocRefused(NocStatus.INVALID_PUBLIC_KEY, "NOC is not for the requested key")
            verify_chain(certificate, intermediate, MatterCertificate.decode(root), now_epoch_s)
        except (DecodeError, CertificateError) as error:
            raise NocRefused(NocStatus.INVALID_NOC, str(error)) from error
        return certificate

    def _check_joinable(self, noc: MatterCertificate, root: bytes, case_admin_subject: int) -> None:
        if not node_id.is_operational(case_admin_subject) and not node_id.is_case_authenticated_tag(case_admin_subject):
            raise NocRefused(
                NocStatus.INVALID_ADMIN_SUBJECT,
                f"0x{case_admin_subject:016X} is neither an operational node id nor a CAT",
            )
        if noc.fabric_id is None or self._fabrics.find(MatterCertificate.decode(root).public_key, noc.fabric_id):
            raise NocRefused(NocStatus.FABRIC_CONFLICT, "this node is in that fabric already")
        if len(self._fabrics) >= self._fabrics.capacity:
            raise NocRefused(NocStatus.TABLE_FULL, f"all {self._fabrics.capacity} fabrics are in use")


def _check_no_noc_yet(context: FailSafeContext) -> None:
    if context.added_fabric is not None or context.updated_fabric is not None:
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "a NOC was accepted already under this fail-safe")


def _pending_key(context: FailSafeContext, *, for_update: bool) -> OperationalKey:
    if context.pending_key is None:
        raise NocRefused(NocStatus.MISSING_CSR, "no certificate was requested under this fail-safe")
    if context.pending_key_is_for_update != for_update:
        raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "the certificate was requested for the other command")
    return context.pending_key
