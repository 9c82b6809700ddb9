"""One server as seen from another: with no more rights than the requester on whose behalf the code runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.operations import invoke_handler, write_value
from evse_pi.matter.model.request import acting_accessor
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.identity.acl import Privilege
    from evse_pi.matter.model.tree_interface import ServerInterface


class PeerServer:
    """The state, events and commands of another server.

    Raises: MatterStatus UNSUPPORTED_ACCESS from everything the present requester may not do.
    """

    def __init__(self, server: ServerInterface) -> None:
        self.cluster = server.cluster
        self.features = server.features
        self.events = server.events
        self.state: Any = _GuardedState(server)
        self._server = server

    async def invoke(self, command: str, **fields: Any) -> Any:
        """Return what a command, named in Python's way, answers to a request of `fields`."""
        found = next((row for row in self.cluster.commands.values() if row.key == command), None)
        if found is None:
            raise MatterStatus(StatusCode.UNSUPPORTED_COMMAND, f"{self.cluster.name}.{command}")
        _require(self._server, found.access.write)
        return await invoke_handler(self._server, found, found.request.cast(fields))


class _GuardedState:
    __slots__ = ("_server",)

    def __init__(self, server: ServerInterface) -> None:
        object.__setattr__(self, "_server", server)

    def __getattr__(self, name: str) -> Any:
        attribute = self._server.schema_guard.attribute(name)
        _require(self._server, attribute.access.read)
        return self._server.value(attribute)

    def __setattr__(self, name: str, value: Any) -> None:
        attribute = self._server.schema_guard.attribute(name)
        if acting_accessor() is None:
            self._server.assign(attribute, value)
            return
        if attribute.access.write is None:
            raise MatterStatus(StatusCode.UNSUPPORTED_WRITE, f"{self._server.name}.{attribute.name}")
        _require(self._server, attribute.access.write)
        write_value(self._server, attribute, attribute.codec.cast(value))


def _require(server: ServerInterface, privilege: Privilege | None) -> None:
    accessor = acting_accessor()
    if accessor is None:
        return
    if privilege is None or not server.node.permits(accessor, privilege, server.endpoint.id, server.cluster.id):
        wanted = "no privilege" if privilege is None else privilege.name
        raise MatterStatus(StatusCode.UNSUPPORTED_ACCESS, f"{server.name} on endpoint {server.endpoint.id}: {wanted}")
