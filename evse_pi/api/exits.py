"""How a command ends, for scripts: one number each, the same for every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of `evse-pi`; what each means to a script stands in MEANING."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNWELL = 3
    NOT_RUNNING = 4
    BROKEN = 70


MEANING = {
    Exit.DONE: "done, or answered and all is well",
    Exit.REFUSED: "refused or broken off; the reason is one line on stderr and nothing was changed",
    Exit.USAGE: "wrong usage: an unknown word, option or value",
    Exit.UNWELL: "done, and the result is bad: a test failed, a fault is left, the box is not fit for service, "
    "a release was taken back or not brought into force",
    Exit.NOT_RUNNING: "no box answers; what can be told without it is told all the same",
    Exit.BROKEN: "a fault of this software; please attach the archive of `evse-pi report` to a ticket",
}
