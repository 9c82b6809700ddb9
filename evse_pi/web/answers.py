"""What the page needs of the box: answers to the commands of the command socket, news, and who may act."""

from __future__ import annotations

from typing import Any, Protocol


class Refused(Exception):  # noqa: N818 (it is an answer)
    """The box does not do or say it; the text is for the person who asked."""


class Answers(Protocol):
    """The running box, as far as the page may ask it."""

    async def ask(self, command: str, **fields: Any) -> Any:
        """Return what the command socket answers. Raises: Refused in the box's own words."""

    def knows(self, command: str) -> bool:
        """Return whether there is such a command."""

    async def changed(self) -> None:
        """Return when there may be something new; within a second or two in any case."""

    @property
    def pin_set(self) -> bool:
        """Return whether the box has an installer PIN."""

    async def check_pin(self, pin: str, who: str) -> None:
        """Return if this is the installer PIN; `who` is for the record. Raises: Refused when it is not."""
