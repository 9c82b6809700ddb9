"""What the running kernel does with GPIO outputs when their process dies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hal.errors import BadReading, naming

PARAMETERS = (
    "sys/module/pinctrl_rp1/parameters/persist_gpio_outputs",
    "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs",
)
REMEDY = "set dtparam=strict_gpiod in /boot/firmware/config.txt and restart"


@dataclass(frozen=True, slots=True)
class OutputPersistence:
    """Whether outputs are released with their process; None when this kernel does not say.

    Hazard: H-08. A Raspberry Pi kernel keeps driving the contactor after `kill -9` unless it is told not to.
    """

    released: bool | None
    detail: str


def read_output_persistence(root: Path = Path("/")) -> OutputPersistence:
    """Return what the pin controllers' parameters say. Raises: BadReading, DevicePermission."""
    found = [path for path in (root / name for name in PARAMETERS) if path.exists()]
    for path in found:
        with naming(str(path)):
            value = path.read_text(encoding="ascii", errors="replace").strip()
        if value not in ("Y", "N"):
            raise BadReading(f"{path} = {value!r}; must be Y or N")
        if value == "Y":
            return OutputPersistence(released=False, detail=f"{path} = Y keeps outputs driven; {REMEDY}")
    if not found:
        return OutputPersistence(released=None, detail=f"no persist_gpio_outputs below {root}sys/module; {REMEDY}")
    return OutputPersistence(released=True, detail=f"{found[0]} = N")
