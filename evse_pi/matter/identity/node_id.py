"""The ranges of a 64-bit node id. Source: Matter core 2.5.5."""

from __future__ import annotations

FIRST_OPERATIONAL = 0x0000_0000_0000_0001
LAST_OPERATIONAL = 0xFFFF_FFEF_FFFF_FFFF
_CASE_AUTHENTICATED_TAG_PREFIX = 0xFFFF_FFFD


def is_operational(node_id: int) -> bool:
    """Tell whether `node_id` names one node of a fabric."""
    return FIRST_OPERATIONAL <= node_id <= LAST_OPERATIONAL


def is_case_authenticated_tag_value(tag: int) -> bool:
    """Tell whether the 32-bit `tag` is a CAT: identifier above, version below, and the version is not 0."""
    return 0 <= tag < 1 << 32 and tag & 0xFFFF != 0


def is_case_authenticated_tag(node_id: int) -> bool:
    """Tell whether `node_id` is an ACL subject that stands for a CAT."""
    return node_id >> 32 == _CASE_AUTHENTICATED_TAG_PREFIX and is_case_authenticated_tag_value(node_id & 0xFFFF_FFFF)


def matches_case_authenticated_tag(subject: int, tags: tuple[int, ...]) -> bool:
    """Tell whether one of a peer's `tags` has the identifier of `subject` and at least its version."""
    if not is_case_authenticated_tag(subject):
        return False
    wanted = subject & 0xFFFF_FFFF
    return any(tag >> 16 == wanted >> 16 and tag & 0xFFFF >= wanted & 0xFFFF for tag in tags)


def is_group_id(subject: int) -> bool:
    """Tell whether an ACL `subject` is the 16-bit id of a group, which is never 0."""
    return 0 < subject <= 0xFFFF
