"""FixedLabel and UserLabel: names of an endpoint, from the maker and from the user."""

from __future__ import annotations

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Field, Struct
from evse_pi.matter.wire.chip_objects import FixedLabel, UserLabel
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

MAX_USER_LABELS = 8  # the specification wants 4
_LABEL = Struct("LabelStruct", (Field("label", "string", "max 16"), Field("value", "string", "max 16")))

FIXED_SCHEMA = ClusterSchema(
    FixedLabel, revision=1, attributes=(Attribute("LabelList", "list", "R V", "N", default=()),), structs=(_LABEL,)
)
USER_SCHEMA = ClusterSchema(
    UserLabel, revision=1, attributes=(Attribute("LabelList", "list", "RW VM", "N", default=()),), structs=(_LABEL,)
)


class FixedLabelServer(ClusterServer):
    """Labels given by `label_list` when the server is made."""

    schema = FIXED_SCHEMA


class UserLabelServer(ClusterServer):
    """Labels that a user writes and that survive."""

    schema = USER_SCHEMA

    def write_label_list(self, labels: tuple[object, ...]) -> None:
        """Take the labels if there are not too many."""
        if len(labels) > MAX_USER_LABELS:
            raise MatterStatus(StatusCode.RESOURCE_EXHAUSTED, f"{len(labels)} labels, at most {MAX_USER_LABELS}")
        self.state.label_list = labels
