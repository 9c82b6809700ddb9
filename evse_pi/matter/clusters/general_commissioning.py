"""GeneralCommissioning: the fail-safe, the regulatory place, and the end of commissioning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.clusters.basic_information import BasicInformationServer
from evse_pi.matter.identity.accessor import AuthMode
from evse_pi.matter.identity.failsafe import MAX_CUMULATIVE_S, FailSafeBusy
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature, Field, Struct
from evse_pi.matter.wire.chip_objects import GeneralCommissioning

if TYPE_CHECKING:
    from evse_pi.matter.clusters.commissioning_window import CommissioningWindow
    from evse_pi.matter.identity.failsafe import FailSafe
    from evse_pi.matter.model.request import PeerRequest

FAILSAFE_EXPIRY_S = 60
_Error = GeneralCommissioning.Enums.CommissioningErrorEnum
_Place = GeneralCommissioning.Enums.RegulatoryLocationTypeEnum
_Answers = GeneralCommissioning.Commands
_INFO = GeneralCommissioning.Structs.BasicCommissioningInfo(FAILSAFE_EXPIRY_S, MAX_CUMULATIVE_S)

SCHEMA = ClusterSchema(
    GeneralCommissioning,
    revision=2,
    features=(Feature("TC", "TermsAndConditions", "X"),),
    attributes=(
        Attribute("Breadcrumb", "uint64", "RW VA", default=0),
        Attribute("BasicCommissioningInfo", "struct", "R V", "F", default=_INFO),
        Attribute("RegulatoryConfig", "enum8", "R V", default=_Place.kIndoorOutdoor),
        Attribute("LocationCapability", "enum8", "R V", "F", default=_Place.kIndoorOutdoor),
        Attribute("SupportsConcurrentConnection", "bool", "R V", "F", default=True),
    ),
    commands=(
        Command("ArmFailSafe", "A", fields=(Field("expiryLengthSeconds", "uint16"), Field("breadcrumb", "uint64"))),
        Command(
            "SetRegulatoryConfig",
            "A",
            fields=(Field("newRegulatoryConfig", answered=True), Field("breadcrumb", "uint64")),
        ),
        Command("CommissioningComplete", "A F"),
    ),
    structs=(
        Struct(
            "BasicCommissioningInfo",
            (
                Field("failSafeExpiryLengthSeconds", "uint16"),
                Field("maxCumulativeFailsafeSeconds", "uint16"),
            ),
        ),
        Struct("ArmFailSafeResponse", (Field("debugText", "string", "max 128"),)),
    ),
)


class GeneralCommissioningServer(ClusterServer):
    """The rules of commissioning that are not about credentials."""

    schema = SCHEMA
    dependencies = (BasicInformationServer,)

    def __init__(self, failsafe: FailSafe, window: CommissioningWindow, **state: Any) -> None:
        super().__init__(**state)
        self._failsafe = failsafe
        self._window = window
        failsafe.on_expired.append(lambda _context: self._reset_breadcrumb())

    def arm_fail_safe(self, request: Any) -> Any:
        """Arm, prolong or end the fail-safe."""
        requester = self._requester()
        over_case = requester.accessor.auth_mode is AuthMode.CASE
        if over_case and self._window.current is not None and not self._failsafe.is_armed:
            return _Answers.ArmFailSafeResponse(_Error.kBusyWithOtherAdmin, "a commissioning window is open")
        try:
            self._failsafe.arm(request.expiryLengthSeconds, requester.accessor.fabric_index, requester.session)
        except FailSafeBusy as busy:
            return _Answers.ArmFailSafeResponse(_Error.kBusyWithOtherAdmin, str(busy))
        if self._failsafe.is_armed:  # where it was ended, the next commissioner begins at the beginning
            self.state.breadcrumb = request.breadcrumb
        return _Answers.ArmFailSafeResponse(_Error.kOk, "")

    def set_regulatory_config(self, request: Any) -> Any:
        """Note where the node stands."""
        capability = self.state.location_capability
        if not isinstance(request.newRegulatoryConfig, _Place):
            return _Answers.SetRegulatoryConfigResponse(_Error.kValueOutsideRange, "there is no such place")
        if capability not in (_Place.kIndoorOutdoor, request.newRegulatoryConfig):
            return _Answers.SetRegulatoryConfigResponse(_Error.kValueOutsideRange, f"allowed is {capability.name}")
        if len(request.countryCode.encode()) != 2:
            return _Answers.SetRegulatoryConfigResponse(_Error.kValueOutsideRange, "a country code has 2 letters")
        self.state.regulatory_config = request.newRegulatoryConfig
        self.state.breadcrumb = request.breadcrumb
        self.endpoint.server(BasicInformationServer).state.location = request.countryCode
        return _Answers.SetRegulatoryConfigResponse(_Error.kOk, "")

    def commissioning_complete(self) -> Any:
        """Make everything that was done under the fail-safe durable."""
        accessor = self._requester().accessor
        if accessor.auth_mode is not AuthMode.CASE:
            return _Answers.CommissioningCompleteResponse(_Error.kInvalidAuthentication, "not over CASE")
        if not self._failsafe.is_armed:
            return _Answers.CommissioningCompleteResponse(_Error.kNoFailSafe, "the fail-safe is not armed")
        if not self._failsafe.is_armed_for(accessor.fabric_index):
            return _Answers.CommissioningCompleteResponse(_Error.kInvalidAuthentication, "armed by another fabric")
        self._failsafe.commit()
        self._reset_breadcrumb()
        return _Answers.CommissioningCompleteResponse(_Error.kOk, "")

    def _reset_breadcrumb(self) -> None:
        self.state.breadcrumb = 0

    def _requester(self) -> PeerRequest:
        if self.request is None:
            raise RuntimeError("commissioning is done by peers only")
        return self.request
