"""What the page needs of the box: answers to the commands of the contract, news, and who may act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from evse_pi.api.protocol import Command

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class Answers(Protocol):
    """The running box, as far as the page may ask it."""

    async def ask(self, command: Command[Asked, Answered], request: Asked | None = None) -> Answered:
        """Return the answer to a command. Raises: Refusal in the box's own words."""

    async def changed(self) -> None:
        """Return when there may be something new; within a second or two in any case."""

    async def pin_set(self) -> bool:
        """Return whether the box has an installer PIN."""

    async def check_pin(self, pin: str, who: str) -> None:
        """Return if this is the installer PIN; `who` is for the record. Raises: Refusal when it is not."""
