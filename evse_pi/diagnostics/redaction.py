"""Takes private data out of a report: keys, codes, names, addresses."""

from __future__ import annotations

import re
from typing import Any

REMOVED = "[removed]"

_SECRET_NAMES = re.compile(
    r"pass|pin\b|pin_|_pin|secret|token|key|code\b|codes\b|qr|salt|verifier|credential|fabric|label|ssid|vendor|serial|"
    r"unique|host|user|owner_name|person|who\b|by\b|node_id|address|email|phone",
    re.IGNORECASE,
)
_SECRET_TEXTS = (
    re.compile(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----", re.DOTALL),
    re.compile(r"MT:[0-9A-Z.\-]{10,}"),  # onboarding payload
    re.compile(r"\b\d{4}-?\d{3}-?\d{4}(?:-?\d{4}-?\d{5,6})?\b"),  # manual pairing code
    re.compile(r"\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\b"),  # MAC address
    re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
    re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){3,7}:?[0-9A-Fa-f]{1,4}(?![\w:])"),
    re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b"),
    re.compile(r"\b[0-9A-Fa-f]{16,}\b"),  # keys, fabric and node identifiers
    re.compile(r"(?<![\w/+])[A-Za-z0-9+/]{40,}={0,2}(?![\w/+])"),
    re.compile(r"(?<=/home/)[^/\s\"']+"),
    re.compile(r"(?i)(?<=passcode[=: ])\s*\d+|(?<=pin[=: ])\s*\d+|(?<=password[=: ])\s*\S+"),
)


def redacted(value: Any, names: tuple[str, ...] = ()) -> Any:
    """Return `value` without what could be a secret; `names` are words that are to be removed wherever they stand."""
    if isinstance(value, dict):
        return {
            name: REMOVED if _SECRET_NAMES.search(name) and not _harmless(each) else redacted(each, names)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [redacted(each, names) for each in value]
    return redacted_text(value, names) if isinstance(value, str) else value


def redacted_text(text: str, names: tuple[str, ...] = ()) -> str:
    """Return `text` without what looks like a secret, and without `names`."""
    for pattern in _SECRET_TEXTS:
        text = pattern.sub(REMOVED, text)
    for name in names:
        if len(name) > 1:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", REMOVED, text)
    return text


def _harmless(value: Any) -> bool:
    """A yes or no, or nothing, identifies no person."""
    return value is None or isinstance(value, bool)
