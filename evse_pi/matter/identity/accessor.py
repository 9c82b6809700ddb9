"""Who is asking: the facts about a peer on which access is decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class AuthMode(IntEnum):
    """How a peer proved who it is. Source: Matter core 9.10.5.2."""

    NONE = 0
    PASE = 1
    CASE = 2
    GROUP = 3


@dataclass(frozen=True, slots=True)
class Accessor:
    """The subject of an interaction; `fabric_index` 0 means no fabric."""

    auth_mode: AuthMode
    fabric_index: int = 0
    node_id: int = 0
    case_authenticated_tags: tuple[int, ...] = ()
