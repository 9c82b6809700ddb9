"""Why the box does what it does, and what to do."""

from enum import Enum
from typing import NamedTuple

from evse_pi.api.protocol import Command, Nothing
from evse_pi.api.status import LimitStatus


class Verdict(Enum):
    """The box in one word."""

    CHARGING = "charging"
    WAITING = "not charging, and it will by itself once what it waits for is there"
    STOPPED = "not charging, because it is not permitted"
    FAULT = "not charging, because of a fault"


class FindingKind(Enum):
    """What a finding is about."""

    FAULT = "a fault"
    WAIT = "what the box waits for"
    NOTICE = "what people must know and stops no charge"
    CHARGING = "that it charges"


class Finding(NamedTuple):
    """One thing that was found: what is the case, what to do, and how it ends where that is known.

    `name` is for scripts: a fault, a reason, the owner of a limit, the kind of a notice, or what keeps the box from
    answering. `title` is the same for people.
    """

    kind: FindingKind
    name: str
    title: str
    what: str
    do: str
    clears: str | None = None


class Why(NamedTuple):
    """Why the box charges as it does, or does not: one paragraph, and every finding and limit."""

    verdict: Verdict
    paragraph: str
    findings: tuple[Finding, ...]
    limits: tuple[LimitStatus, ...]


WHY: Command[Nothing, Why] = Command("why", Nothing, Why, "Why the box does what it does, and what to do.")
