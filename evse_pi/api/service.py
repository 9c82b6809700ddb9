"""The commands that are answered at a socket, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from evse_pi.api.codec import Mismatch, from_plain
from evse_pi.api.protocol import Command, read_request
from evse_pi.api.refusal import Allowed, AtFault, Refusal
from evse_pi.api.texts.catalogue import tr

if TYPE_CHECKING:
    from collections.abc import Mapping


class Caller(NamedTuple):
    """Who asks. `installer` says that root asks, or the user that the service runs as."""

    uid: int
    installer: bool


class PeerProcess(NamedTuple):
    """The process at the other end of a connection. Source: unix(7), SO_PEERCRED."""

    pid: int
    uid: int
    gid: int


class CommandHandler(NamedTuple):
    """A command with the function that answers it, given the request and who asks."""

    command: Command[Any, Any]
    answer: Callable[[Any, Caller], Any]


class ParsedRequest(NamedTuple):
    """A request that was understood."""

    offer: CommandHandler
    request: Any
    caller: Caller

    def begin(self) -> Any:
        """Return what the function returns: an answer, or what is to be awaited or iterated for it."""
        return self.offer.answer(self.request, self.caller)


class Service:
    """The commands that are answered at one socket."""

    def __init__(self, *offers: CommandHandler) -> None:
        self.offers: Mapping[str, CommandHandler] = {offer.command.name: offer for offer in offers}

    def understand(self, line: bytes, caller: Caller) -> ParsedRequest:
        """Return the call that a line is. Raises: Refusal."""
        name, fields = read_request(line)
        if name not in self.offers:
            known = tuple(sorted(self.offers))
            at = AtFault("command", name, Allowed(words=known))
            told = tr("command: {name} is unknown; one of {known}")
            raise Refusal(told.format(name=repr(name), known=", ".join(known)), at)
        command = self.offers[name].command
        if command.installer and not caller.installer:
            raise Refusal(tr("{command}: only root may ask for this; use sudo").format(command=name))
        try:
            request = from_plain(command.request, fields, "refuse")
        except Mismatch as mismatch:
            raise Refusal(
                str(mismatch), AtFault(mismatch.field, mismatch.value, mismatch.bounds or Allowed())
            ) from mismatch
        return ParsedRequest(self.offers[name], request, caller)
