"""What a release consists of, as CycloneDX 1.5: every wheel with version, licence and SHA-256.

Source of the format: cyclonedx.org/docs/1.5/json; of the package URLs: the purl specification, type pypi.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from email.parser import Parser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

OWN = "evse-pi"


def write_bill(wheels: Path, target: Path, version: str) -> None:
    """Write the bill of the wheels in a folder."""
    components = [component(wheel) for wheel in sorted(wheels.glob("*.whl"))]
    (own,) = [each for each in components if each["name"] == OWN]
    others = [each for each in components if each["name"] != OWN]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**own, "type": "application", "version": version}},
        "components": others,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [each["bom-ref"] for each in others]}],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def component(wheel: Path) -> dict[str, Any]:
    """Return one wheel as a component."""
    with zipfile.ZipFile(wheel) as archive:
        (place,) = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        metadata = Parser().parsestr(archive.read(place).decode("utf-8", "replace"), headersonly=True)
    name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
    url = f"pkg:pypi/{name}@{metadata['Version']}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": metadata["Version"],
        "purl": url,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        "licenses": _licenses(metadata),
    }


def _licenses(metadata: Any) -> list[dict[str, Any]]:
    """Return the SPDX expression where the wheel has one, else what it calls its licence, else none."""
    if expression := metadata["License-Expression"]:
        return [{"expression": expression}]
    named = metadata["License"]
    if not named or "\n" in named.strip():
        told = [each for each in metadata.get_all("Classifier", []) if each.startswith("License ::")]
        named = told[0].rsplit(" :: ", 1)[-1] if told else ""
    return [{"license": {"name": named.strip()}}] if named else []
