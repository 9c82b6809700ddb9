"""A report tells how the box is and nothing of whose it is."""

from __future__ import annotations

import io
import tarfile

import pytest

from evse_pi.diagnostics.redaction import REMOVED, redacted, redacted_text
from evse_pi.diagnostics.support_report import archive, data_part, text_part

SECRETS = (
    "20202021",
    "MT:Y.K9042C00KA0648G00",
    "3497-011-2332",
    "0123456789abcdef0123456789abcdef",
    "b8:27:eb:12:34:56",
    "192.168.1.23",
    "fe80:0:0:0:1:2:3:4",
    "maria@example.org",
    "garage-pi",
    "Maria",
    "8472",
)


def test_no_secret_leaves_the_house() -> None:
    value = {
        "passcode": 20202021,
        "codes": {"qr": "MT:Y.K9042C00KA0648G00", "manual": "3497-011-2332"},
        "fabrics": [{"label": "Maria's home", "node_id": "0123456789abcdef"}],
        "warnings": ["MT:Y.K9042C00KA0648G00 at 192.168.1.23 on garage-pi by Maria"],
        "installer": {"pin": 8472, "who": "Maria"},
        "harmless": {"offered_current_ma": 16_000, "fault": "PILOT_DIODE"},
    }
    log = (
        "commissioned passcode=20202021 manual 3497-011-2332 from b8:27:eb:12:34:56 fe80:0:0:0:1:2:3:4\n"
        "key 0123456789abcdef0123456789abcdef of maria@example.org on garage-pi, pin: 8472\n"
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIHEq\n-----END EC PRIVATE KEY-----\n"
    )
    names = ("garage-pi", "Maria")
    parts = [data_part("status", "now", value, names), text_part("journal.txt", "log", log, names)]
    packed = archive(parts, {"scope": "no box is running"}, 0)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        files = {name: tar.extractfile(name).read().decode() for name in tar.getnames()}  # type: ignore[union-attr]
    everything = "\n".join(files.values())
    for secret in (*SECRETS, "MHcCAQEEIHEq"):
        assert secret not in everything, secret
    assert "16000" in everything
    assert "PILOT_DIODE" in everything
    listed = files["evse-pi-report/CONTENTS"]
    assert "status.json" in listed
    assert "missing: scope: no box is running" in listed


@pytest.mark.parametrize("text", ["PILOT_DIODE at 8.98 V", "2026-11-22 14:05:55 F open 0.0 A", "32.0 A, IEC 61851-1"])
def test_what_a_technician_needs_stays(text: str) -> None:
    assert redacted_text(text) == text


def test_a_secret_key_hides_whatever_stands_there() -> None:
    assert redacted({"key": {"a": 1}, "pin_set": True, "passed": True}) == {
        "key": REMOVED, "pin_set": True, "passed": True,
    }  # fmt: skip
