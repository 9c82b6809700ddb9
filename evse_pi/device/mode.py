"""What all mode clusters have in common: a fixed list of modes, of which one is current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature, Field, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

SUCCESS, UNSUPPORTED_MODE = 0, 1
"""The answers of ChangeToMode. Source: Matter Application Cluster Specification, Mode Base."""


def mode_schema(chip: Any, revision: int) -> ClusterSchema:
    """Return the tables of the mode cluster `chip`; none of those here has StartUpMode or OnMode."""
    return ClusterSchema(
        chip,
        revision=revision,
        features=(Feature("DEPONOFF", "OnOff", "X"),),
        attributes=(
            Attribute("SupportedModes", "list", "R V", "F", "M", "2 to 255"),
            Attribute("CurrentMode", "uint8", "R V", "N"),
        ),
        commands=(Command("ChangeToMode", "O", fields=(Field("newMode", "uint8"),)),),
        structs=(
            Struct(
                "ModeOptionStruct",
                (Field("label", "string", "max 64"), Field("mode", "uint8"), Field("modeTags", "list", "max 8")),
            ),
            Struct("ModeTagStruct", (Field("mfgCode", "vendor-id"), Field("value", "enum16"))),
            Struct("ChangeToModeResponse", (Field("status", "enum8"), Field("statusText", "string", "max 64"))),
        ),
    )


def mode_options(chip: Any, options: Iterable[tuple[str, tuple[int, ...]]]) -> list[Any]:
    """Return modes numbered from 0, each with its label and its tags."""
    structs = chip.Structs
    return [
        structs.ModeOptionStruct(
            label=label, mode=number, modeTags=[structs.ModeTagStruct(mfgCode=None, value=tag) for tag in tags]
        )
        for number, (label, tags) in enumerate(options)
    ]


class ModeServer(ClusterServer):
    """Changes the current mode; what acts on it listens to `events.current_mode_changed`."""

    def attach(self, endpoint: Any) -> None:
        """Take back the stored mode, unless this version of the software does not have it any more."""
        super().attach(endpoint)
        if self.state.current_mode not in self._numbers():
            self._values[self.schema_guard.attribute("current_mode").id] = self.defaults["current_mode"]

    def change_to_mode(self, request: Any) -> Any:
        """Take a mode that is on the list."""
        answer = self.schema.chip.Commands.ChangeToModeResponse
        if request.newMode not in self._numbers():
            return answer(status=UNSUPPORTED_MODE, statusText=f"mode {request.newMode} is not supported")
        self.choose(request.newMode)
        return answer(status=SUCCESS, statusText="")

    def choose(self, number: int) -> None:
        """Take mode `number`, which is on the list."""
        self.state.current_mode = number

    @property
    def tags(self) -> frozenset[int]:
        """What the current mode means."""
        current = next(option for option in self.state.supported_modes if option.mode == self.state.current_mode)
        return frozenset(tag.value for tag in current.modeTags)

    def _numbers(self) -> list[int]:
        return [option.mode for option in self.state.supported_modes]
