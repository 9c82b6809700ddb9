"""What the box tells Matter of its maker and model: the vendor's file beside its credentials, else the test product."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from evse_pi.api.texts.catalogue import tr
from evse_pi.installation.files import ConfigError
from evse_pi.matter.clusters.basic_information import Product

if TYPE_CHECKING:
    from pathlib import Path

PRODUCT_FILE = "product.toml"
ENERGY_EVSE = 0x050C
TEST_VENDOR_ID, TEST_PRODUCT_ID = 0xFFF1, 0x8000
_MAX_NAME_BYTES = 32
_NUMBERS = {"vendor_id": (1, 0xFFF4), "product_id": (1, 0xFFFF), "hardware_version": (0, 0xFFFF)}
_TEXTS = ("vendor_name", "product_name", "serial_number")
_REQUIRED = ("vendor_id", "product_id", "vendor_name", "product_name")


def read_product(folder: Path, software: str) -> Product:
    """Return the product that `folder` describes, the test product where there is no such folder.

    Raises: ConfigError naming file, key, value and what is allowed.
    """
    values = _read(folder / PRODUCT_FILE) if folder.is_dir() else {}
    return Product(
        vendor_id=int(values.get("vendor_id", TEST_VENDOR_ID)),
        product_id=int(values.get("product_id", TEST_PRODUCT_ID)),
        vendor_name=str(values.get("vendor_name", "evse-pi")),
        product_name=str(values.get("product_name", "evse-pi wallbox")),
        device_type=ENERGY_EVSE,
        hardware_version=int(values.get("hardware_version", 1)),
        hardware_version_string=str(values.get("hardware_version", 1)),
        software_version=software_number(software),
        software_version_string=software,
        serial_number=str(values["serial_number"]) if "serial_number" in values else None,
    )


def software_number(software: str) -> int:
    """Return a version such as 1.2.3 as one number that rises with it."""
    parts = [int(part) if part.isdigit() else 0 for part in (*software.split("."), "0", "0")[:3]]
    return parts[0] << 20 | parts[1] << 10 | parts[2]


def _read(path: Path) -> dict[str, int | str]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    problems = [tr("{path}: {key}: missing").format(path=path, key=key) for key in _REQUIRED if key not in values]
    problems += [f"{path}: {problem}" for key, value in values.items() if (problem := _problem(key, value))]
    if problems:
        raise ConfigError(problems)
    return values


def _problem(key: str, value: object) -> str | None:
    if key in _NUMBERS:
        lowest, highest = _NUMBERS[key]
        if type(value) is int and lowest <= value <= highest:
            return None
        return tr("{key}: {value!r} is not allowed; a whole number from {lowest} to {highest}").format(
            key=key, value=value, lowest=lowest, highest=highest
        )
    if key in _TEXTS:
        if isinstance(value, str) and 0 < len(value.encode()) <= _MAX_NAME_BYTES:
            return None
        return tr("{key}: {value!r} is not allowed; text of 1 to {max_name_bytes} bytes").format(
            key=key, value=value, max_name_bytes=_MAX_NAME_BYTES
        )
    return tr("{key}: unknown key; allowed are {names}").format(key=key, names=", ".join((*_NUMBERS, *_TEXTS)))
