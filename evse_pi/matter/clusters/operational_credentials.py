"""OperationalCredentials: attestation, joining, changing and leaving fabrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.clusters.vendor_verification import VendorVerification, data_to_sign
from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S, WallClock
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.issuance import NocRefused, NocStatus
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Field, Struct
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.chip_objects import OperationalCredentials
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.identity.attestation import CredentialProvider
    from evse_pi.matter.identity.fabric import Fabric
    from evse_pi.matter.identity.failsafe import FailSafeContext
    from evse_pi.matter.identity.ownership import Ownership
    from evse_pi.matter.model.request import PeerRequest

NONCE_BYTES = 32
MAX_LABEL_BYTES = 32
MAX_ELEMENTS_BYTES = 900
_Answers = OperationalCredentials.Commands
_Structs = OperationalCredentials.Structs
_ChainType = OperationalCredentials.Enums.CertificateChainTypeEnum

SCHEMA = ClusterSchema(
    OperationalCredentials,
    revision=2,
    attributes=(
        Attribute("NOCs", "list", "R F A", "N C"),
        Attribute("Fabrics", "list", "R F V", "N"),
        Attribute("SupportedFabrics", "uint8", "R V", "F", "M", "5 to 254", 5),
        Attribute("CommissionedFabrics", "uint8", "R V", "N"),
        Attribute("TrustedRootCertificates", "list", "R V", "N C", "M", "all[max 400]"),
        Attribute("CurrentFabricIndex", "uint8", default=0),
    ),
    commands=(
        Command("AttestationRequest", "A"),
        Command("CertificateChainRequest", "A", fields=(Field("certificateType", answered=True),)),
        Command("CSRRequest", "A"),
        Command("AddNOC", "A", fields=(Field("caseAdminSubject", "subject-id"), Field("adminVendorId", "vendor-id"))),
        Command("UpdateNOC", "A F"),
        Command("UpdateFabricLabel", "A F", fields=(Field("label", "string", f"max {MAX_LABEL_BYTES}"),)),
        Command("RemoveFabric", "A", fields=(Field("fabricIndex", "fabric-idx", "1 to 254"),)),
        Command("AddTrustedRootCertificate", "A", fields=(Field("rootCACertificate", "octets", "max 400"),)),
        Command(
            "SetVIDVerificationStatement",
            "A F",
            fields=(
                Field("vendorID", "vendor-id", "1 to 65524"),
                Field("VIDVerificationStatement", "octets", "max 85"),
                Field("vvsc", "octets", "max 400"),
            ),
        ),
        Command(
            "SignVIDVerificationRequest",
            "A",
            fields=(Field("fabricIndex", "fabric-idx", "1 to 254"), Field("clientChallenge", "octets", "32 to 32")),
        ),
    ),
    structs=(
        Struct(
            "NOCStruct",
            (
                Field("noc", "octets", "max 400"),
                Field("icac", "octets", "max 400"),
                Field("vvsc", "octets", "max 400"),
            ),
        ),
        Struct(
            "FabricDescriptorStruct",
            (
                Field("rootPublicKey", "octets", "65 to 65"),
                Field("vendorID", "vendor-id"),
                Field("label", "string", "max 32"),
                Field("VIDVerificationStatement", "octets", "85 to 85"),
            ),
        ),
        Struct(
            "AttestationResponse",
            (
                Field("attestationElements", "octets", "max 900"),
                Field("attestationSignature", "octets", "64 to 64"),
            ),
        ),
        Struct("CertificateChainResponse", (Field("certificate", "octets", "max 600"),)),
        Struct(
            "CSRResponse",
            (
                Field("NOCSRElements", "octets", "max 900"),
                Field("attestationSignature", "octets", "64 to 64"),
            ),
        ),
        Struct(
            "NOCResponse",
            (
                Field("fabricIndex", "fabric-idx", "1 to 254"),
                Field("debugText", "string", "max 128"),
            ),
        ),
        Struct(
            "SignVIDVerificationResponse",
            (
                Field("fabricIndex", "fabric-idx", "1 to 254"),
                Field("fabricBindingVersion", "uint8", "1 to 255"),
                Field("signature", "octets", "min 1"),
            ),
        ),
    ),
)


class OperationalCredentialsServer(ClusterServer):
    """The commands over `identity`, and the fabrics as peers see them."""

    schema = SCHEMA

    def __init__(
        self,
        ownership: Ownership,
        credentials: CredentialProvider,
        wall_clock: WallClock,
        *,
        bind_fabric: Callable[[PeerSession, int], None],
        leave: Callable[[int], None],
        **state: Any,
    ) -> None:
        """Make the server; `bind_fabric` ties a session to a fabric, `leave` leaves one for good."""
        super().__init__(supported_fabrics=ownership.fabrics.capacity, **state)
        self._ownership = ownership
        self._credentials = credentials
        self._wall_clock = wall_clock
        self._bind_fabric = bind_fabric
        self._leave = leave
        fabrics = ownership.fabrics
        for listeners in (fabrics.on_added, fabrics.on_updated, fabrics.on_removed):
            listeners.append(self._fabrics_changed)
        ownership.failsafe.on_committed.append(lambda context: self._settle(context, keep=True))
        ownership.failsafe.on_expired.append(lambda context: self._settle(context, keep=False))

    def initialize(self) -> None:
        """Open the records of vendor verification."""
        self._verification = VendorVerification(self.node.store)

    def read_nocs(self, _accessor: Accessor | None) -> list[Any]:
        """Return the node's certificates in every fabric."""
        return [self._noc_struct(fabric) for fabric in self._ownership.fabrics]

    def read_fabrics(self, _accessor: Accessor | None) -> list[Any]:
        """Return every fabric the node is in."""
        return [self._fabric_struct(fabric) for fabric in self._ownership.fabrics]

    def read_commissioned_fabrics(self, _accessor: Accessor | None) -> int:
        """Return how many fabrics the node is in."""
        return len(self._ownership.fabrics)

    def read_trusted_root_certificates(self, _accessor: Accessor | None) -> list[bytes]:
        """Return the roots of all fabrics, and one that waits for its fabric."""
        roots = [fabric.root_certificate for fabric in self._ownership.fabrics]
        context = self._ownership.failsafe.context
        waiting = context.pending_root if context and context.added_fabric is None else None
        return roots if waiting is None else [*roots, waiting]

    def read_current_fabric_index(self, accessor: Accessor | None) -> int:
        """Return the reader's own fabric."""
        return accessor.fabric_index if accessor else 0

    def attestation_request(self, request: Any) -> Any:
        """Prove that the node is genuine."""
        _check_nonce(request.attestationNonce)
        elements = tlv.encode(
            {
                1: self._credentials.certification_declaration(),
                2: request.attestationNonce,
                3: tlv.uint(self._epoch_s()),
            }
        )
        return _Answers.AttestationResponse(elements, self._attest(elements))

    def certificate_chain_request(self, request: Any) -> Any:
        """Return the device's or the product's attestation certificate."""
        if not isinstance(request.certificateType, _ChainType):
            raise MatterStatus(StatusCode.INVALID_COMMAND, f"certificate {request.certificateType}: allowed are 1, 2")
        is_device = request.certificateType == _ChainType.kDACCertificate
        return _Answers.CertificateChainResponse(self._credentials.dac() if is_device else self._credentials.pai())

    def csr_request(self, request: Any) -> Any:
        """Make a fresh operational key and ask for its certificate."""
        _check_nonce(request.CSRNonce)
        csr = self._ownership.issuance.request_certificate(
            self._requester().accessor, for_update=bool(request.isForUpdateNOC)
        )
        elements = tlv.encode({1: csr, 2: request.CSRNonce})
        return _Answers.CSRResponse(elements, self._attest(elements))

    def add_trusted_root_certificate(self, request: Any) -> None:
        """Accept the root of the fabric to come."""
        self._ownership.issuance.add_root(self._requester().accessor, request.rootCACertificate)
        self.changed("trusted_root_certificates")

    def add_noc(self, request: Any) -> Any:
        """Join a fabric."""
        requester = self._requester()
        try:
            fabric = self._ownership.issuance.add_noc(
                requester.accessor,
                noc=request.NOCValue,
                icac=request.ICACValue,
                ipk=request.IPKValue,
                case_admin_subject=request.caseAdminSubject,
                admin_vendor_id=request.adminVendorId,
            )
        except NocRefused as refused:
            return _noc_response(refused.status, None, refused.reason)
        if requester.accessor.auth_mode is AuthMode.PASE:
            self._bind_fabric(requester.session, fabric.index)
        return _noc_response(NocStatus.OK, fabric.index)

    def update_noc(self, request: Any) -> Any:
        """Take a new certificate in the requester's fabric."""
        try:
            fabric = self._ownership.issuance.update_noc(
                self._requester().accessor, noc=request.NOCValue, icac=request.ICACValue
            )
        except NocRefused as refused:
            return _noc_response(refused.status, None, refused.reason)
        return _noc_response(NocStatus.OK, fabric.index)

    def update_fabric_label(self, request: Any) -> Any:
        """Name the requester's fabric; two fabrics do not share a name."""
        own = self._requester().accessor.fabric_index
        fabrics = self._ownership.fabrics
        if request.label and any(other.index != own and other.label == request.label for other in fabrics):
            return _noc_response(NocStatus.LABEL_CONFLICT, own, "another fabric has this label")
        if fabrics.get(own) is None:
            return _noc_response(NocStatus.INVALID_FABRIC_INDEX, None, f"there is no fabric {own}")
        fabrics.set_label(own, request.label)
        return _noc_response(NocStatus.OK, own)

    def remove_fabric(self, request: Any) -> Any:
        """Leave a fabric; the session of a requester who leaves its own lasts until it has the answer."""
        index = request.fabricIndex
        if self._ownership.fabrics.get(index) is None:
            return _noc_response(NocStatus.INVALID_FABRIC_INDEX, None, f"there is no fabric {index}")
        self._leave(index)
        return _noc_response(NocStatus.OK, index)

    def set_vid_verification_statement(self, request: Any) -> None:
        """Keep what proves to others that the requester's fabric belongs to its vendor."""
        index = self._requester().accessor.fabric_index
        fabric = self._ownership.fabrics.get(index)
        if fabric is None:
            raise MatterStatus(StatusCode.INVALID_COMMAND, f"there is no fabric {index}")
        self._verification.update(
            fabric,
            statement=request.VIDVerificationStatement,
            vvsc=request.vvsc,
            vendor_id=request.vendorID,
            hold=self._ownership.fabrics.is_uncommitted(index),
        )
        if request.vendorID is not None:
            self._ownership.fabrics.set_admin_vendor_id(index, request.vendorID)
        self.changed("fabrics", "nocs")

    def sign_vid_verification_request(self, request: Any) -> Any:
        """Prove with the node's operational key that it is in a fabric with this root and vendor."""
        fabric = self._ownership.fabrics.get(request.fabricIndex)
        if fabric is None:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, f"there is no fabric {request.fabricIndex}")
        challenge = self._requester().session.attestation_challenge
        statement = self._verification.of(fabric.index).statement
        signature = fabric.operational_key.sign(data_to_sign(fabric, request.clientChallenge, challenge, statement))
        return _Answers.SignVIDVerificationResponse(fabric.index, 1, signature)

    def _noc_struct(self, fabric: Fabric) -> Any:
        vvsc = self._verification.of(fabric.index).vvsc or None
        return _Structs.NOCStruct(noc=fabric.noc, icac=fabric.icac, vvsc=vvsc, fabricIndex=fabric.index)

    def _fabric_struct(self, fabric: Fabric) -> Any:
        return _Structs.FabricDescriptorStruct(
            rootPublicKey=fabric.root_public_key,
            vendorID=fabric.admin_vendor_id,
            fabricID=fabric.fabric_id,
            nodeID=fabric.node_id,
            label=fabric.label,
            VIDVerificationStatement=self._verification.of(fabric.index).statement or None,
            fabricIndex=fabric.index,
        )

    def _attest(self, elements: bytes) -> bytes:
        if len(elements) > MAX_ELEMENTS_BYTES:
            raise MatterStatus(StatusCode.FAILURE, f"elements of {len(elements)} bytes, at most {MAX_ELEMENTS_BYTES}")
        return self._credentials.sign(elements + self._requester().session.attestation_challenge)

    def _epoch_s(self) -> int:
        unix_us = self._wall_clock.unix_us()
        return 0 if unix_us is None else max(0, unix_us // 1_000_000 - MATTER_EPOCH_UNIX_S)

    def _settle(self, context: FailSafeContext, *, keep: bool) -> None:
        """Follow the end of a fail-safe: a root that waited is gone, and what was held is kept or taken back."""
        if self._verification.settle(keep=keep):
            self.changed("fabrics", "nocs")
        if context.pending_root is not None:
            self.changed("trusted_root_certificates")

    def _fabrics_changed(self, _fabric: Fabric) -> None:
        self.changed("nocs", "fabrics", "commissioned_fabrics", "trusted_root_certificates")

    def _requester(self) -> PeerRequest:
        if self.request is None:
            raise RuntimeError("credentials are changed by peers only")
        return self.request


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_BYTES:
        raise MatterStatus(StatusCode.INVALID_COMMAND, f"nonce of {len(nonce)} bytes, it has {NONCE_BYTES}")


def _noc_response(status: NocStatus, fabric_index: int | None, text: str | None = None) -> Any:
    return _Answers.NOCResponse(int(status), fabric_index, text and text[:128])
