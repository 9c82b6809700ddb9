"""What the kernel says about outputs of a dead process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hal.errors import BadReading
from hal.kernel import read_output_persistence

if TYPE_CHECKING:
    from pathlib import Path


def parameter(root: Path, module: str, value: str) -> None:
    path = root / f"sys/module/{module}/parameters/persist_gpio_outputs"
    path.parent.mkdir(parents=True)
    path.write_text(value + "\n")


@pytest.mark.parametrize("module", ["pinctrl_rp1", "pinctrl_bcm2835"])
def test_n_releases_and_y_keeps_and_names_the_remedy(tmp_path: Path, module: str) -> None:
    parameter(tmp_path / "released", module, "N")
    parameter(tmp_path / "kept", module, "Y")
    assert read_output_persistence(tmp_path / "released").released is True
    kept = read_output_persistence(tmp_path / "kept")
    assert kept.released is False
    assert "dtparam=strict_gpiod" in kept.detail


def test_one_keeping_controller_is_enough_to_refuse(tmp_path: Path) -> None:
    parameter(tmp_path, "pinctrl_rp1", "N")
    parameter(tmp_path, "pinctrl_bcm2835", "Y")
    assert read_output_persistence(tmp_path).released is False


def test_a_kernel_that_does_not_say_is_unknown(tmp_path: Path) -> None:
    assert read_output_persistence(tmp_path).released is None


def test_another_value_is_a_bad_reading(tmp_path: Path) -> None:
    parameter(tmp_path, "pinctrl_rp1", "maybe")
    with pytest.raises(BadReading, match="'maybe'"):
        read_output_persistence(tmp_path)
