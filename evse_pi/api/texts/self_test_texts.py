"""What a self-test measured, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.texts import english as words
from evse_pi.api.texts.quantities import volts

if TYPE_CHECKING:
    from evse_pi.api.status import SelfTestEvidence


def evidence_text(evidence: SelfTestEvidence) -> str:
    """Return one piece of evidence: what was measured and what is allowed, with their unit."""
    name, unit = words.CHECKS[evidence.check]

    def shown(value: int) -> str:
        return volts(value) if unit == "mV" else f"{value}{unit and f' {unit}'}"

    return words.EVIDENCE.format(
        name=name, measured=shown(evidence.measured), lowest=shown(evidence.lowest), highest=shown(evidence.highest)
    )
