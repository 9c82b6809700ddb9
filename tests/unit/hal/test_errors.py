"""Every OSError gets the name of what it means, and of the device."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from hal import errors
from hal.errors import naming

if TYPE_CHECKING:
    from hal.errors import DeviceNotFound, DevicePermission


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, errors.DeviceNotFound),
        (errno.EREMOTEIO, errors.DeviceNotFound),
        (errno.EACCES, errors.DevicePermission),
        (errno.EBUSY, errors.DeviceBusy),
        (errno.ETIMEDOUT, errors.BusTimeout),
        (errno.EINVAL, errors.BadReading),
    ],
)
def test_an_errno_becomes_its_hal_error(number: int, kind: type[DeviceNotFound | DevicePermission]) -> None:
    with pytest.raises(errors.HalError) as caught, naming("pump"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is kind
    assert str(caught.value) == f"pump: {os.strerror(number)}"


def test_a_hal_error_keeps_its_own_name() -> None:
    with pytest.raises(errors.BadReading, match=r"^inner$"), naming("outer"):
        raise errors.BadReading("inner")
